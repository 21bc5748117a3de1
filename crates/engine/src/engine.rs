//! The models in memory, and what is asked of the one that was chosen last.

use std::pin::pin;

use futures::future::{Either, select};
use glassformer_graph::Backend;
use glassformer_tasks::{Advance, Branch, GenerateSettings, Step, TaskError};
use glassformer_text::{Message, SpecialTokens, Tokenizer};
use web_time::Instant;

use crate::clock::Clock;
use crate::executors::{DeviceSwitch, Executors, Place};
use crate::load::{Loaded, OnProgress};
use crate::parts::part;
use crate::protocol::{
    self, BackendChoice, Event, GenerateStats, Kept, ModelInfo, PrecisionChoice, Prompt,
    PromptToken,
};
use crate::ready::Ready;
use crate::{Cancel, EngineError, Files, yield_now};

mod fill_mask;
mod look;
pub(crate) mod matching;
mod translate;

pub(crate) use translate::SIDE_BY_SIDE;

pub use look::Seen;
pub use matching::Label;

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Positions of prompt and answer together, unless asked otherwise: keys and values of
/// SmolLM2-135M take 46 KB a position.
pub const DEFAULT_CONTEXT: usize = 2048;

/// Bytes of weights in memory beyond which models that were not used for long make room for
/// others: a quarter of what WebAssembly can have, so that sessions and the page fit beside them.
const MOST_WEIGHT_BYTES: u64 = 1 << 30;

/// Holds models and what runs them. Requests are for the one that was loaded or chosen last.
pub struct Engine {
    pub(crate) executors: Executors,
    /// The one used last is at the end.
    pub(crate) models: Vec<Ready>,
    handles: u32,
    most_weight_bytes: u64,
}

impl Default for Engine {
    fn default() -> Self {
        Self::with_budget(MOST_WEIGHT_BYTES)
    }
}

/// The likeliest next tokens after a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct TopLogits {
    /// Of the prompt.
    pub ids: Vec<u32>,
    /// Id and logit, largest first.
    pub top: Vec<(u32, f32)>,
}

impl Engine {
    /// Nothing loaded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing loaded; handles are counted from a number.
    pub fn numbered_from(handles: u32) -> Self {
        Self {
            handles,
            ..Self::default()
        }
    }

    /// Nothing loaded; models make room for others beyond so many bytes of weights.
    pub fn with_budget(most_weight_bytes: u64) -> Self {
        Self {
            executors: Executors::default(),
            models: Vec::new(),
            handles: 0,
            most_weight_bytes,
        }
    }

    /// Loads a model and chooses it. `id` and `name` are what it is called; the name is the
    /// checkpoint's own where none is given. Models that were not used for long are dropped where
    /// there would be too many bytes of weights.
    ///
    /// # Errors
    /// If the files are no model, cannot be read, or on cancel; then the others are as they were,
    /// unless they had to make room.
    #[expect(clippy::too_many_arguments, reason = "what a load is made of")]
    pub async fn load(
        &mut self,
        files: &Files,
        id: &str,
        name: Option<&str>,
        backend: BackendChoice,
        precision: PrecisionChoice,
        context: usize,
        progress: OnProgress<'_>,
        cancel: &Cancel,
    ) -> Result<&ModelInfo> {
        let start = Instant::now();
        let precision = files.precision(precision);
        self.make_room(files.bytes());
        let place = self.executors.open(backend, precision).await;
        let on_gpu = place.exec.backend() == Backend::Gpu;
        let mut ready = Ready::load(files, place, context, progress, cancel).await;
        let full = EngineError::is_out_of_memory;
        if ready.as_ref().is_err_and(full) && !self.models.is_empty() {
            // The budget was too large for this machine.
            self.models.clear();
            let place = self.executors.open(backend, precision).await;
            ready = Ready::load(files, place, context, progress, cancel).await;
        }
        let mut ready = match ready {
            // What the GPU does not take may fit into memory.
            Err(EngineError::Exec(error)) if on_gpu => {
                let place = Place::instead_of_gpu(precision, &error);
                Ready::load(files, place, context, progress, cancel).await?
            }
            ready => ready?,
        };
        let given = name
            .map(str::to_owned)
            .or_else(|| ready.loaded.name.clone());
        self.handles += 1;
        ready.info.handle = self.handles;
        ready.info.id = id.into();
        ready.info.name = given.unwrap_or_else(|| id.into());
        ready.info.load_seconds = start.elapsed().as_secs_f64();
        self.models.push(ready);
        self.info().ok_or(EngineError::NoModel)
    }

