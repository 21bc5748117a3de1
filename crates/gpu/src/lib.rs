//! The GPU executor: a graph becomes a list of dispatches of hand-written compute shaders.
//!
//! [`Gpu`] is the device, [`shaders`] joins the files of `shaders/`, [`weights`] repacks matrices
//! while they stream in, [`lower`] turns a graph and the taps asked for into dispatches, and
//! [`GpuExecutor`] runs them. Everything keeps to WebGPU's default limits.

#[cfg(target_arch = "wasm32")]
mod browser;
mod choose;
mod device;
mod error;
mod executor;
mod kernel;
pub mod lower;
mod prepared;
mod session;
pub mod shaders;
mod store;
pub mod weights;

pub use device::{DeviceInfo, Gpu, Wanted};
pub use error::GpuError;
pub use executor::GpuExecutor;
pub use kernel::{Count, Dispatch, Kernel, Place};
