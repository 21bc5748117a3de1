//! The engine in a Dedicated Worker: messages in, messages out. The page's main thread never
//! computes.
//!
//! Two programs are made of it, and a page starts the one that its browser can run:
//! `glassformer-worker`, and `glassformer-worker-relaxed` with the feature `relaxed-simd`.

#[cfg(target_arch = "wasm32")]
mod jobs;
#[cfg(target_arch = "wasm32")]
mod parts;
#[cfg(target_arch = "wasm32")]
mod worker;

/// What either program does.
#[cfg(target_arch = "wasm32")]
pub fn run() {
    console_error_panic_hook::set_once();
    worker::start();
}

/// What either program does.
#[cfg(not(target_arch = "wasm32"))]
pub fn run() {
    eprintln!("This program runs in a browser: build the page with cargo xtask build.");
}
