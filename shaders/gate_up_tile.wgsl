// Gated feed-forward, first half: y = silu(x · Gᵀ) ∘ (x · Uᵀ).
// Many rows of input: tiles in shared memory.
//#include run
//#include gate_up
//#include weights
//#include input
//#include vectors
//#include tile_body
