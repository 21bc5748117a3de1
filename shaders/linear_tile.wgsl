// Linear layer: y = f(x · Wᵀ (+ bias)) (+ residual).
// Many rows of input: tiles in shared memory.
//#include run
//#include linear
//#include weights
//#include input
//#include vectors
//#include tile_body
