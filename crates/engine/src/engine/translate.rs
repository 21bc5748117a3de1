//! Texts translated by the loaded model, sentence by sentence.

use std::collections::VecDeque;

use glassformer_tasks::TaskError;
use glassformer_tasks::translation::{LONGEST_SENTENCE, pieces};
use glassformer_text::{SpecialTokens, Tokenizer};
use web_time::{Duration, Instant};

use super::{Engine, Result};
use crate::protocol::{Event, TranslateRequest, Translated, TranslatedSentence};
use crate::{Cancel, EngineError, yield_now};

mod together;

pub(crate) use together::SIDE_BY_SIDE;

/// How long is computed before waiting messages are looked at.
const TURN: Duration = Duration::from_millis(8);

impl Engine {
    /// Translates a text, or one sentence of it; `emit` hears every sentence as soon as it and those before
    /// it are done, and of a lost device (`Moved`).
    ///
    /// # Errors
    /// If nothing is loaded, the model does not translate, there is nothing to translate, or a setting
    /// is out of range; or on cancel, which is heard between two tokens and while a device computes.
    pub async fn translate(
        &mut self,
        request: &TranslateRequest,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<Translated> {
        let start = Instant::now();
        request.settings.check()?;
        let ready = self.models.last().ok_or(EngineError::NoModel)?;
        if ready.loaded.translation.is_none() {
            return Err(TaskError::CannotTranslate.into());
        }
        ready.side_by_side(request)?;
        let tokenizer = ready.loaded.tokenizer.clone();
        let cut = pieces(&request.from, &request.text);
        if !cut.iter().any(|piece| piece.is_sentence) {
            return Err(TaskError::NothingToTranslate.into());
        }
        let mut done = Done {
            text: String::new(),
            words: 0,
            total: request.text.len() as u32,
            emit,
        };
        let (mut before, mut index, mut read) = (String::new(), 0, 0);
        let mut turn = Turn {
            cancel,
            began: Instant::now(),
        };
        // The first is wanted at once; the more are on their way, the more go together.
        let (mut waiting, mut size) = (VecDeque::new(), 1);
        for piece in cut {
            let begins = read;
            read += piece.text.len();
            if !piece.is_sentence {
                before.push_str(piece.text);
                continue;
            }
            turn.pause().await?;
            let ids = tokenizer.encode(piece.text, SpecialTokens::Parse)?;
            let parts = parts(&tokenizer, &ids);
            let (count, whole) = (parts.len(), parts.len() == 1);
            for (i, ids) in parts.into_iter().enumerate() {
                if i > 0 {
                    before.push(' ');
                }
                let source = if whole {
                    piece.text.to_owned()
                } else {
                    tokenizer.decode(&ids)
                };
                let part = Part {
                    index,
                    before: std::mem::take(&mut before),
                    source,
                    ids,
                    read: (begins + piece.text.len() * (i + 1) / count) as u32,
                };
                index += 1;
                if request.only.is_some_and(|only| only != part.index) {
                    done.text.push_str(&part.before);
                    continue;
                }
                waiting.push_back(part);
                if waiting.len() == size {
                    self.sentences(request, &mut waiting, &mut done, &mut turn)
                        .await?;
                    // Another number once a lost device was replaced by the CPU.
                    let ready = self.models.last().ok_or(EngineError::NoModel)?;
                    size = (2 * size).min(ready.side_by_side(request)?);
                }
            }
        }
        self.sentences(request, &mut waiting, &mut done, &mut turn)
            .await?;
        done.text.push_str(&before);
        let seconds = start.elapsed().as_secs_f64();
        Ok(Translated {
            text: done.text,
            words_per_second: done.words as f64 / seconds.max(1e-9),
            seconds,
        })
    }

    /// The sentences that wait, side by side; after a lost device those that are left are translated
    /// elsewhere.
    async fn sentences(
        &mut self,
        request: &TranslateRequest,
        waiting: &mut VecDeque<Part>,
        done: &mut Done<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<()> {
        while !waiting.is_empty() {
            let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
            match ready.sentences(request, waiting, done, turn).await {
                Err(EngineError::Task(TaskError::Exec(error))) if error.is_of_device() => {
                    let (place, notice) = self.executors.after_loss(ready, &error).await;
                    ready.move_to(place, turn.cancel).await?;
                    let model = ready.info.clone();
                    (done.emit)(Event::Moved { model, notice });
                }
                sentences => return sentences,
            }
        }
        Ok(())
    }
}

/// A sentence, or a part of one that is too long.
struct Part {
    index: u32,
    /// What stands between the one before and this.
    before: String,
    source: String,
    ids: Vec<u32>,
    /// Bytes of the text up to its end.
    read: u32,
}

/// What is translated, and who hears of it.
struct Done<'e> {
    text: String,
    /// Of the source.
    words: usize,
    /// Bytes of the text.
    total: u32,
    emit: &'e mut dyn FnMut(Event),
}

impl Done<'_> {
    fn sentence(&mut self, sentence: TranslatedSentence, read: u32) {
        self.words += sentence.source.split_whitespace().count();
        self.text.push_str(&sentence.before);
        if let Some(best) = sentence.alternatives.first() {
            self.text.push_str(&best.target);
        }
        (self.emit)(Event::Sentence {
            sentence,
            done: read,
            total: self.total,
        });
    }
}

/// Lets waiting messages in from time to time.
struct Turn<'c> {
    cancel: &'c Cancel,
    began: Instant,
}

impl Turn<'_> {
    async fn pause(&mut self) -> Result<()> {
        if self.began.elapsed() > TURN {
            yield_now().await;
            self.began = Instant::now();
        }
        self.cancel.check()
    }
}

/// Tokens in parts that are short enough, cut before words where there are any.
fn parts(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<Vec<u32>> {
    let mut parts = Vec::new();
    let mut rest = ids;
    while rest.len() > LONGEST_SENTENCE {
        let begins_word = |&at: &usize| tokenizer.token_text(rest[at]).starts_with(' ');
        let cut = (1..=LONGEST_SENTENCE).rev().find(begins_word);
        let (part, after) = rest.split_at(cut.unwrap_or(LONGEST_SENTENCE));
        parts.push(part.to_vec());
        rest = after;
    }
    parts.push(rest.to_vec());
    parts
}
