//! What the page and the worker say about attention. Tensors travel as bytes: little-endian f32,
//! read back by [`floats`].

pub use glassformer_tasks::attention::{EVEN, HABIT, Habit, HeadStats};
use glassformer_tasks::attention::{Focus, Layout};
use serde::{Deserialize, Serialize};

use super::PromptToken;

/// Which of a model's attentions to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttendTo {
    /// That of a text to itself; a translator's encoder.
    #[default]
    Own,
    /// What a translation reads in its source.
    Source,
    /// What a translation reads in itself.
    Written,
}

/// The attention a model has over its own text, or over a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttentionShape {
    /// Layers.
    pub layers: u32,
    /// Query heads of each layer.
    pub heads: u32,
    /// Key and value heads of each layer; divides `heads`.
    pub kv_heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Multiplies query · key.
    pub scale: f32,
    /// Whether a token sees only itself and those before.
    pub causal: bool,
    /// Whether it reads two sentences as a pair.
    pub pairs: bool,
}

impl From<&Layout> for AttentionShape {
    fn from(layout: &Layout) -> Self {
        Self {
            layers: layout.layers.len() as u32,
            heads: layout.heads as u32,
            kv_heads: layout.kv_heads as u32,
            head_dim: layout.head_dim as u32,
            scale: layout.scale,
            causal: layout.causal,
            pairs: layout.pairs,
        }
    }
}

/// A text or a picture that was run, and what its heads do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttentionSummary {
    /// The tokens that were run.
    pub tokens: Vec<PromptToken>,
    /// Index of the first token of the second sentence, if there are two.
    pub second: Option<u32>,
    /// Whether the second is the source that the first, a translation, reads; it reads nothing itself.
    #[serde(default)]
    pub to_source: bool,
    /// Tokens the text has; more than `tokens` where it was cut.
    pub of: u32,
    /// Whether the text is so long that it was not even counted to its end.
    pub more: bool,
    /// The model's attention.
    pub shape: AttentionShape,
    /// Side of a thumbnail.
    pub side: u32,
    /// `[layers, heads, side, side]`: the largest weight of each block of cells.
    #[serde(with = "serde_bytes")]
    pub thumbnails: Vec<u8>,
    /// `[layers, heads]`.
    pub stats: Vec<HeadStats>,
    /// Time of the run.
    pub seconds: f64,
    /// What was seen, if it was a picture: its places are the tokens.
    #[serde(default)]
    pub picture: Option<SeenPlaces>,
}

/// A picture as a model saw it, and where its places are: learned tokens first, then the patches row by
/// row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenPlaces {
    /// Learned tokens in front of the patches.
    pub first: u32,
    /// Patches of a row and of a column.
    pub grid: u32,
    /// Pixels of a side.
    pub side: u32,
    /// `[side, side, 3]`.
    #[serde(with = "serde_bytes")]
    pub rgb: Vec<u8>,
    /// A classifier's likeliest names and their shares, best first; none where it has no names.
    pub labels: Vec<(String, f32)>,
}

/// Whose map is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MapOf {
    /// What one head looked at.
    Head {
        /// From 0.
        layer: u32,
        /// From 0.
        head: u32,
    },
    /// The rollout of all layers up to one. Averaged over heads, so derived.
    Rollout {
        /// From 0.
        layer: u32,
    },
}

/// One query of one head, all the way; see [`Focus`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FocusNumbers {
    /// `[head_dim]`.
    #[serde(with = "serde_bytes")]
    pub query: Vec<u8>,
    /// `[keys, head_dim]`.
    #[serde(with = "serde_bytes")]
    pub keys: Vec<u8>,
    /// `[keys, head_dim]`.
    #[serde(with = "serde_bytes")]
    pub values: Vec<u8>,
    /// `[keys]`, scaled and masked.
    #[serde(with = "serde_bytes")]
    pub scores: Vec<u8>,
    /// `[keys]`, summing to one.
    #[serde(with = "serde_bytes")]
    pub probs: Vec<u8>,
    /// `[heads · head_dim]`.
    #[serde(with = "serde_bytes")]
    pub context: Vec<u8>,
    /// `[hidden]`.
    #[serde(with = "serde_bytes")]
    pub output: Vec<u8>,
}

impl From<&Focus> for FocusNumbers {
    fn from(focus: &Focus) -> Self {
        Self {
            query: bytes(&focus.query),
            keys: bytes(&focus.keys),
            values: bytes(&focus.values),
            scores: bytes(&focus.scores),
            probs: bytes(&focus.probs),
            context: bytes(&focus.context),
            output: bytes(&focus.output),
        }
    }
}

impl From<&FocusNumbers> for Focus {
    fn from(numbers: &FocusNumbers) -> Self {
        Self {
            query: floats(&numbers.query),
            keys: floats(&numbers.keys),
            values: floats(&numbers.values),
            scores: floats(&numbers.scores),
            probs: floats(&numbers.probs),
            context: floats(&numbers.context),
            output: floats(&numbers.output),
        }
    }
}

/// Numbers as they travel.
pub fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Undoes [`bytes`]; what is no whole number at the end is left out.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| f32::from_le_bytes(*word)).collect()
}
