//! Running texts and pictures to look at their attention, and looking.

use glassformer_graph::Stack;
use glassformer_tasks::TaskError;
use glassformer_tasks::attention::{
    AttentionRun, AttentionSource, AttentionText, Focus, MOST_TOKENS,
};
use glassformer_tasks::translation::LONGEST_SENTENCE;
use glassformer_text::{SpecialTokens, Tokenizer};
use web_time::Instant;

use crate::engine::Engine;
use crate::protocol::attention::{AttendTo, AttentionSummary, MapOf, SeenPlaces, bytes};
use crate::protocol::{Event, PromptToken};
use crate::ready::Ready;
use crate::{Cancel, EngineError, yield_now};

mod picture;

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Texts of a model that can be looked at at once: two, to compare them.
const MOST_RUNS: usize = 2;

/// No vocabulary known has tokens of more bytes; encoding takes far more memory than text.
const LONGEST_TOKEN: usize = 256;

/// Tokens of a text or a pair, cut where they are too many.
struct Encoded {
    text: AttentionText,
    /// Which attention, where it is not that over the text itself.
    stack: Option<Stack>,
    /// What the maps are over.
    shown: Vec<u32>,
    second: Option<usize>,
    of: usize,
    more: bool,
    /// What was seen, if it is a picture.
    picture: Option<SeenPlaces>,
}

impl Ready {
    /// The tokens of a text, and of a second sentence behind it.
    fn encode_pair(&self, text: &str, pair: Option<&str>) -> Result<Encoded> {
        self.encode_with(&self.loaded.tokenizer, text, pair)
    }

    fn encode_with(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        pair: Option<&str>,
    ) -> Result<Encoded> {
        if text.trim().is_empty() {
            return Err(TaskError::EmptyPrompt.into());
        }
        let most_bytes = MOST_TOKENS * LONGEST_TOKEN;
        let more = text.len() > most_bytes || pair.is_some_and(|pair| pair.len() > most_bytes);
        let encode = |text: &str| {
            let mut end = most_bytes.min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            tokenizer.encode(&text[..end], SpecialTokens::Add)
        };
        let mut ids = encode(text)?;
        let mut types = vec![0; ids.len()];
        let second = pair.filter(|pair| !pair.trim().is_empty());
        let second = second.map(|_| ids.len());
        if let (Some(pair), Some(_)) = (pair, second) {
            let mut behind = encode(pair)?;
            // One opening token is enough for both.
            if behind.len() > 1 && behind.first().is_some_and(|id| tokenizer.is_special(*id)) {
                behind.remove(0);
            }
            types.extend(behind.iter().map(|_| 1));
            ids.extend(behind);
        }
        if ids.is_empty() {
            return Err(TaskError::NoTokens.into());
        }
        let of = ids.len();
        let most = MOST_TOKENS.min(self.loaded.context);
        if of > most && most > 0 {
            // The token that ends a text stays at its end.
            let last = ids[of - 1];
            ids.truncate(most);
            types.truncate(most);
            if tokenizer.is_special(last) {
                ids[most - 1] = last;
            }
        }
        Ok(Encoded {
            second: second.filter(|at| *at < ids.len()),
            shown: ids.clone(),
            text: AttentionText {
                special: self.special(&ids),
                ids,
                types,
                source: None,
                picture: None,
            },
            stack: None,
            of,
            more,
            picture: None,
        })
    }

    fn special(&self, ids: &[u32]) -> Vec<bool> {
        let tokenizer = &self.loaded.tokenizer;
        ids.iter().map(|id| tokenizer.is_special(*id)).collect()
    }

