//! What is asked of a translation and what comes of it.

use glassformer_tasks::translation::{BeamNode, TranslateSettings};
use serde::{Deserialize, Serialize};

/// A text to translate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TranslateRequest {
    /// What to translate.
    pub text: String,
    /// Its language (ISO 639-1), which says how sentences end.
    pub from: String,
    /// How to search.
    pub settings: TranslateSettings,
    /// Tokens that the translation of one sentence is to begin with.
    pub forced: Option<ForcedStart>,
    /// Whether every hypothesis is told.
    pub trace: bool,
    /// The one sentence that is wanted, from 0; the others are left out.
    pub only: Option<u32>,
    /// Most sentences that are translated side by side, 1 to 32; without, as many as the backend gains
    /// from. They say the same either way.
    pub together: Option<u32>,
}

/// Where a translation leaves the way the search would go by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForcedStart {
    /// The sentence, from 0.
    pub sentence: u32,
    /// Vocabulary ids.
    pub ids: Vec<u32>,
}

/// A token of either language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TranslateToken {
    /// Vocabulary id.
    pub id: u32,
    /// Its text; a space before a word is kept.
    pub text: String,
    /// Natural log of its probability, if it was written.
    pub log_prob: Option<f64>,
}

/// One translation of a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    /// The translation.
    pub target: String,
    /// Sum of the log-probabilities of its tokens.
    pub score: f64,
    /// What translations of different lengths are compared by.
    pub normalised: f64,
    /// Whether the model ended it; otherwise it was cut off.
    pub ended: bool,
    /// Its tokens, its end included.
    pub tokens: Vec<TranslateToken>,
    /// How much each token attended to each of the source, `[tokens][source tokens]`.
    pub alignment: Vec<Vec<f32>>,
    /// Its last node in the tree.
    pub node: u32,
}

/// A sentence and its translations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TranslatedSentence {
    /// From 0.
    pub index: u32,
    /// What stands between the sentence before and this one.
    pub before: String,
    /// The sentence.
    pub source: String,
    /// Its tokens, its end included.
    pub tokens: Vec<TranslateToken>,
    /// Words on its shortlist; 0 if all were looked at.
    pub candidates: u32,
    /// Its translations, best first; at least one.
    pub alternatives: Vec<Alternative>,
    /// Every hypothesis that was looked at, if that was asked for.
    pub tree: Vec<BeamNode>,
    /// Texts of the tree's tokens.
    pub texts: Vec<String>,
}

/// A translated text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Translated {
    /// All of it.
    pub text: String,
    /// Words of the source per second.
    pub words_per_second: f64,
    /// From request to answer.
    pub seconds: f64,
}

/// What a model that translates has to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TranslatorShape {
    /// Layers of cross-attention.
    pub layers: u32,
    /// Heads of each.
    pub heads: u32,
    /// Whether it came with a shortlist.
    pub shortlist: bool,
    /// Whether its decoder also looks at what it has written.
    pub own: bool,
}
