//! Every operation and every fusion on the GPU beside the CPU in `exact`, node by node, on small
//! graphs with seeded weights.
//!
//! [`Net`] builds a graph and its weights, [`Pair`] runs it on both and compares, [`cases`] are
//! the graphs. The same cases run natively (`tests/ops/native.rs`) and in a browser, where a device has
//! neither half precision nor large subgroups.
#![allow(clippy::unwrap_used, reason = "a test stops at what it cannot build")]

pub mod cases;
mod compare;
mod net;

pub use compare::{On, Open, Pair, Report};
pub use net::{Made, Net, Random};
