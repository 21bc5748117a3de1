//! What is said about pictures and texts.

use serde::{Deserialize, Serialize};

/// A picture, seen by the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenPicture {
    /// Of length one: products with texts' are cosines.
    pub embedding: Vec<f32>,
    /// Pixels of a side of what the model saw.
    pub side: u32,
    /// What the model saw, `[side, side, 3]`.
    #[serde(with = "serde_bytes")]
    pub rgb: Vec<u8>,
}

/// Texts, read by the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextsRead {
    /// In the order in which they were asked for.
    pub texts: Vec<ReadText>,
    /// What cosines are multiplied by before the softmax.
    pub scale: f32,
    /// From the request to the answer.
    pub seconds: f64,
}

/// A text, read by the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadText {
    /// Of length one; empty if there is a problem.
    pub embedding: Vec<f32>,
    /// Its tokens, special ones too.
    pub tokens: u32,
    /// Whether its end was left out.
    pub cut: bool,
    /// Why it could not be read, in one sentence.
    pub problem: Option<String>,
}

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyRequest {
    /// What the model saw, `[side, side, 3]`.
    #[serde(with = "serde_bytes")]
    pub rgb: Vec<u8>,
    /// The text, in its template.
    pub text: String,
}

/// What mattered for the score of a picture and a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// Cosine of the whole picture and the whole text.
    pub base: f32,
    /// Parts of a row and of a column that were hidden.
    pub cells: u32,
    /// What the cosine loses without each part, row by row; below zero where it gains.
    pub drops: Vec<f32>,
    /// The test of these numbers.
    pub deletion: WhyDeletion,
    /// Patches of a row and of a column.
    pub grid: u32,
    /// How much of each patch reaches the picture's vector by attention rollout, row by row. Averaged over
    /// heads, so derived; the same for every text.
    pub rollout: Vec<f32>,
    /// The words of the text.
    pub words: Vec<WhyWord>,
    /// From the request to the answer.
    pub seconds: f64,
}

/// What hiding several parts at once does to the cosine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyDeletion {
    /// How many are hidden.
    pub parts: u32,
    /// Without those that mattered most.
    pub highest: f32,
    /// Without as many random ones, the mean of several draws.
    pub random: f32,
}

/// A word of a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyWord {
    /// Where it begins, in bytes of UTF-8.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// What the cosine loses without it; nothing if no other word is left.
    pub drop: Option<f32>,
}
