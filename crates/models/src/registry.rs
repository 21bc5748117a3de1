//! The families there are. Adding one adds a line here and nowhere else.

use glassformer_weights::{Header, TensorInfo};
use serde_json::Value;

use crate::{Blueprint, ModelError, bert, llama, marian, vision};

/// A parsed `config.json`, the tensors of the files beside it, most positions of a session.
type FromConfig = fn(&Value, &[TensorInfo], usize) -> Result<Blueprint, ModelError>;

/// GGUF metadata and tensors, most positions of a session.
type FromGguf = fn(&Header, usize) -> Result<Blueprint, ModelError>;

/// A family of models.
struct Family {
    /// `general.architecture` of a GGUF, `model_type` of a `config.json`.
    name: &'static str,
    /// If GGUF files describe it in their own terms. Those of `glassformer quantize` hold a
    /// `config.json` instead.
    from_gguf: Option<FromGguf>,
    from_config: FromConfig,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "llama",
        from_gguf: Some(llama::from_gguf),
        from_config: llama::from_config,
    },
    relative("bert", bert::bert),
    relative("roberta", bert::roberta),
    relative("xlm-roberta", bert::roberta),
    relative("camembert", bert::roberta),
    relative("distilbert", bert::distilbert),
    relative("albert", bert::albert),
    relative("electra", bert::electra),
    relative("clip", vision::clip),
    relative("vit", vision::vit),
    relative("deit", vision::deit),
    relative("vision-text-dual-encoder", vision::dual),
    relative("marian", marian::from_config),
];

/// One that only a `config.json` describes.
const fn relative(name: &'static str, from_config: FromConfig) -> Family {
    Family {
        name,
        from_gguf: None,
        from_config,
    }
}

/// Where a GGUF of `glassformer quantize` has the `config.json` of the folder it was made from.
pub const GGUF_CONFIG: &str = "glassformer.config.json";

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
    if let Some(config) = header.metadata.str(GGUF_CONFIG) {
        return from_config(config.as_bytes(), &header.tensors, context);
    }
    let name = header.metadata.str(KEY);
    let name = name.ok_or_else(|| ModelError::MissingKey(KEY.into()))?;
    let from_gguf = family(name)?.from_gguf;
    let from_gguf = from_gguf.ok_or_else(|| ModelError::MissingKey(GGUF_CONFIG.into()))?;
    from_gguf(header, context)
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
    (family(name)?.from_config)(&config, tensors, context)
}
