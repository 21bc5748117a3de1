//! Models that see pictures: CLIP, which sees and reads; ViT and DeiT, which name what they see; and
//! pairs of a ViT and a BERT.
//!
//! Entries, each with its own `q_len`:
//!
//! - `image`: `pixels [batch, side · side, channels]`, row by row, as the model's preprocessing leaves
//!   them → an embedding `[batch, width]`, or a classifier's logits `[batch, labels]`;
//! - `text`: `ids [batch, q_len]`, `lengths [batch]` (for a BERT `types [batch, q_len]` too)
//!   → an embedding `[batch, width]`; CLIP reads what a text means at its last token;
//! - `scale`: nothing → `logit_scale [1]`, the natural logarithm of what cosines are multiplied by.
//!
//! References: Radford et al. 2021; Dosovitskiy et al. 2020; Touvron et al. 2020;
//! `transformers/models/{clip,vit,deit,vision_text_dual_encoder}/modeling_*.py`, PyTorch transformers 4.49.

mod config;
mod tower;

pub use config::{CaptionConfig, Pooling, StemConfig, TowerConfig, VisionConfig};

use glassformer_graph::{Binary, Builder, GraphError, Mask, NodeId, Pool, Role, Symbol};
use glassformer_weights::TensorInfo;
use serde_json::Value;

use crate::bert::{self, BertConfig, Kind};
use crate::{Blueprint, ModelError};
use tower::{CLIP, Tower, VIT};

/// Reads `config.json` of CLIP.
///
/// # Errors
/// If a field is missing, contradicts another, or asks for what is not supported.
pub fn clip(config: &Value, _: &[TensorInfo], context: usize) -> Result<Blueprint, ModelError> {
    let sees = VisionConfig::clip(part(config, "vision_config")?)?;
    let reads = CaptionConfig::clip(part(config, "text_config")?)?;
    let width = number(config, "projection_dim")?;
    let mut b = Builder::new();
    clip_image(&mut b, &sees, width)?;
    clip_text(&mut b, &reads, width)?;
    scale(&mut b)?;
    let most = reads.max_position_embeddings;
    Ok(Blueprint {
        model: b.finish(),
        family: "clip",
        vocab: reads.vocab_size,
        max_context: most,
        context: context.min(most),
        rules: None,
        unused: &["embeddings.position_ids"],
    })
}

/// Reads `config.json` of ViT.
///
/// # Errors
/// As [`clip`].
pub fn vit(config: &Value, tensors: &[TensorInfo], _: usize) -> Result<Blueprint, ModelError> {
    classifier("vit", "vit.", config, tensors)
}

/// Reads `config.json` of DeiT, whose distilled kind has a second learned token and classifier.
///
/// # Errors
/// As [`clip`].
pub fn deit(config: &Value, tensors: &[TensorInfo], _: usize) -> Result<Blueprint, ModelError> {
    classifier("deit", "deit.", config, tensors)
}

