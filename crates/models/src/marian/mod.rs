//! Marian's translation models: an encoder of transformer layers with norms behind them, and one of
//! two decoders. The **student** of Bergamot and Firefox (Kim et al. 2019) has a recurrent unit in
//! place of self-attention; the **full** decoder of the hub's MarianMT attends to what it wrote.
//!
//! References: `marian-dev` `src/models/transformer.h` and `src/rnn/cells.h`;
//! `transformers/models/marian/modeling_marian.py`, PyTorch transformers 4.49.

mod config;
mod model;
mod names;

pub use config::{Decoder, MarianConfig};

use glassformer_weights::{MarianFile, TensorInfo};
use serde_json::Value;

use crate::{Blueprint, ModelError, Rules};

/// Most positions of source or translation: sentences are cut into pieces of far fewer.
const MOST_POSITIONS: usize = 1024;

/// Elements of the table of positions: far above any model's, and a quarter of what a tab can hold.
const MOST_ANGLES: usize = 1 << 28;

/// Reads a Marian binary file.
pub fn from_file(file: &MarianFile, context: usize) -> Result<Blueprint, ModelError> {
    let config = MarianConfig::from_options(&file.options)?;
    blueprint(&config, &file.tensors, context)
}

/// Reads `config.json` of MarianMT.
pub fn from_config(
    config: &Value,
    tensors: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    blueprint(&MarianConfig::from_json(config)?, tensors, context)
}

fn blueprint(
    config: &MarianConfig,
    tensors: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    let max_context = config.positions.unwrap_or(MOST_POSITIONS);
    let context = context.min(max_context);
    if context.saturating_mul(config.hidden) > MOST_ANGLES {
        return Err(ModelError::Unsupported {
            key: "a context of".into(),
            value: format!("{context} positions"),
        });
    }
    let unused: &[&str] = match config.decoder {
        Decoder::Student => {
            names::check_bytes(tensors)?;
            &["Wemb_QuantMultA"]
        }
        // Computed from the config, or tied to the one embedding.
        Decoder::Full => &[
            "embed_positions.weight",
            "embed_tokens.weight",
            "lm_head.weight",
        ],
    };
    Ok(Blueprint {
        model: model::build(config, context)?,
        family: "marian",
        vocab: config.vocab,
        max_context,
        context,
        unused,
        rules: Some(Rules {
            start: config.start,
            end: config.end,
            never: config.never.clone(),
            shortlist: config.decoder == Decoder::Student,
        }),
    })
}

#[cfg(test)]
mod tests;
