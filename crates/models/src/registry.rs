//! The families there are. Adding one adds a line here and nowhere else.

use glassformer_weights::{Header, TensorInfo};
use serde_json::Value;

use crate::{Blueprint, ModelError, bert, llama, marian, vision};

/// A parsed `config.json`, the tensors of the files beside it, most positions of a session.
type FromConfig = fn(&Value, &[TensorInfo], usize) -> Result<Blueprint, ModelError>;

/// GGUF metadata and tensors, most positions of a session.
type FromGguf = fn(&Header, usize) -> Result<Blueprint, ModelError>;

/// Families that GGUF files describe in their own terms, by `general.architecture`. Apart from the
/// others, so that a program that reads only such files needs no other family.
const GGUF_FAMILIES: &[(&str, FromGguf)] = &[("llama", llama::from_gguf)];

/// All families, by the `model_type` of a `config.json`.
const FAMILIES: &[(&str, FromConfig)] = &[
    ("llama", llama::from_config),
    ("bert", bert::bert),
    ("roberta", bert::roberta),
    ("xlm-roberta", bert::roberta),
    ("camembert", bert::roberta),
    ("distilbert", bert::distilbert),
    ("albert", bert::albert),
    ("electra", bert::electra),
    ("clip", vision::clip),
    ("vit", vision::vit),
    ("deit", vision::deit),
    ("vision-text-dual-encoder", vision::dual),
    ("marian", marian::from_config),
];

/// Where a GGUF of `glassformer quantize` has the `config.json` of the folder it was made from.
pub const GGUF_CONFIG: &str = "glassformer.config.json";

fn family<F: Copy>(families: &[(&str, F)], found: &str) -> Result<F, ModelError> {
    let named = families.iter().find(|(name, _)| *name == found);
    let unknown = || {
        let known: Vec<&str> = families.iter().map(|(name, _)| *name).collect();
        ModelError::UnknownArchitecture {
            found: found.into(),
            known: known.join(", "),
        }
    };
    named.map(|(_, read)| *read).ok_or_else(unknown)
}

/// The model a GGUF header describes in its own terms, with sessions of at most `context` positions.
/// Files of `glassformer quantize` hold a `config.json` instead, at [`GGUF_CONFIG`]: that is for
/// [`from_config`].
///
/// # Errors
/// If the architecture is unknown or its metadata is incomplete or unsupported.
pub fn from_gguf(header: &Header, context: usize) -> Result<Blueprint, ModelError> {
    const KEY: &str = "general.architecture";
    let name = header.metadata.str(KEY);
    let name = name.ok_or_else(|| ModelError::MissingKey(KEY.into()))?;
    family(GGUF_FAMILIES, name)?(header, context)
}

/// The model a Hugging Face `config.json` describes, whose files hold `tensors`, with sessions of
/// at most `context` positions.
///
/// # Errors
/// If the model type is unknown or the config is incomplete or unsupported.
pub fn from_config(
    config: &[u8],
    tensors: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    let config: Value =
        serde_json::from_slice(config).map_err(|error| ModelError::Config(error.to_string()))?;
    let name = config.get("model_type").and_then(Value::as_str);
    let name = name.ok_or_else(|| ModelError::MissingKey("model_type".into()))?;
    family(FAMILIES, name)?(&config, tensors, context)
}