    /// Drops the models that were not used for longest until so many more bytes fit.
    fn make_room(&mut self, bytes: u64) {
        let held = |models: &[Ready]| models.iter().map(|each| each.info.bytes).sum::<u64>();
        while !self.models.is_empty()
            && held(&self.models).saturating_add(bytes) > self.most_weight_bytes
        {
            self.models.remove(0);
        }
    }

    /// Chooses a model that is in memory: what follows is for it.
    ///
    /// # Errors
    /// If it was dropped.
    pub fn choose(&mut self, handle: u32) -> Result<&ModelInfo> {
        let at = self.models.iter().position(|m| m.info.handle == handle);
        let at = at.ok_or(EngineError::Dropped)?;
        let chosen = self.models.remove(at);
        self.models.push(chosen);
        self.info().ok_or(EngineError::NoModel)
    }

    /// Handles of the models in memory.
    pub fn held(&self) -> Vec<u32> {
        self.models.iter().map(|each| each.info.handle).collect()
    }

    /// Loses the GPU on demand, from wherever this is called.
    pub fn device_switch(&self) -> DeviceSwitch {
        self.executors.switch()
    }

    /// What is chosen.
    pub fn info(&self) -> Option<&ModelInfo> {
        self.models.last().map(|ready| &ready.info)
    }

    /// The model, its tokenizer and its tensors.
    pub fn loaded(&self) -> Option<&Loaded> {
        self.models.last().map(|ready| &ready.loaded)
    }

    /// A prompt's ids, chat template applied.
    ///
    /// # Errors
    /// If nothing is loaded, the prompt is empty, or the model has no chat template.
    pub async fn encode(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let loaded = self.loaded().ok_or(EngineError::NoModel)?;
        let tokenizer = &loaded.tokenizer;
        let text = match prompt {
            Prompt::Plain { text } | Prompt::Chat { text } => text,
        };
        if text.is_empty() {
            return Err(TaskError::EmptyPrompt.into());
        }
        // No vocabulary known has tokens of more bytes; encoding takes far more memory than text.
        const LONGEST_TOKEN: usize = 256;
        let most = loaded.context;
        if text.len() > most.saturating_mul(LONGEST_TOKEN) {
            let bytes = text.len();
            return Err(TaskError::PromptTooLarge { bytes, most }.into());
        }
        let ids = match prompt {
            Prompt::Plain { text } => tokenizer.encode(text, SpecialTokens::Add)?,
            Prompt::Chat { text } => {
                let message = Message {
                    role: "user".into(),
                    content: text.clone(),
                };
                let text = chat(tokenizer, &message).await?;
                tokenizer.encode(&text, SpecialTokens::Parse)?
            }
        };
        if ids.is_empty() {
            return Err(TaskError::NoTokens.into());
        }
        Ok(ids)
    }