    /// A sentence and its translation for the decoder to go through, the model's own where none is
    /// given.
    async fn encode_translation(
        &mut self,
        text: &str,
        target: Option<&str>,
        to: AttendTo,
        cancel: &Cancel,
    ) -> Result<Encoded> {
        let translation = self.loaded.translation.as_ref();
        let translation = translation.ok_or(TaskError::CannotTranslate)?;
        let rules = translation.rules.clone();
        let Encoded {
            text: AttentionText {
                ids: mut source, ..
            },
            of,
            more,
            ..
        } = self.encode_pair(text, None)?;
        source.retain(|id| *id != rules.end);
        source.truncate(LONGEST_SENTENCE);
        let mut written = match target.filter(|target| !target.trim().is_empty()) {
            Some(target) => {
                let written = translation.written.as_ref();
                let written = written.unwrap_or(&self.loaded.tokenizer);
                self.encode_with(written, target, None)?.text.ids
            }
            None => self.translation_of(&source, cancel).await?,
        };
        written.retain(|id| *id != rules.end);
        source.push(rules.end);
        written.truncate(MOST_TOKENS - source.len() - 1);
        written.push(rules.end);
        // Every token is written behind those before it.
        let start = std::iter::once(rules.start);
        let ids: Vec<u32> = start
            .chain(written[..written.len() - 1].iter().copied())
            .collect();
        let (stack, shown, second) = match to {
            AttendTo::Own => (Stack::Encoder, source.clone(), None),
            AttendTo::Written => (Stack::Decoder, ids.clone(), None),
            // A row belongs to the token that was written with it.
            AttendTo::Source => (
                Stack::Cross,
                [&written[..], &source].concat(),
                Some(written.len()),
            ),
        };
        let tokens = shown.len();
        Ok(Encoded {
            text: AttentionText {
                types: vec![0; ids.len()],
                special: self.special(&ids),
                ids,
                source: Some(AttentionSource {
                    special: self.special(&source),
                    ids: source.clone(),
                }),
                picture: None,
            },
            stack: Some(stack),
            shown,
            second,
            of: tokens + of.saturating_sub(source.len()),
            more,
            picture: None,
        })
    }

    fn tokens(&self, ids: &[u32]) -> Vec<PromptToken> {
        let tokenizer = &self.loaded.tokenizer;
        let token = |&id: &u32| PromptToken {
            id,
            text: tokenizer.token_text(id),
            special: tokenizer.is_special(id),
        };
        ids.iter().map(token).collect()
    }

    fn begin(&mut self, run: u32, encoded: &Encoded) -> Result<()> {
        // A number that comes again names the new text.
        self.drop_run(run);
        while self.runs.len() >= MOST_RUNS {
            let (_, old) = self.runs.remove(0);
            old.close(self.exec.as_mut());
        }
        let started = AttentionRun::start(
            &self.loaded.model,
            self.exec.as_mut(),
            encoded.stack,
            encoded.text.clone(),
        )?;
        self.runs.push((run, started));
        Ok(())
    }

