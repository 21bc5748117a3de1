//! The recorded example: a real run, shown until there is a live one.

use glassformer_engine::protocol::GenerateSettings;
use serde::Deserialize;

use crate::components::token_stream::Token;
use crate::settings;

/// A run as it was recorded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Recording {
    /// What ran, for people: name and encoding of the model.
    model: String,
    /// What it ran on, for people, such as "CPU, exact".
    #[serde(default)]
    on: String,
    /// With which settings.
    settings: GenerateSettings,
    /// What it was asked.
    pub prompt: String,
    tokens: Vec<RecordedToken>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct RecordedToken {
    id: u32,
    text: String,
    logprob: f32,
}

impl Recording {
    /// The recording that is part of the page; `None` if it cannot be read, which a test rules out.
    pub fn load() -> Option<Self> {
        serde_json::from_str(include_str!("../../../assets/recorded-generate.json")).ok()
    }

    /// What was written.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.tokens.iter().map(|token| Token {
            id: token.id,
            text: token.text.clone(),
            logprob: token.logprob,
            kept: None,
        })
    }

    /// What it was recorded on and with.
    pub fn source(&self) -> String {
        let parts = [
            self.model.as_str(),
            self.on.as_str(),
            &settings::in_a_line(&self.settings),
        ];
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" · ")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_recording_is_whole() {
        let recording = Recording::load().unwrap();
        assert!(!recording.model.is_empty() && !recording.prompt.is_empty());
        assert!(recording.tokens.len() >= 16);
        for token in recording.tokens() {
            assert!(
                token.logprob <= 1e-5 && token.logprob.is_finite(),
                "{token:?}"
            );
        }
        let text: String = recording.tokens().map(|token| token.text).collect();
        assert!(!text.trim().is_empty() && !text.contains('\u{fffd}'));
    }
}
