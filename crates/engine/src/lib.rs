//! Loads models and runs tasks on them, for the worker of the page and for the shell alike.
//!
//! [`Engine`] holds models. [`Files`] are where it comes from: a manifest entry fetched
//! and cached by the browser, files the person opened, or paths of the shell. [`protocol`] is what
//! the page and the worker say to each other.

mod attention;
#[cfg(target_arch = "wasm32")]
pub mod browser;
mod clock;
mod engine;
mod error;
mod executors;
mod load;
mod measure;
mod parts;
mod platform;
pub mod protocol;
mod ready;
pub mod registry;
mod source;

pub use engine::{DEFAULT_CONTEXT, Engine, Label, Seen, TopLogits};
pub use error::EngineError;
pub use executors::DeviceSwitch;
#[cfg(not(target_arch = "wasm32"))]
pub use load::Quantized;
pub use load::{Files, Loaded};
pub use platform::{Cancel, heap_bytes, yield_now};
#[cfg(not(target_arch = "wasm32"))]
pub use source::PathSource;
pub use source::{ByteStream, MemorySource, Source};

pub use glassformer_graph as graph;
pub use glassformer_images as images;
pub use glassformer_tasks as tasks;
pub use glassformer_text as text;