    /// Runs a text that was begun; it is dropped on cancel and on errors.
    async fn finish(
        &mut self,
        run: u32,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<()> {
        let done = self.run_all(run, emit, cancel).await;
        if done.is_err() {
            self.drop_run(run);
        }
        done
    }

    /// Forgets all texts, as another model's are looked at now.
    fn drop_runs(&mut self) {
        for (_, run) in self.runs.drain(..) {
            run.close(self.exec.as_mut());
        }
    }

    fn drop_run(&mut self, run: u32) {
        let exec = self.exec.as_mut();
        self.runs.retain(|(id, each)| {
            if *id == run {
                each.close(exec);
            }
            *id != run
        });
    }

    async fn run_all(
        &mut self,
        run: u32,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<()> {
        loop {
            cancel.check()?;
            let found = self.runs.iter_mut().find(|(id, _)| *id == run);
            let (_, text) = found.ok_or(EngineError::RunDropped)?;
            text.step(self.exec.as_mut()).await?;
            let (done, total) = text.progress();
            let [done, total] = [done, total].map(|n| n as u32);
            emit(Event::Prefill { done, total });
            if done == total {
                return Ok(());
            }
            yield_now().await;
        }
    }
}

impl Engine {
    /// Runs a text, or a pair of sentences, and keeps what every head looked at under the number
    /// `run`. The engine keeps two of them, of one model.
    ///
    /// # Errors
    /// If nothing is loaded, the text is empty, the model has no attention, or on cancel.
    pub async fn attend(
        &mut self,
        run: u32,
        text: &str,
        pair: Option<&str>,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<AttentionSummary> {
        let start = Instant::now();
        let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
        let encoded = ready.encode_pair(text, pair)?;
        self.look_at(run, encoded, start, emit, cancel).await
    }

    /// Runs a translator's decoder over the translation of a sentence, its own where no `target` is
    /// given, and keeps what every head looked at, as [`Self::attend`] does.
    ///
    /// # Errors
    /// As [`Self::attend`], and if the model does not translate or has no such attention.
    pub async fn attend_to(
        &mut self,
        run: u32,
        to: AttendTo,
        text: &str,
        target: Option<&str>,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<AttentionSummary> {
        if to == AttendTo::Own {
            return self.attend(run, text, target, emit, cancel).await;
        }
        let start = Instant::now();
        let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
        let encoded = ready.encode_translation(text, target, to, cancel);
        let encoded = encoded.await?;
        self.look_at(run, encoded, start, emit, cancel).await
    }

    async fn look_at(
        &mut self,
        run: u32,
        encoded: Encoded,
        start: Instant,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<AttentionSummary> {
        yield_now().await;
        let (ready, others) = self.models.split_last_mut().ok_or(EngineError::NoModel)?;
        // Their maps are as large as weights.
        others.iter_mut().for_each(Ready::drop_runs);
        loop {
            ready.begin(run, &encoded)?;
            match ready.finish(run, emit, cancel).await {
                Ok(()) => break,
                Err(EngineError::Task(TaskError::Exec(error))) if error.is_of_device() => {
                    let (place, notice) = self.executors.after_loss(ready, &error).await;
                    ready.move_to(place, cancel).await?;
                    let model = ready.info.clone();
                    emit(Event::Moved { model, notice });
                }
                Err(error) => return Err(error),
            }
        }
        let found = ready.runs.iter().find(|(id, _)| *id == run);
        let (_, text) = found.ok_or(EngineError::RunDropped)?;
        let (side, thumbnails) = text.thumbnails();
        let tokens = match &encoded.picture {
            Some(places) => picture::tokens(places),
            None => ready.tokens(&encoded.shown),
        };
        Ok(AttentionSummary {
            tokens,
            second: encoded.second.map(|at| at as u32),
            to_source: encoded.stack == Some(Stack::Cross),
            of: encoded.of as u32,
            more: encoded.more,
            shape: text.layout().into(),
            side: side as u32,
            thumbnails: bytes(&thumbnails),
            stats: text.stats(),
            seconds: start.elapsed().as_secs_f64(),
            picture: encoded.picture,
        })
    }

    /// What was looked at in a run, `[n, n]`: rows are queries.
    ///
    /// # Errors
    /// If the run is not in memory any more, or there is no such layer or head.
    pub async fn attention_map(&mut self, run: u32, of: MapOf) -> Result<Vec<f32>> {
        let (ready, at) = self.run(run)?;
        let (exec, text) = (ready.exec.as_mut(), &mut ready.runs[at].1);
        Ok(match of {
            MapOf::Head { layer, head } => text.map(exec, layer as usize, head as usize).await?,
            MapOf::Rollout { layer } => text.rollout(exec, layer as usize).await?,
        })
    }

    /// One query of one head of a run, all the way.
    ///
    /// # Errors
    /// As [`Self::attention_map`].
    pub async fn attention_focus(
        &mut self,
        run: u32,
        layer: u32,
        head: u32,
        from: u32,
    ) -> Result<Focus> {
        let (ready, at) = self.run(run)?;
        let (exec, text) = (ready.exec.as_mut(), &ready.runs[at].1);
        let [layer, head, from] = [layer, head, from].map(|n| n as usize);
        Ok(text.focus(exec, layer, head, from).await?)
    }

    /// The model that holds a run, which counts as used, and the run's place there.
    fn run(&mut self, run: u32) -> Result<(&mut Ready, usize)> {
        let holds = |ready: &Ready| ready.runs.iter().position(|(id, _)| *id == run);
        let found = self.models.iter().find_map(|ready| {
            let at = holds(ready)?;
            Some((ready.info.handle, at))
        });
        let (handle, at) = found.ok_or(EngineError::RunDropped)?;
        self.choose(handle)?;
        let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
        Ok((ready, at))
    }
}
