// Linear layer: y = f(x · Wᵀ (+ bias)) (+ residual).
// A few rows of input: matrix × vector, with the RMS norm of the input on the way.
//#include run
//#include linear
//#include weights
//#include input
//#include vectors
//#include lanes
//#include vector_body
