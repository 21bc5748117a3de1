//! The worker for every browser that has WebAssembly SIMD.

fn main() {
    glassformer_worker::run();
}
