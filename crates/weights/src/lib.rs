//! Checkpoint readers: GGUF and safetensors files, as streams of bytes, into named tensors; and what
//! is needed to write a GGUF with weights rounded to 8 bits.
//!
//! A file is pushed through a [`FileStream`] chunk by chunk, from a disk or from the network. The
//! stream reads the header, shows it to a [`Sink`], and from then on only passes tensor bytes
//! through: the file is never held as a whole. Headers are taken apart as they arrive, so memory
//! stays within a small multiple of the bytes received, whatever the file claims about itself.
//!
//! Marian's files end with what they begin with elsewhere, and are small: [`MarianFile`] reads them as
//! a whole, and [`Shortlist`] what comes with them. [`TorchFile`] reads PyTorch's own files as a whole,
//! for tensors only.
//!
//! Tensors keep the encoding they have in the file; [`dequantize`] is the reference decoding.

mod cursor;
mod dequantize;
mod error;
mod gguf;
mod header;
mod json;
mod marian;
mod metadata;
mod parser;
mod quantize;
mod safetensors;
mod shards;
mod shortlist;
mod stream;
mod torch;

pub use dequantize::{bf16_to_f32, dequantize, f16_to_f32};
pub use error::WeightsError;
pub use gguf::{GgufLayout, Pair};
pub use glassformer_graph::Encoding;
pub use header::{Format, Header, TensorInfo};
pub use marian::MarianFile;
pub use metadata::{Array, Metadata, Value};
pub use quantize::quantize_q8_0;
pub use shards::shard_index;
pub use shortlist::Shortlist;
pub use stream::{FileStream, Sink};
pub use torch::TorchFile;
