//! Texts translated by the loaded model, sentence by sentence.

use std::pin::pin;

use futures::future::{Either, select};
use glassformer_graph::Executor;
use glassformer_tasks::TaskError;
use glassformer_tasks::translation::{
    Decoding, Hypothesis, LONGEST_SENTENCE, Search, SearchStep, TranslateSettings, pieces,
};
use glassformer_text::{SpecialTokens, Tokenizer};
use web_time::{Duration, Instant};

use super::{Engine, Result};
use crate::protocol::{
    Alternative, Event, TranslateRequest, TranslateToken, Translated, TranslatedSentence,
};
use crate::ready::Ready;
use crate::{Cancel, EngineError, yield_now};

/// How long is computed before waiting messages are looked at.
const TURN: Duration = Duration::from_millis(8);

impl Engine {
    /// Translates a text, or one sentence of it; `emit` hears every sentence as soon as it is done, and
    /// of a lost device (`Moved`).
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
        let tokenizer = ready.loaded.tokenizer.clone();
        let cut = pieces(&request.from, &request.text);
        if !cut.iter().any(|piece| piece.is_sentence) {
            return Err(TaskError::NothingToTranslate.into());
        }
        let (mut text, mut before, mut index) = (String::new(), String::new(), 0);
        let (mut words, mut read) = (0, 0);
        let mut turn = Turn {
            cancel,
            began: Instant::now(),
        };
        for piece in cut {
            read += piece.text.len();
            if !piece.is_sentence {
                text.push_str(piece.text);
                before.push_str(piece.text);
                continue;
            }
            turn.pause().await?;
            let ids = tokenizer.encode(piece.text, SpecialTokens::Parse)?;
            let parts = parts(&tokenizer, &ids);
            let whole = parts.len() == 1;
            for (i, ids) in parts.into_iter().enumerate() {
                if i > 0 {
                    text.push(' ');
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
                };
                index += 1;
                if request.only.is_some_and(|only| only != part.index) {
                    continue;
                }
                words += part.source.split_whitespace().count();
                let sentence = self.sentence(request, part, emit, &mut turn).await?;
                if let Some(best) = sentence.alternatives.first() {
                    text.push_str(&best.target);
                }
                emit(Event::Sentence {
                    sentence,
                    done: read as u32,
                    total: request.text.len() as u32,
                });
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(Translated {
            text,
            words_per_second: words as f64 / seconds.max(1e-9),
            seconds,
        })
    }

    /// One sentence; after a lost device it is translated elsewhere.
    async fn sentence(
        &mut self,
        request: &TranslateRequest,
        part: Part,
        emit: &mut dyn FnMut(Event),
        turn: &mut Turn<'_>,
    ) -> Result<TranslatedSentence> {
        loop {
            let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
            match ready.sentence(request, &part, turn).await {
                Err(EngineError::Task(TaskError::Exec(error))) if error.is_of_device() => {
                    let (place, notice) = self.executors.after_loss(ready.precision, &error).await;
                    ready.move_to(place, turn.cancel).await?;
                    let model = ready.info.clone();
                    emit(Event::Moved { model, notice });
                }
                sentence => return sentence,
            }
        }
    }
}

/// A sentence, or a part of one that is too long.
struct Part {
    index: u32,
    /// What stands between the one before and this.
    before: String,
    source: String,
    ids: Vec<u32>,
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

impl Ready {
    /// Tokens of the likeliest translation of a sentence's tokens, word by word.
    pub(crate) async fn translation_of(
        &mut self,
        ids: &[u32],
        cancel: &Cancel,
    ) -> Result<Vec<u32>> {
        let part = Part {
            index: 0,
            before: String::new(),
            source: String::new(),
            ids: ids.to_vec(),
        };
        let mut turn = Turn {
            cancel,
            began: Instant::now(),
        };
        let request = TranslateRequest::default();
        let sentence = self.sentence(&request, &part, &mut turn).await?;
        let found = sentence.alternatives.into_iter().next();
        let found = found.ok_or(TaskError::NothingToTranslate)?;
        Ok(found.tokens.iter().map(|token| token.id).collect())
    }

    async fn sentence(
        &mut self,
        request: &TranslateRequest,
        part: &Part,
        turn: &mut Turn<'_>,
    ) -> Result<TranslatedSentence> {
        let loaded = &self.loaded;
        let translation = loaded.translation.as_ref();
        let translation = translation.ok_or(TaskError::CannotTranslate)?;
        let mut ids = part.ids.clone();
        ids.push(translation.rules.end);
        let settings: &TranslateSettings = &request.settings;
        let forced = request.forced.as_ref();
        let prefix = forced.filter(|forced| forced.sentence == part.index);
        let prefix = prefix.map_or(Vec::new(), |forced| forced.ids.clone());
        let shortlist = translation
            .shortlist
            .as_ref()
            .filter(|_| settings.shortlist);
        let mut words = shortlist.map_or(Vec::new(), |list| {
            list.candidates(&ids, loaded.tokenizer.vocab_size())
        });
        if !words.is_empty() {
            // What is forced is a candidate.
            let size = loaded.tokenizer.vocab_size();
            words.extend(prefix.iter().filter(|&&id| (id as usize) < size));
            words.sort_unstable();
            words.dedup();
        }
        let candidates = words.len() as u32;
        let rules = translation.rules.clone();
        let decoding = Decoding::new(&loaded.model, rules, words, settings.alignment)?;
        let exec = self.exec.as_mut();
        let mut search = Search::start(exec, decoding, settings.clone(), ids.clone(), prefix)?;
        let done = run(&mut search, exec, turn).await;
        search.close(exec);
        done?;

        let tokenizer = &loaded.tokenizer;
        let token = |id: u32, log_prob: Option<f64>| TranslateToken {
            id,
            text: tokenizer.token_text(id),
            log_prob,
        };
        let found = search.hypotheses().into_iter();
        let tree = if request.trace {
            search.nodes().to_vec()
        } else {
            Vec::new()
        };
        Ok(TranslatedSentence {
            index: part.index,
            before: part.before.clone(),
            source: part.source.clone(),
            tokens: ids.iter().map(|&id| token(id, None)).collect(),
            candidates,
            alternatives: found
                .map(|found| alternative(tokenizer, found, token))
                .collect(),
            texts: tree
                .iter()
                .map(|node| tokenizer.token_text(node.id))
                .collect(),
            tree,
        })
    }
}

async fn run(search: &mut Search, exec: &mut dyn Executor, turn: &mut Turn<'_>) -> Result<()> {
    let mut stopped = pin!(turn.cancel.cancelled());
    loop {
        // A slow device is not waited for.
        match select(pin!(search.step(exec)), &mut stopped).await {
            Either::Left((step, _)) => {
                if step? == SearchStep::Done {
                    return Ok(());
                }
            }
            Either::Right(_) => return Err(EngineError::Cancelled),
        }
        turn.pause().await?;
    }
}

fn alternative(
    tokenizer: &Tokenizer,
    found: Hypothesis,
    token: impl Fn(u32, Option<f64>) -> TranslateToken,
) -> Alternative {
    let ids: Vec<u32> = found.words.iter().map(|word| word.id).collect();
    let words = found.words.iter();
    Alternative {
        target: tokenizer.decode(&ids),
        score: found.score,
        normalised: found.normalised,
        ended: found.ended,
        tokens: words
            .map(|word| token(word.id, Some(word.log_prob)))
            .collect(),
        alignment: found.alignment,
        node: found.node as u32,
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
