//! The worker for browsers that have relaxed SIMD.

fn main() {
    glassformer_worker::run();
}
