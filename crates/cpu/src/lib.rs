//! The CPU executor: interprets a graph with SIMD kernels.
//!
//! It is what people get where there is no GPU, and in `exact` precision it is the oracle that the
//! GPU is compared with. The same kernels run natively and as WebAssembly `simd128`; the crate
//! `wide` maps them onto either.

mod executor;
pub mod kernels;
mod packed;
mod plan;
mod run;
mod session;

pub use executor::CpuExecutor;
pub use packed::Packed;
