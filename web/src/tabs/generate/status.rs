//! How far a run is, and the line that says it.

use glassformer_engine::protocol::{FinishReason, GenerateStats};

use crate::format;

/// The phases of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Phase {
    /// Nothing has run yet, or the load was cancelled.
    #[default]
    Idle,
    /// The model is on its way.
    Loading,
    /// The prompt is being computed.
    Reading {
        /// Tokens done.
        done: u32,
        /// Tokens in all; 0 while unknown.
        total: u32,
    },
    /// Tokens are coming.
    Writing(Pace),
    /// Done.
    Finished(FinishReason, GenerateStats),
    /// It could not be done.
    Failed,
}

/// What the page measures while tokens are coming.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Tokens so far.
    pub tokens: u32,
    /// Seconds from the request to the first.
    pub first_token_seconds: f64,
    /// Seconds from the first to the last.
    pub since_first_seconds: f64,
}

impl Phase {
    /// Whether Stop has something to stop.
    pub fn is_active(&self) -> bool {
        matches!(
            self,
            Self::Loading | Self::Reading { .. } | Self::Writing(_)
        )
    }

    /// The status line.
    pub fn in_words(&self) -> String {
        match self {
            Self::Idle | Self::Failed => String::new(),
            Self::Loading => "loading the model".into(),
            Self::Reading { total: 0, .. } => "reading the prompt".into(),
            Self::Reading { done, total } => format!(
                "reading the prompt {}/{}",
                format::grouped((*done).into()),
                format::grouped((*total).into())
            ),
            Self::Writing(pace) => line(
                pace.tokens_per_second(),
                pace.first_token_seconds,
                pace.tokens,
                "writing",
            ),
            Self::Finished(reason, stats) => {
                let speed = (stats.decode_tps > 0.0).then_some(stats.decode_tps);
                line(
                    speed,
                    stats.first_token_seconds,
                    stats.tokens,
                    reason_in_words(*reason),
                )
            }
        }
    }
}

impl Pace {
    /// Speed after the first token; unknown before the second.
    fn tokens_per_second(&self) -> Option<f64> {
        (self.tokens > 1 && self.since_first_seconds > 0.0)
            .then(|| f64::from(self.tokens - 1) / self.since_first_seconds)
    }
}

/// Why a run ended, in words.
pub fn reason_in_words(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::End => "the model ended it",
        FinishReason::MaxTokens => "maximum tokens reached",
        FinishReason::StopString => "stop string reached",
        FinishReason::Context => "context full",
        FinishReason::Stopped => "stopped",
    }
}

fn line(speed: Option<f64>, first_token: f64, tokens: u32, end: &str) -> String {
    let mut parts = Vec::new();
    if let Some(speed) = speed {
        parts.push(format::rate(speed));
    }
    if tokens > 0 {
        parts.push(format!("first token {}", format::seconds(first_token)));
    }
    parts.push(format::counted(tokens.into(), "token"));
    parts.push(end.to_string());
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_from_first_to_last() {
        assert_eq!(Phase::Idle.in_words(), "");
        assert_eq!(
            Phase::Reading {
                done: 64,
                total: 1200
            }
            .in_words(),
            "reading the prompt 64/1,200"
        );
        let first = Pace {
            tokens: 1,
            first_token_seconds: 0.413,
            since_first_seconds: 0.0,
        };
        assert_eq!(
            Phase::Writing(first).in_words(),
            "first token 0.41 s · 1 token · writing"
        );
        let later = Pace {
            tokens: 21,
            since_first_seconds: 0.5,
            ..first
        };
        assert_eq!(
            Phase::Writing(later).in_words(),
            "40.0 tok/s · first token 0.41 s · 21 tokens · writing"
        );
        let stats = GenerateStats {
            tokens: 57,
            first_token_seconds: 0.413,
            decode_tps: 38.2,
            ..Default::default()
        };
        let end = Phase::Finished(FinishReason::Stopped, stats);
        assert_eq!(
            end.in_words(),
            "38.2 tok/s · first token 0.41 s · 57 tokens · stopped"
        );
    }

    #[test]
    fn a_run_that_wrote_nothing_names_no_speed() {
        let end = Phase::Finished(FinishReason::End, GenerateStats::default());
        assert_eq!(end.in_words(), "0 tokens · the model ended it");
    }

    #[test]
    fn only_work_under_way_can_be_stopped() {
        assert!(Phase::Loading.is_active() && Phase::Reading { done: 0, total: 0 }.is_active());
        assert!(!Phase::Idle.is_active() && !Phase::Failed.is_active());
        assert!(!Phase::Finished(FinishReason::End, GenerateStats::default()).is_active());
    }
}
