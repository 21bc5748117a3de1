//! BERT and its relatives, which read a whole sentence at once: RoBERTa, DistilBERT, ALBERT and
//! ELECTRA's generator. With the head of their pre-training they name the word behind a mask.
//!
//! References: `transformers/models/{bert,roberta,distilbert,albert,electra}/modeling_*.py`, PyTorch
//! transformers 4.49.

mod config;
mod model;
mod names;

pub use config::{BertConfig, Kind};
pub(crate) use model::tower;
pub(crate) use names::UNUSED;

use glassformer_weights::TensorInfo;
use serde_json::Value;

use crate::{Blueprint, ModelError};

/// Reads `config.json` of BERT.
pub fn bert(
    config: &Value,
    tensors: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    blueprint(Kind::Bert, "bert", config, tensors, context)
}

/// Reads `config.json` of RoBERTa, and of CamemBERT and XLM-RoBERTa, which are built alike.
pub fn roberta(
    config: &Value,
    tensors: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    blueprint(Kind::Roberta, "roberta", config, tensors, context)
}

/// Reads `config.json` of DistilBERT.
pub fn distilbert(
    config: &Value,
    tensors: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    blueprint(Kind::DistilBert, "distilbert", config, tensors, context)
}

/// Reads `config.json` of ALBERT.
pub fn albert(
    config: &Value,
    tensors: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    blueprint(Kind::Albert, "albert", config, tensors, context)
}

/// Reads `config.json` of ELECTRA.
pub fn electra(
    config: &Value,
    tensors: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    blueprint(Kind::Electra, "electra", config, tensors, context)
}

fn blueprint(
    kind: Kind,
    family: &'static str,
    config: &Value,
    tensors: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    let config = BertConfig::from_json(kind, config)?;
    Ok(Blueprint {
        model: model::build(&config, tensors)?,
        family,
        vocab: config.vocab_size,
        max_context: config.positions(),
        context: context.min(config.positions()),
        rules: None,
        unused: UNUSED,
    })
}

#[cfg(test)]
mod tests;
