//! The recorded example: a real answer, shown until there is a live one.

use glassformer_engine::protocol::MaskResult;
use serde::Deserialize;

/// An answer as it was recorded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Recording {
    /// What ran, for people: name and encoding of the model.
    model: String,
    /// What it ran on, for people, such as "CPU, exact".
    on: String,
    /// What it answered.
    pub result: MaskResult,
}

impl Recording {
    /// The recording that is part of the page; `None` if it cannot be read, which a test rules out.
    pub fn load() -> Option<Self> {
        serde_json::from_str(include_str!("../../../assets/recorded-fill-mask.json")).ok()
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
    use crate::tabs::fill_mask::OPENING;

    #[test]
    fn the_recording_is_of_the_opening_sentence() {
        let recording = Recording::load().unwrap();
        assert!(!recording.model.is_empty() && !recording.on.is_empty());
        let result = recording.result;
        assert_eq!(result.sentences, [OPENING]);
        assert_eq!(result.masks.len(), 1);
        assert!(result.masks[0].predictions.len() >= 5);
        let attention = result.attention.unwrap();
        let row = attention.row([0, 0, 0], 1, result.tokens.len()).unwrap();
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }
}
