//! One of the texts that are looked at side by side, and what was answered to it.

use std::sync::Arc;

use glassformer_engine::protocol::MaskResult;
use leptos::prelude::*;

use super::words::{self, Hidden};
use crate::page::Problem;

/// An answer and what it answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The text as it was sent.
    pub text: String,
    /// The answer.
    pub result: Arc<MaskResult>,
}

/// A text and its answer.
#[derive(Clone, Copy)]
pub struct Side {
    /// What the person typed.
    pub text: RwSignal<String>,
    /// The text that `hidden` belongs to.
    pub known: StoredValue<String>,
    /// What stands behind its masks, in their order.
    pub hidden: RwSignal<Vec<Option<Hidden>>>,
    /// The last answer.
    pub answer: RwSignal<Option<Answered>>,
    /// Why there is none.
    pub problem: RwSignal<Option<Problem>>,
    /// What was done on the way, in one sentence; may be empty.
    pub said: RwSignal<String>,
    /// The text before the last replacement.
    pub undo: RwSignal<Option<(String, Vec<Option<Hidden>>)>>,
    /// The mask whose attention is drawn.
    pub mask: RwSignal<usize>,
    /// Id of the request under way.
    pub request: StoredValue<Option<u32>>,
    /// Counts requests: answers to older ones are ignored.
    pub serial: StoredValue<u32>,
}

impl Side {
    /// A side with this text and no answer.
    pub fn new(text: RwSignal<String>, problem: RwSignal<Option<Problem>>) -> Self {
        let count = text.with_untracked(|text| words::masks(text).len());
        Self {
            known: StoredValue::new(text.get_untracked()),
            text,
            hidden: RwSignal::new(vec![None; count]),
            answer: RwSignal::new(None),
            problem,
            said: RwSignal::new(String::new()),
            undo: RwSignal::new(None),
            mask: RwSignal::new(0),
            request: StoredValue::new(None),
            serial: StoredValue::new(0),
        }
    }

    /// Whether the answer is to another text than the one that stands there.
    pub fn is_stale(&self) -> bool {
        self.answer.with(|answer| {
            let answer = answer.as_ref();
            answer.is_some_and(|answer| self.text.with(|text| *text != answer.text))
        })
    }

    /// The end of the text that the model did not read.
    pub fn left_out(&self) -> Option<String> {
        self.answer.with(|answer| {
            let Answered { text, result } = answer.as_ref()?;
            let cut = result.shortened.iter().find(|cut| cut.sentence == 0)?;
            // The model's own masks may be written otherwise; then the place is not the text's.
            let rest = text.get(cut.bytes as usize..)?;
            const SHOWN: usize = 400;
            let shown: String = rest.chars().take(SHOWN).collect();
            let more = rest.chars().count().saturating_sub(SHOWN);
            Some(if more == 0 {
                shown
            } else {
                format!(
                    "{shown} … and {} more characters",
                    crate::format::grouped(more as u64)
                )
            })
        })
    }
}
