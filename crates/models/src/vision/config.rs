//! What checkpoints say of towers that see pictures or read captions.

use glassformer_graph::Unary;
use serde::Deserialize;
use serde_json::Value;

use crate::ModelError;

/// The largest sizes a config may claim: far above any real model, small enough that the graph
/// stays small before the file has shown that it holds such weights.
const MOST_WIDE: usize = 1 << 16;
const MOST_LAYERS: usize = 1 << 10;
const MOST_SIDE: usize = 1 << 12;

/// A stack of layers that norm their input: ViT's and both of CLIP's.
#[derive(Clone, Debug, PartialEq)]
pub struct TowerConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// Added under the root of the norms.
    pub layer_norm_eps: f32,
    /// Of the feed-forward layer.
    pub activation: Unary,
    /// Whether query, key and value have biases.
    pub qkv_bias: bool,
}

/// A tower that sees pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// Its layers.
    pub tower: TowerConfig,
    /// Pixels of a picture's side.
    pub image_size: usize,
    /// Colours.
    pub num_channels: usize,
    /// Pixels of a patch's side.
    pub patch_size: usize,
    /// Convolutions instead of the one that cuts patches.
    pub stem: Option<StemConfig>,
    /// Which vector stands for the picture.
    pub pooling: Pooling,
}

/// Convolutions, each followed by GELU; a last one of side 1 leads to the width of the tower.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StemConfig {
    /// What each gives.
    pub channels: Vec<usize>,
    /// Pixels from one square to the next.
    pub strides: Vec<usize>,
    /// Side of their squares.
    pub kernel: usize,
    /// Zeros around the picture.
    pub padding: usize,
    activation: String,
}

/// Which vector stands for a picture or a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// That of the class token.
    #[default]
    Cls,
    /// The mean of all others.
    Mean,
}

/// CLIP's tower that reads captions.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionConfig {
    /// Its layers.
    pub tower: TowerConfig,
    /// Tokens.
    pub vocab_size: usize,
    /// Most positions of a text.
    pub max_position_embeddings: usize,
}

#[derive(Deserialize)]
struct Raw {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    layer_norm_eps: Option<f32>,
    hidden_act: Option<String>,
    qkv_bias: Option<bool>,
}

#[derive(Deserialize)]
struct RawVision {
    image_size: usize,
    patch_size: usize,
    #[serde(default = "RawVision::colours")]
    num_channels: usize,
    stem: Option<StemConfig>,
    #[serde(default)]
    pooling: Pooling,
}

impl RawVision {
    fn colours() -> usize {
        3
    }
}

#[derive(Deserialize)]
struct RawCaptions {
    vocab_size: usize,
    max_position_embeddings: usize,
}

fn read<'v, T: Deserialize<'v>>(config: &'v Value) -> Result<T, ModelError> {
    T::deserialize(config).map_err(|error| ModelError::Config(error.to_string()))
}

fn unsupported(key: &str, value: impl ToString) -> ModelError {
    ModelError::Unsupported {
        key: key.into(),
        value: value.to_string(),
    }
}

/// Fails at the first size that is 0 or above what it may be.
fn check(sizes: &[(&str, usize, usize)]) -> Result<(), ModelError> {
    match sizes.iter().find(|(_, n, most)| *n == 0 || n > most) {
        Some((key, value, _)) => Err(unsupported(key, value)),
        None => Ok(()),
    }
}

fn activation(name: &str) -> Result<Unary, ModelError> {
    match name {
        "gelu" => Ok(Unary::Gelu),
        "quick_gelu" => Ok(Unary::QuickGelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Unary::GeluTanh),
        _ => Err(unsupported("hidden_act", name)),
    }
}

impl TowerConfig {
    /// From a config; what it leaves out is what its class takes.
    fn from_json(config: &Value, act: &str, eps: f32) -> Result<Self, ModelError> {
        let raw: Raw = read(config)?;
        check(&[
            ("hidden_size", raw.hidden_size, MOST_WIDE),
            ("intermediate_size", raw.intermediate_size, MOST_WIDE),
            ("num_hidden_layers", raw.num_hidden_layers, MOST_LAYERS),
            ("num_attention_heads", raw.num_attention_heads, MOST_WIDE),
        ])?;
        if !raw.hidden_size.is_multiple_of(raw.num_attention_heads) {
            return Err(ModelError::Inconsistent(format!(
                "{} heads do not divide a width of {}",
                raw.num_attention_heads, raw.hidden_size
            )));
        }
        Ok(Self {
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_hidden_layers: raw.num_hidden_layers,
            num_attention_heads: raw.num_attention_heads,
            layer_norm_eps: raw.layer_norm_eps.unwrap_or(eps),
            activation: activation(raw.hidden_act.as_deref().unwrap_or(act))?,
            qkv_bias: raw.qkv_bias.unwrap_or(true),
        })
    }
}

impl VisionConfig {
    /// From a `config.json` of ViT or DeiT.
    ///
    /// # Errors
    /// If a field is missing, contradicts another, or asks for what is not supported.
    pub fn vit(config: &Value) -> Result<Self, ModelError> {
        Self::from_json(config, TowerConfig::from_json(config, "gelu", 1e-12)?)
    }

    /// From `vision_config` of CLIP.
    ///
    /// # Errors
    /// As [`Self::vit`].
    pub fn clip(config: &Value) -> Result<Self, ModelError> {
        Self::from_json(config, TowerConfig::from_json(config, "quick_gelu", 1e-5)?)
    }

    fn from_json(config: &Value, tower: TowerConfig) -> Result<Self, ModelError> {
        let raw: RawVision = read(config)?;
        check(&[
            ("image_size", raw.image_size, MOST_SIDE),
            ("patch_size", raw.patch_size, raw.image_size),
            ("num_channels", raw.num_channels, MOST_WIDE),
        ])?;
        if let Some(stem) = &raw.stem {
            if stem.channels.len() != stem.strides.len() {
                return Err(unsupported("stem.strides", stem.strides.len()));
            }
            activation(&stem.activation).and_then(|act| match act {
                Unary::Gelu => Ok(()),
                _ => Err(unsupported("stem.activation", &stem.activation)),
            })?;
            let side = raw.image_size;
            check(&[
                ("stem.kernel", stem.kernel, side),
                ("stem.padding", stem.padding + 1, side),
            ])?;
            for (&channels, &stride) in stem.channels.iter().zip(&stem.strides) {
                check(&[
                    ("stem.channels", channels, MOST_WIDE),
                    ("stem.strides", stride, side),
                ])?;
            }
        }
        Ok(Self {
            tower,
            image_size: raw.image_size,
            num_channels: raw.num_channels,
            patch_size: raw.patch_size,
            stem: raw.stem,
            pooling: raw.pooling,
        })
    }
}

impl CaptionConfig {
    /// From `text_config` of CLIP.
    ///
    /// # Errors
    /// As [`VisionConfig::vit`].
    pub fn clip(config: &Value) -> Result<Self, ModelError> {
        let raw: RawCaptions = read(config)?;
        check(&[
            ("vocab_size", raw.vocab_size, 1 << 24),
            (
                "max_position_embeddings",
                raw.max_position_embeddings,
                MOST_WIDE,
            ),
        ])?;
        Ok(Self {
            tower: TowerConfig::from_json(config, "quick_gelu", 1e-5)?,
            vocab_size: raw.vocab_size,
            max_position_embeddings: raw.max_position_embeddings,
        })
    }
}
