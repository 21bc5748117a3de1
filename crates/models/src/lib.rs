//! Model families: a config, in whatever dialect a checkpoint carries it, becomes a graph.
//!
//! Each family is a folder with `config.rs` (what the checkpoint says, checked) and `model.rs`
//! (the graph, read top-down). [`registry`] is the only place that lists them.

pub mod bert;
mod bind;
mod error;
pub mod llama;
pub mod marian;
pub mod registry;
pub mod vision;

pub use bind::{Binding, bind_weights};
pub use error::ModelError;

use glassformer_graph::Model;

/// Which checkpoint names a model's weights have, and which way its rows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `blk.0.attn_q.weight`; llama's query and key rows are permuted for interleaved rotation.
    Gguf,
    /// `model.layers.0.self_attn.q_proj.weight`.
    HuggingFace,
}

/// A model ready to be loaded, and what people want to know of it.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// Weights, states, entries.
    pub model: Model,
    /// Architecture, as checkpoints name it.
    pub family: &'static str,
    /// Tokens.
    pub vocab: usize,
    /// Most positions the model was made for.
    pub max_context: usize,
    /// Most positions a session of this blueprint takes.
    pub context: usize,
    /// How it translates, if it does.
    pub rules: Option<Rules>,
    /// Ends of the names of tensors that checkpoints of the family carry although its graph does not
    /// read them. Any other tensor that is not read is an error.
    pub unused: &'static [&'static str],
}

/// What to know of a model that translates, beside its graphs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The token a decoder begins with.
    pub start: u32,
    /// The token that ends a text, in both languages.
    pub end: u32,
    /// Tokens that are never written.
    pub never: Vec<u32>,
    /// Whether a shortlist may come with it (entry `decode_listed`).
    pub shortlist: bool,
}
