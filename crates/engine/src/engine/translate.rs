//! Texts translated by the loaded model, sentence by sentence.

use glassformer_graph::Executor;
use glassformer_tasks::TaskError;
use glassformer_tasks::translation::{
    Decoding, Hypothesis, LONGEST_SENTENCE, Search, SearchStep, TranslateSettings, pieces,
};
use glassformer_text::{SpecialTokens, Tokenizer};
use web_time::{Duration, Instant};

use super::{Engine, Result};
use crate::protocol::{
    Alternative, TranslateRequest, TranslateToken, Translated, TranslatedSentence,
};
use crate::ready::Ready;
use crate::{Cancel, EngineError, yield_now};

/// How long is computed before waiting messages are looked at.
const TURN: Duration = Duration::from_millis(8);

impl Engine {
    /// Translates a text; `emit` hears every sentence as soon as it is done.
    ///
    /// # Errors
    /// If nothing is loaded, the model does not translate, there is nothing to translate, or a setting
    /// is out of range; or on cancel, which is heard between two tokens.
    pub async fn translate(
        &mut self,
        request: &TranslateRequest,
        emit: &mut dyn FnMut(TranslatedSentence),
        cancel: &Cancel,
    ) -> Result<Translated> {
        let start = Instant::now();
        request.settings.check()?;
        let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
        if ready.loaded.translation.is_none() {
            return Err(TaskError::CannotTranslate.into());
        }
        let cut = pieces(&request.from, &request.text);
        if !cut.iter().any(|piece| piece.is_sentence) {
            return Err(TaskError::NothingToTranslate.into());
        }
        let (mut text, mut before, mut index) = (String::new(), String::new(), 0);
        let mut turn = Turn {
            cancel,
            began: Instant::now(),
        };
        for piece in cut {
            if !piece.is_sentence {
                text.push_str(piece.text);
                before.push_str(piece.text);
                continue;
            }
            let tokenizer = ready.loaded.tokenizer.clone();
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
                let between = std::mem::take(&mut before);
                let sentence = ready
                    .sentence(request, index, between, source, ids, &mut turn)
                    .await?;
                if let Some(best) = sentence.alternatives.first() {
                    text.push_str(&best.target);
                }
                emit(sentence);
                index += 1;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let words = request.text.split_whitespace().count();
        Ok(Translated {
            text,
            words_per_second: words as f64 / seconds.max(1e-9),
            seconds,
        })
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

impl Ready {
    async fn sentence(
        &mut self,
        request: &TranslateRequest,
        index: u32,
        before: String,
        source: String,
        mut ids: Vec<u32>,
        turn: &mut Turn<'_>,
    ) -> Result<TranslatedSentence> {
        let loaded = &self.loaded;
        let translation = loaded.translation.as_ref();
        let translation = translation.ok_or(TaskError::CannotTranslate)?;
        ids.push(translation.rules.end);
        let settings: &TranslateSettings = &request.settings;
        let forced = request.forced.as_ref();
        let prefix = forced.filter(|forced| forced.sentence == index);
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
            index,
            before,
            source,
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
    while search.step(exec).await? != SearchStep::Done {
        turn.pause().await?;
    }
    Ok(())
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
