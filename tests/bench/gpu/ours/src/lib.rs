//! Our side of `cargo xtask bench gpu`: a few equal operations as a graph, run by the executor that
//! runs models. The page beside it says which, and takes the time.

mod graph;
#[cfg(target_arch = "wasm32")]
mod page;

pub use graph::{Operation, model};
