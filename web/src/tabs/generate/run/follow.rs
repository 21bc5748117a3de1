//! What the engine tells of a run.

use std::sync::Arc;

use glassformer_engine::protocol::{self, Event, FinishReason, GenerateStats};
use leptos::prelude::*;

use super::{Asked, Into, Runs};
use crate::components::token_stream::{Kept, Token};
use crate::engine_client::{Events, RESTARTED};
use crate::model::now_seconds;
use crate::page::Problem;
use crate::tabs::generate::sentence::Sentence;
use crate::tabs::generate::status::{Pace, Phase};

/// What was heard of a run so far, over the engine's death too.
pub(super) struct Heard {
    /// What makes room for the text, until the engine has taken the prompt.
    begun: Option<(Asked, Into)>,
    asked_at: f64,
    first_at: Option<f64>,
    /// Tokens.
    written: u32,
    sentence: Sentence,
}

impl Heard {
    /// Nothing yet.
    pub(super) fn new(asked: Asked, into: Into) -> Self {
        Self {
            begun: Some((asked, into)),
            asked_at: now_seconds(),
            first_at: None,
            written: 0,
            sentence: Sentence::default(),
        }
    }

    /// Whether the engine has taken the prompt.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.is_none()
    }
}

impl Runs {
    /// Shows what the engine tells until it ends, or the run is another; says if the engine died.
    pub(super) async fn follow(
        self,
        run: u32,
        heard: &mut Heard,
        mut events: Events,
    ) -> Option<Problem> {
        while let Some(event) = events.next().await {
            if !self.is_current(run) {
                return None;
            }
            match event {
                Event::Prompt { tokens } => {
                    let total = tokens.len() as u32;
                    if let Some((asked, into)) = heard.begun.take() {
                        self.make_room(asked, into, tokens);
                    }
                    self.phase.set(Phase::Reading { done: 0, total });
                }
                Event::Moved { model, notice } => self.desk.model.moved(model, &notice),
                Event::Prefill { done, total } => self.phase.set(Phase::Reading { done, total }),
                Event::Token {
                    index,
                    id,
                    text,
                    logprob,
                    kept,
                } => {
                    let now = now_seconds();
                    let first = *heard.first_at.get_or_insert(now);
                    heard.written += 1;
                    if let Some(whole) = heard.sentence.push(&text) {
                        self.spoken.set(whole);
                    }
                    let texts = kept.texts;
                    let kept = protocol::unpack(&kept.logits);
                    let token = Token {
                        id,
                        text,
                        logprob,
                        kept: kept.map(|logits| Arc::new(Kept { logits, texts })),
                    };
                    self.take(index as usize, token);
                    self.phase.set(Phase::Writing(Pace {
                        tokens: heard.written,
                        first_token_seconds: first - heard.asked_at,
                        since_first_seconds: now - first,
                    }));
                }
                Event::Finished {
                    reason,
                    text,
                    stats,
                } => self.ended(heard, reason, text, stats),
                Event::Failed { message, detail } => {
                    let problem = Problem {
                        sentence: message,
                        detail,
                    };
                    if problem.sentence == RESTARTED {
                        return Some(problem);
                    }
                    self.fail(problem);
                }
                _ => {}
            }
        }
        None
    }

    /// The text is over, with what the engine counted.
    pub(super) fn ended(
        self,
        heard: &mut Heard,
        reason: FinishReason,
        text: String,
        mut stats: GenerateStats,
    ) {
        heard.sentence.push(&text);
        // An engine that was started again has written the last of them only, one that was stopped elsewhere none.
        if stats.tokens != heard.written {
            let first_at = heard.first_at.unwrap_or(heard.asked_at);
            stats.tokens = heard.written;
            stats.first_token_seconds = first_at - heard.asked_at;
        }
        let phase = Phase::Finished(reason, stats);
        self.finish(phase, text);
        self.phase.set(phase);
        self.spoken.set(heard.sentence.end(reason, stats.tokens));
    }
}
