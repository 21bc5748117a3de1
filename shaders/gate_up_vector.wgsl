// Gated feed-forward, first half: y = silu(x · Gᵀ) ∘ (x · Uᵀ).
// A few rows of input: matrix × vector, with the RMS norm of the input on the way.
//#include run
//#include gate_up
//#include weights
//#include input
//#include vectors
//#include lanes
//#include vector_body
