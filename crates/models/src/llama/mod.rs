//! Llama and what is built like it (SmolLM2, TinyLlama): RMS norm before attention and
//! feed-forward, rotary positions, grouped query heads, SiLU-gated feed-forward.
//!
//! Reference: `transformers/models/llama/modeling_llama.py`, PyTorch transformers 4.49.

mod config;
mod model;

pub use config::LlamaConfig;

use glassformer_weights::{Header, TensorInfo};
use serde_json::Value;

use crate::{Blueprint, Dialect, ModelError};

/// Reads GGUF metadata (`llama.*`).
pub fn from_gguf(header: &Header, context: usize) -> Result<Blueprint, ModelError> {
    blueprint(&LlamaConfig::from_gguf(header)?, Dialect::Gguf, context)
}

/// Reads `config.json`.
pub fn from_config(
    config: &Value,
    _: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    blueprint(
        &LlamaConfig::from_json(config)?,
        Dialect::HuggingFace,
        context,
    )
}

/// A copy of tied output weights; a table computed from the config, in old checkpoints.
const UNUSED: &[&str] = &["lm_head.weight", "rotary_emb.inv_freq"];

/// Elements of the rotary table: far above any model's, and a quarter of what a tab can hold.
const MOST_ANGLES: usize = 1 << 28;

fn blueprint(
    config: &LlamaConfig,
    dialect: Dialect,
    context: usize,
) -> Result<Blueprint, ModelError> {
    let context = context.min(config.max_position_embeddings);
    if context * config.head_dim > MOST_ANGLES {
        return Err(ModelError::Unsupported {
            key: "a context of".into(),
            value: format!("{context} positions"),
        });
    }
    Ok(Blueprint {
        model: model::build(config, dialect, context)?,
        family: "llama",
        vocab: config.vocab_size,
        max_context: config.max_position_embeddings,
        context,
        rules: None,
        unused: UNUSED,
    })
}

#[cfg(test)]
mod tests;
