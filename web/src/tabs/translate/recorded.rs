//! The recorded example: a real translation, shown until there is a live one.

use glassformer_engine::protocol::TranslatedSentence;
use serde::Deserialize;

/// A translation as it was recorded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Recording {
    /// What ran, for people.
    model: String,
    /// What it ran on and how, for people.
    on: String,
    /// What it answered.
    pub sentence: TranslatedSentence,
}

impl Recording {
    /// The recording that is part of the page; `None` if it cannot be read, which a test rules out.
    pub fn load() -> Option<Self> {
        serde_json::from_str(include_str!("../../../assets/recorded-translate.json")).ok()
    }

    /// What it was recorded with.
    pub fn source(&self) -> String {
        format!("{} · {}", self.model, self.on)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tabs::translate::OPENING;

    #[test]
    fn the_recording_is_of_the_opening_sentence() {
        let Recording {
            model,
            on,
            sentence,
        } = Recording::load().unwrap();
        assert!(!model.is_empty() && on.contains("beams"));
        assert_eq!(sentence.source, OPENING);
        assert_eq!(sentence.tree.len(), sentence.texts.len());
        for found in &sentence.alternatives {
            let sum: f64 = found.tokens.iter().filter_map(|t| t.log_prob).sum();
            assert!((sum - found.score).abs() < 1e-5);
            let node = &sentence.tree[found.node as usize];
            assert!((node.score - found.score).abs() < 1e-6);
            for row in &found.alignment {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4);
            }
        }
    }
}
