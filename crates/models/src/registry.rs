//! The families there are. Adding one adds a line here and nowhere else.

use glassformer_weights::Header;
use serde_json::Value;

use crate::{Blueprint, ModelError, llama};

/// A family of models.
struct Family {
    /// `general.architecture` of a GGUF, `model_type` of a `config.json`.
    name: &'static str,
    from_gguf: fn(&Header, usize) -> Result<Blueprint, ModelError>,
    from_config: fn(&Value, usize) -> Result<Blueprint, ModelError>,
}

const FAMILIES: &[Family] = &[Family {
    name: "llama",
    from_gguf: llama::from_gguf,
    from_config: llama::from_config,
}];

fn family(found: &str) -> Result<&'static Family, ModelError> {
    let known = || {
        FAMILIES
            .iter()
            .map(|f| f.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    FAMILIES
        .iter()
        .find(|family| family.name == found)
        .ok_or_else(|| ModelError::UnknownArchitecture {
            found: found.into(),
            known: known(),
        })
}

/// The model a GGUF header describes, with sessions of at most `context` positions.
///
/// # Errors
/// If the architecture is unknown or its metadata is incomplete or unsupported.
pub fn from_gguf(header: &Header, context: usize) -> Result<Blueprint, ModelError> {
    const KEY: &str = "general.architecture";
    let name = header.metadata.str(KEY);
    let name = name.ok_or_else(|| ModelError::MissingKey(KEY.into()))?;
    (family(name)?.from_gguf)(header, context)
}

/// The model a Hugging Face `config.json` describes, with sessions of at most `context` positions.
///
/// # Errors
/// If the model type is unknown or the config is incomplete or unsupported.
pub fn from_config(config: &[u8], context: usize) -> Result<Blueprint, ModelError> {
    let config: Value =
        serde_json::from_slice(config).map_err(|error| ModelError::Config(error.to_string()))?;
    let name = config.get("model_type").and_then(Value::as_str);
    let name = name.ok_or_else(|| ModelError::MissingKey("model_type".into()))?;
    (family(name)?.from_config)(&config, context)
}