/// Reads `config.json` of a ViT beside a BERT. Transformers' own pairs take what a pooler makes of the
/// class token; these take the vector that `pooling` names, `cls` or `mean`.
///
/// # Errors
/// As [`clip`].
pub fn dual(
    config: &Value,
    tensors: &[TensorInfo],
    context: usize,
) -> Result<Blueprint, ModelError> {
    let (sees, reads) = (part(config, "vision_config")?, part(config, "text_config")?);
    for tower in [sees, reads] {
        part(tower, "pooling")?;
    }
    let image = VisionConfig::vit(sees)?;
    let text = BertConfig::from_json(Kind::Bert, reads)?;
    let pooling = reads["pooling"].as_str().unwrap_or_default();
    let pool = match pooling {
        "cls" => Pool::First,
        "mean" => Pool::MeanFrom(0),
        _ => return Err(unsupported("text_config.pooling", pooling)),
    };
    let width = number(config, "projection_dim")?;
    let mut b = Builder::new();

    let mut tower = Tower {
        b: &mut b,
        prefix: "vision_model.",
        names: &VIT,
    };
    let seen = vit_hidden(&mut tower, &image, &["embeddings.cls_token"])?;
    let from = match image.pooling {
        Pooling::Cls => Pool::First,
        Pooling::Mean => Pool::MeanFrom(1),
    };
    let seen = tower.b.pool("pooled", seen, None, from)?;
    tower.prefix = "";
    let seen = tower.linear(
        "visual_projection",
        seen,
        [width, image.tower.hidden_size],
        false,
    )?;
    embedding(&mut b, "image", seen)?;

    let [read, lengths] = bert::tower(&mut b, &text, tensors, "text_model.")?;
    let mut read = b.pool("pooled", read, Some(lengths), pool)?;
    const PROJECTION: &str = "text_projection";
    let projected = format!("{PROJECTION}.weight");
    if tensors.iter().any(|tensor| tensor.name == projected) {
        let weight = b.weight(projected, &[width, text.hidden_size])?;
        read = b.linear(PROJECTION, read, weight, None)?;
    } else if text.hidden_size != width {
        return Err(ModelError::MissingWeight(projected));
    }
    embedding(&mut b, "text", read)?;
    scale(&mut b)?;
    let most = text.positions();
    Ok(Blueprint {
        model: b.finish(),
        family: "vision-text-dual-encoder",
        vocab: text.vocab_size,
        max_context: most,
        context: context.min(most),
        rules: None,
        unused: bert::UNUSED,
    })
}

fn classifier(
    family: &'static str,
    prefix: &'static str,
    config: &Value,
    tensors: &[TensorInfo],
) -> Result<Blueprint, ModelError> {
    let sees = VisionConfig::vit(config)?;
    let rows = |name: &str| {
        let found = tensors.iter().find(|tensor| tensor.name == name)?;
        found.shape.first().copied()
    };
    const SECOND: &str = "distillation_classifier";
    if rows(&format!("{SECOND}.weight")).is_some() {
        return Err(unsupported(SECOND, "its mean with the other classifier"));
    }
    let (class, distillation) = ("embeddings.cls_token", "embeddings.distillation_token");
    // DeiT has the second token even where nothing reads what becomes of it.
    let first: &[&'static str] = if family == "deit" {
        &[class, distillation]
    } else {
        &[class]
    };
    let head = "classifier";
    let head_rows = rows(&format!("{head}.weight"));
    let labels = head_rows.ok_or_else(|| ModelError::MissingWeight(format!("{head}.weight")))?;
    let hidden = sees.tower.hidden_size;
    let mut b = Builder::new();
    let mut tower = Tower {
        b: &mut b,
        prefix,
        names: &VIT,
    };
    let x = vit_hidden(&mut tower, &sees, first)?;
    tower.prefix = "";
    let pooled = tower.b.pool("pooled", x, None, Pool::First)?;
    let logits = tower.linear(head, pooled, [labels, hidden], true)?;
    b.set_role(logits, Role::Logits);
    b.entry("image", &[logits])?;
    Ok(Blueprint {
        model: b.finish(),
        family,
        vocab: 0,
        max_context: 0,
        context: 0,
        rules: None,
        unused: &["pooler.dense.weight", "pooler.dense.bias"],
    })
}