    /// Writes text, telling every step. On cancel it ends as stopped, with its statistics.
    ///
    /// A `branch` that goes on from written tokens needs no more than the run of the last of them,
    /// if the session still holds the others, and else runs them all again.
    ///
    /// # Errors
    /// If nothing is loaded, or the prompt, the branch or settings cannot be used.
    pub async fn generate(
        &mut self,
        prompt: &Prompt,
        branch: Branch,
        settings: GenerateSettings,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<GenerateStats> {
        let start = Instant::now();
        let ids = cancel.until(self.encode(prompt)).await?;
        let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
        let mut generation = ready.start(ids.clone(), branch.clone(), settings.clone())?;
        let loaded = &ready.loaded;
        let tokens = ids.iter().map(|&id| PromptToken {
            id,
            text: loaded.tokenizer.token_text(id),
            special: loaded.tokenizer.is_special(id),
        });
        emit(Event::Prompt {
            tokens: tokens.collect(),
        });

        let mut clock = Clock::new(start, generation.prompt_len());
        let mut stopped = pin!(cancel.cancelled());
        yield_now().await;
        loop {
            if cancel.is_cancelled() {
                generation.stop();
            }
            let exec = ready.exec.as_mut();
            // A slow device is not waited for: whoever stops is heard at once.
            let step = match select(pin!(generation.step(exec)), &mut stopped).await {
                Either::Left((step, _)) => step,
                Either::Right(_) => continue,
            };
            let step = match step {
                Err(TaskError::Exec(error)) if error.is_of_device() => {
                    let (place, notice) = self.executors.after_loss(ready, &error).await;
                    ready.move_to(place, cancel).await?;
                    let model = ready.info.clone();
                    emit(Event::Moved { model, notice });
                    let written = generation.written().to_vec();
                    let forced = branch.forced.clone();
                    let branch = Branch { written, forced };
                    generation = ready.start(ids.clone(), branch, settings.clone())?;
                    continue;
                }
                step => step?,
            };
            let loaded = &ready.loaded;
            match step {
                Step::Prefill { done, total } => emit(Event::Prefill {
                    done: done as u32,
                    total: total as u32,
                }),
                Step::Token(token) | Step::LastToken(token) => {
                    clock.token(ready.exec.counts());
                    let shown = generation.shown_ids(&token.kept);
                    let text = |id: &u32| loaded.tokenizer.token_text(*id);
                    emit(Event::Token {
                        index: generation.written().len() as u32 - 1,
                        id: token.id,
                        text: token.text,
                        logprob: token.logprob,
                        kept: Kept {
                            logits: protocol::pack(&token.kept),
                            texts: shown.iter().map(text).collect(),
                        },
                    });
                }
                Step::Finished { reason, text } => {
                    ready.held = generation.held().to_vec();
                    let stats = clock.stats();
                    emit(Event::Finished {
                        reason,
                        text,
                        stats,
                    });
                    return Ok(stats);
                }
            }
            yield_now().await;
        }
    }

    /// The `count` largest logits for the token after `prompt`.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub async fn top_logits(&mut self, prompt: &Prompt, count: usize) -> Result<TopLogits> {
        let ids = self.encode(prompt).await?;
        let ready = self.models.last_mut().ok_or(EngineError::NoModel)?;
        let mut generation =
            ready.start(ids.clone(), Branch::default(), GenerateSettings::default())?;
        let (loaded, exec) = (&ready.loaded, ready.exec.as_mut());
        let data = loop {
            match generation.advance(exec).await? {
                Advance::Prefill => {}
                Advance::Logits(logits) => break logits,
                Advance::Full => {
                    let (tokens, most) = (ids.len(), loaded.context);
                    return Err(TaskError::PromptTooLong { tokens, most }.into());
                }
            }
        };
        if !data.iter().all(|logit| logit.is_finite()) {
            return Err(TaskError::NotFinite.into());
        }
        let mut top: Vec<(u32, f32)> = (0..).zip(data).collect();
        top.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        top.truncate(count);
        Ok(TopLogits { ids, top })
    }
}

part! { chat:
    /// A message in the words that the model's template puts around it.
    fn chat(tokenizer: &Tokenizer, message: &Message) -> Result<String> {
        Ok(tokenizer.chat(std::slice::from_ref(message), true)?)
    }
}
