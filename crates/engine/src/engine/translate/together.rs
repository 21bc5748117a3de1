//! Sentences searched by one model, side by side or one by one.

use std::collections::VecDeque;
use std::pin::pin;

use futures::future::{Either, select};
use glassformer_graph::{Backend, Executor};
use glassformer_tasks::TaskError;
use glassformer_tasks::translation::{Decoding, Hypothesis, Search, SearchStep, Sentence, Wanted};
use glassformer_text::Tokenizer;
use web_time::Instant;

use super::{Done, Part, Result, Turn};
use crate::protocol::{Alternative, Event, TranslateRequest, TranslateToken, TranslatedSentence};
use crate::ready::Ready;
use crate::{Cancel, EngineError};

/// Most sentences that may be asked for side by side.
const MOST_TOGETHER: usize = 32;

/// Sentences that a GPU translates side by side: a word costs as many dispatches for one as for all.
pub(crate) const SIDE_BY_SIDE: usize = 8;

/// Sequences of a GPU at once, beams of all sentences together.
const MOST_SEQUENCES: usize = 32;

impl Ready {
    /// Most sentences that are translated side by side. A forced beginning belongs to one.
    pub(super) fn side_by_side(&self, request: &TranslateRequest) -> Result<usize> {
        let most = match (request.together, self.exec.backend()) {
            (Some(most), _) => most as usize,
            // Every beam has keys and values of its own.
            (None, Backend::Gpu) => {
                (MOST_SEQUENCES / (request.settings.beams as usize).max(1)).clamp(1, SIDE_BY_SIDE)
            }
            // See ARCHITECTURE.md: there one at a time is as fast.
            (None, Backend::Cpu) => 1,
        };
        if !(1..=MOST_TOGETHER).contains(&most) {
            return Err(TaskError::Setting {
                name: "The number of sentences side by side",
                range: "1 to 32",
                value: most.to_string(),
            }
            .into());
        }
        Ok(if request.forced.is_some() { 1 } else { most })
    }

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
            read: 0,
        };
        let mut turn = Turn {
            cancel,
            began: Instant::now(),
        };
        let mut found = None;
        let mut done = Done {
            text: String::new(),
            words: 0,
            total: 0,
            emit: &mut |event| {
                if let Event::Sentence { sentence, .. } = event {
                    found = Some(sentence);
                }
            },
        };
        let (request, mut waiting) = (TranslateRequest::default(), VecDeque::from([part]));
        self.sentences(&request, &mut waiting, &mut done, &mut turn)
            .await?;
        let best = found.and_then(|sentence| sentence.alternatives.into_iter().next());
        let best = best.ok_or(TaskError::NothingToTranslate)?;
        Ok(best.tokens.iter().map(|token| token.id).collect())
    }

    /// Translates all that wait, side by side; those that are done, and all before them, wait no longer.
    pub(super) async fn sentences(
        &mut self,
        request: &TranslateRequest,
        waiting: &mut VecDeque<Part>,
        done: &mut Done<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<()> {
        let (loaded, settings) = (&self.loaded, &request.settings);
        let translation = loaded.translation.as_ref();
        let translation = translation.ok_or(TaskError::CannotTranslate)?;
        let (rules, size) = (translation.rules.clone(), loaded.tokenizer.vocab_size());
        let listed = settings.shortlist;
        let shortlist = translation.shortlist.as_ref().filter(|_| listed);
        let forced = request.forced.as_ref();
        let forced = forced.filter(|forced| waiting.iter().any(|p| p.index == forced.sentence));
        let prefix = forced.map_or(Vec::new(), |forced| forced.ids.clone());
        let mut wanted: Vec<Wanted> = waiting
            .iter()
            .map(|part| {
                let mut source = part.ids.clone();
                source.push(rules.end);
                let words = shortlist.map_or(Vec::new(), |list| list.candidates(&source, size));
                Wanted { source, words }
            })
            .collect();
        // What the translations may consist of together, and what is forced.
        let mut words = Vec::new();
        if wanted.iter().all(|wanted| !wanted.words.is_empty()) {
            let own = wanted.iter().flat_map(|wanted| &wanted.words);
            words = own.copied().collect();
            words.extend(prefix.iter().filter(|&&id| (id as usize) < size));
            words.sort_unstable();
            words.dedup();
        }
        let decoding = Decoding::new(&loaded.model, rules, words, settings.alignment)?;
        let exec = self.exec.as_mut();
        let mut search = match wanted.pop() {
            // It comes alone.
            Some(Wanted { source, .. }) if !prefix.is_empty() => {
                Search::start(exec, decoding, settings, source, prefix)?
            }
            last => {
                wanted.extend(last);
                Search::together(exec, decoding, settings, wanted)?
            }
        };
        let tokenizer = &loaded.tokenizer;
        let mut told = 0;
        let mut tell = |search: &Search| {
            let done_now = search.sentences()[told..].iter();
            for sentence in done_now.take_while(|sentence| sentence.is_done()) {
                if let Some(part) = waiting.pop_front() {
                    let read = part.read;
                    done.sentence(said(tokenizer, request, part, sentence), read);
                }
                told += 1;
            }
        };
        let ran = run(&mut search, exec, turn, &mut tell).await;
        search.close(exec);
        ran
    }
}

/// What is told of a sentence.
fn said(
    tokenizer: &Tokenizer,
    request: &TranslateRequest,
    part: Part,
    sentence: &Sentence,
) -> TranslatedSentence {
    let token = |id: u32, log_prob: Option<f64>| TranslateToken {
        id,
        text: tokenizer.token_text(id),
        log_prob,
    };
    let tree = if request.trace {
        sentence.nodes().to_vec()
    } else {
        Vec::new()
    };
    let found = sentence.hypotheses().into_iter();
    TranslatedSentence {
        index: part.index,
        before: part.before,
        source: part.source,
        tokens: sentence
            .source()
            .iter()
            .map(|&id| token(id, None))
            .collect(),
        candidates: sentence.candidates() as u32,
        alternatives: found
            .map(|found| alternative(tokenizer, found, token))
            .collect(),
        texts: tree
            .iter()
            .map(|node| tokenizer.token_text(node.id))
            .collect(),
        tree,
    }
}

/// Searches to the end; `tell` hears of every step.
async fn run(
    search: &mut Search,
    exec: &mut dyn Executor,
    turn: &mut Turn<'_>,
    tell: &mut dyn FnMut(&Search),
) -> Result<()> {
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
        tell(search);
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