/// ViT's hidden states after the last norm, `[batch, q_len, hidden]`.
fn vit_hidden(
    tower: &mut Tower<'_>,
    config: &VisionConfig,
    first: &[&'static str],
) -> Result<NodeId, GraphError> {
    let layers = &config.tower;
    let hidden = layers.hidden_size;
    let patch = "embeddings.patch_embeddings.projection";
    let (x, places) = tower.places(config, patch, true)?;
    let first: Vec<_> = first
        .iter()
        .map(|name| tower.weight(name, &[hidden]))
        .collect::<Result<_, _>>()?;
    let x = tower.b.sequence("embeddings.sequence", x, &first)?;
    let table = "embeddings.position_embeddings";
    let weight = tower.weight(table, &[places + first.len(), hidden])?;
    let added = tower.b.position_embedding(table, weight, 0)?;
    let x = tower.b.binary("embeddings", x, added, Binary::Add)?;
    let x = tower.layers(layers, x, Mask::Full)?;
    tower.norm("layernorm", x, hidden, layers.layer_norm_eps)
}

fn clip_image(b: &mut Builder, config: &VisionConfig, width: usize) -> Result<(), GraphError> {
    let mut tower = Tower {
        b,
        prefix: "vision_model.",
        names: &CLIP,
    };
    let layers = &config.tower;
    let (hidden, eps) = (layers.hidden_size, layers.layer_norm_eps);
    let (x, places) = tower.places(config, "embeddings.patch_embedding", false)?;
    let class = tower.weight("embeddings.class_embedding", &[hidden])?;
    let x = tower.b.sequence("embeddings.sequence", x, &[class])?;
    let table = "embeddings.position_embedding";
    let weight = tower.weight(&format!("{table}.weight"), &[places + 1, hidden])?;
    let added = tower.b.position_embedding(table, weight, 0)?;
    let x = tower.b.binary("embeddings", x, added, Binary::Add)?;
    // Spelt so in every checkpoint.
    let x = tower.norm("pre_layrnorm", x, hidden, eps)?;
    let x = tower.layers(layers, x, Mask::Full)?;
    let x = tower.b.pool("pooled", x, None, Pool::First)?;
    let x = tower.norm("post_layernorm", x, hidden, eps)?;
    tower.prefix = "";
    let x = tower.linear("visual_projection", x, [width, hidden], false)?;
    embedding(b, "image", x)
}

fn clip_text(b: &mut Builder, config: &CaptionConfig, width: usize) -> Result<(), GraphError> {
    let mut tower = Tower {
        b,
        prefix: "text_model.",
        names: &CLIP,
    };
    let layers = &config.tower;
    let hidden = layers.hidden_size;
    let ids = tower.b.input("ids", &[Symbol::Batch, Symbol::QueryLen])?;
    let lengths = tower.b.input("lengths", &[Symbol::Batch])?;
    let words = "embeddings.token_embedding";
    let table = tower.weight(&format!("{words}.weight"), &[config.vocab_size, hidden])?;
    let x = tower.b.embedding(words, ids, table)?;
    let positions = "embeddings.position_embedding";
    let shape = [config.max_position_embeddings, hidden];
    let table = tower.weight(&format!("{positions}.weight"), &shape)?;
    let added = tower.b.position_embedding(positions, table, 0)?;
    let x = tower.b.binary("embeddings", x, added, Binary::Add)?;
    // What pads a text stands behind it, where nothing of it looks.
    let x = tower.layers(layers, x, Mask::Causal)?;
    let x = tower.norm("final_layer_norm", x, hidden, layers.layer_norm_eps)?;
    let x = tower.b.pool("pooled", x, Some(lengths), Pool::Last)?;
    tower.prefix = "";
    let x = tower.linear("text_projection", x, [width, hidden], false)?;
    embedding(b, "text", x)
}

fn embedding(b: &mut Builder, entry: &str, node: NodeId) -> Result<(), GraphError> {
    b.set_role(node, Role::Embedding);
    b.entry(entry, &[node])
}

fn scale(b: &mut Builder) -> Result<(), GraphError> {
    const NAME: &str = "logit_scale";
    let weight = b.weight(NAME, &[1])?;
    let node = b.vector_value(NAME, weight)?;
    b.entry("scale", &[node])
}

fn unsupported(key: &str, value: impl ToString) -> ModelError {
    ModelError::Unsupported {
        key: key.into(),
        value: value.to_string(),
    }
}

fn part<'v>(config: &'v Value, key: &str) -> Result<&'v Value, ModelError> {
    config
        .get(key)
        .ok_or_else(|| ModelError::MissingKey(key.into()))
}

fn number(config: &Value, key: &str) -> Result<usize, ModelError> {
    let number = part(config, key)?
        .as_u64()
        .filter(|n| (1..1 << 16).contains(n));
    number
        .map(|n| n as usize)
        .ok_or_else(|| unsupported(key, &config[key]))
}
