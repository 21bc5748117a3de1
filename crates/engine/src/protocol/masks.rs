//! What is said about masks.

use serde::{Deserialize, Serialize};

/// A text with masks, and what is wanted of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaskRequest {
    /// The text; a mask is written `[MASK]`, or as the model calls it.
    pub text: String,
    /// A second sentence that the model reads behind it, if any.
    #[serde(default)]
    pub pair: Option<String>,
    /// How many words to name for each mask.
    pub top: u32,
    /// Whether to fill all masks together: the surest first, the others with it in its place.
    #[serde(default)]
    pub fill: bool,
    /// Whether to tell what the masks attended to.
    #[serde(default)]
    pub attention: bool,
    /// Words of which to tell into how many pieces the model takes them.
    #[serde(default)]
    pub words: Vec<String>,
}

/// The words behind the masks of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaskResult {
    /// The text and its pair with the model's own masks, cut where they no longer fit.
    pub sentences: Vec<String>,
    /// As the model sees them, special tokens too.
    pub tokens: Vec<MaskToken>,
    /// Of each mask, in their order.
    pub masks: Vec<MaskPredictions>,
    /// Sentences of which the end was left out.
    pub shortened: Vec<MaskCut>,
    /// Tokens that stand for something the vocabulary lacks.
    pub unknown: u32,
    /// All masks filled together, in the order in which they were.
    pub filled: Vec<FilledMask>,
    /// What the masks attended to, if it was asked for.
    pub attention: Option<MaskAttention>,
    /// Pieces of each of the words that were asked about.
    #[serde(default)]
    pub pieces: Vec<u32>,
    /// From the request to the answer.
    pub seconds: f64,
}

/// A token of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaskToken {
    /// Vocabulary id.
    pub id: u32,
    /// Its text; a piece that goes on with a word begins with `##` where the model has such.
    pub text: String,
    /// Whether it is a special token.
    pub special: bool,
    /// 0 or 1; nothing for what stands around the sentences.
    pub sentence: Option<u32>,
    /// Where it begins in its sentence, in bytes of UTF-8.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// Which word of its sentence it is part of, if it is of one.
    pub word: Option<u32>,
}

/// The likeliest words behind one mask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaskPredictions {
    /// Place of the mask among the tokens.
    pub position: u32,
    /// Likeliest first.
    pub predictions: Vec<Prediction>,
}

/// A word behind a mask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prediction {
    /// Vocabulary id.
    pub id: u32,
    /// The token as the vocabulary has it.
    pub token: String,
    /// What it puts in the mask's place.
    pub text: String,
    /// Whether that goes on with the word before it, without a space.
    pub joins: bool,
    /// Its probability.
    pub score: f32,
}

/// A mask filled together with the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilledMask {
    /// Which mask, from 0.
    pub mask: u32,
    /// Its word, and how likely it was once the masks before it were filled.
    pub with: Prediction,
}

/// A sentence of which the end was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaskCut {
    /// Which, 0 or 1.
    pub sentence: u32,
    /// Bytes of it that are left.
    pub bytes: u32,
}

/// What the masks attended to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaskAttention {
    /// Layers.
    pub layers: u32,
    /// Heads of each.
    pub heads: u32,
    /// Weights `[layer][head][mask][token]` as bytes (on the wire a `Uint8Array`), f32,
    /// little-endian.
    #[serde(with = "serde_bytes")]
    pub weights: Vec<u8>,
}

impl MaskAttention {
    /// The weights of one mask in a layer and head over `tokens` tokens, of `masks` masks.
    pub fn row(
        &self,
        [layer, head, mask]: [usize; 3],
        masks: usize,
        tokens: usize,
    ) -> Option<Vec<f32>> {
        let inside = layer < self.layers as usize && head < self.heads as usize && mask < masks;
        let (words, _) = self.weights.as_chunks::<4>();
        let row = (layer * self.heads as usize + head) * masks + mask;
        let row = words
            .get(row * tokens..(row + 1) * tokens)
            .filter(|_| inside)?;
        Some(row.iter().map(|word| f32::from_le_bytes(*word)).collect())
    }
}
