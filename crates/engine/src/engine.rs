//! One model, loaded and ready.

use std::pin::pin;

use futures::future::{Either, select};
use glassformer_graph::{Backend, Bindings, Executor, SessionId};
use glassformer_tasks::{Advance, Branch, GenerateSettings, Generation, Held, Step, TaskError};
use glassformer_text::{Message, SpecialTokens};
use web_time::Instant;

use crate::clock::Clock;
use crate::executors::{DeviceSwitch, Executors, Place};
use crate::load::{Loaded, OnProgress};
use crate::protocol::{
    self, BackendChoice, Event, GenerateStats, Kept, ModelInfo, PrecisionChoice, Prompt,
    PromptToken,
};
use crate::{Cancel, EngineError, Files, heap_bytes, yield_now};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Positions of prompt and answer together, unless asked otherwise: keys and values of
/// SmolLM2-135M take 46 KB a position.
pub const DEFAULT_CONTEXT: usize = 2048;

/// What is run of every model: one position, and many of which a row is wanted.
const USUAL_RUNS: [Bindings; 2] = [run_of(1), run_of(32)];

const fn run_of(len: usize) -> Bindings {
    Bindings {
        batch: 1,
        query_len: len,
        kv_len: len,
        rows: 1,
    }
}

/// Holds at most one model and what runs it.
#[derive(Default)]
pub struct Engine {
    executors: Executors,
    ready: Option<Ready>,
}

struct Ready {
    exec: Box<dyn Executor>,
    session: SessionId,
    loaded: Loaded,
    info: ModelInfo,
    /// To load it again, should the GPU be lost.
    files: Files,
    precision: PrecisionChoice,
    /// The tokens whose keys and values the session holds.
    held: Vec<u32>,
}

impl Ready {
    /// Streams a model into an executor.
    async fn load(
        files: &Files,
        place: Place,
        context: usize,
        progress: OnProgress<'_>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let Place {
            mut exec,
            precision,
            why,
        } = place;
        let loaded = files.load(exec.as_mut(), context, progress, cancel).await?;
        for entry in loaded.model.entries.keys() {
            let ready = exec.prepare(entry, &USUAL_RUNS);
            // A browser compiles for seconds. Whoever cancels is heard at once.
            match select(ready, pin!(cancel.cancelled())).await {
                Either::Left((ready, _)) => ready?,
                Either::Right(_) => break,
            }
        }
        cancel.check()?;
        let info = ModelInfo {
            id: String::new(),
            name: String::new(),
            architecture: loaded.family.into(),
            parameters: loaded.parameters,
            bytes: loaded.bytes,
            encoding: loaded.encoding.to_string(),
            context: loaded.context as u32,
            max_context: loaded.max_context as u32,
            chat: loaded.tokenizer.chat_template().is_some(),
            backend: exec.backend().name().into(),
            precision: exec.precision().name().into(),
            why,
            load_seconds: 0.0,
            heap_bytes: heap_bytes(),
        };
        Ok(Self {
            session: exec.open(1, loaded.context)?,
            exec,
            loaded,
            info,
            files: files.clone(),
            precision,
            held: Vec::new(),
        })
    }

    /// Loads the model again elsewhere, after its device was lost.
    async fn move_to(&mut self, place: Place, cancel: &Cancel) -> Result<()> {
        let mut silent = |_, _, _| {};
        let files = self.files.clone();
        let context = self.loaded.context;
        let mut moved = Self::load(&files, place, context, &mut silent, cancel).await?;
        let old = &self.info;
        moved.info.id.clone_from(&old.id);
        moved.info.name.clone_from(&old.name);
        moved.info.load_seconds = old.load_seconds;
        *self = moved;
        Ok(())
    }

    /// A generation behind these tokens. The session is cut back to what it has in common with a
    /// branch, so that a branch costs the run of one token; a new text starts from nothing, so that
    /// its times mean the same every time.
    fn start(
        &mut self,
        ids: Vec<u32>,
        branch: Branch,
        settings: GenerateSettings,
    ) -> Result<Generation> {
        // Should anything below fail, the session counts as empty.
        let held = std::mem::take(&mut self.held);
        let wanted = ids.iter().chain(&branch.written);
        let common = wanted.zip(&held).take_while(|(a, b)| a == b).count();
        let tokens = if branch == Branch::default() {
            0
        } else {
            common
        };
        // The last token is run in any case: its logits are wanted.
        let tokens = tokens.min((ids.len() + branch.written.len()).saturating_sub(1));
        self.exec.truncate(self.session, tokens)?;
        let Loaded {
            model,
            context,
            tokenizer,
            ..
        } = &self.loaded;
        let session = Held {
            id: self.session,
            tokens,
        };
        Ok(Generation::start(
            model, session, *context, tokenizer, ids, branch, settings,
        )?)
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

    /// Loads a model in place of the one before. `id` and `name` are what it is called; the name
    /// is the checkpoint's own where none is given.
    ///
    /// # Errors
    /// If the files are no model, cannot be read, or on cancel; then nothing is loaded.
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
        // The old model goes first: both at once may not fit.
        self.ready = None;
        let place = self.executors.open(backend, precision).await;
        let on_gpu = place.exec.backend() == Backend::Gpu;
        let ready = Ready::load(files, place, context, progress, cancel).await;
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
        ready.info.id = id.into();
        ready.info.name = given.unwrap_or_else(|| id.into());
        ready.info.load_seconds = start.elapsed().as_secs_f64();
        Ok(&self.ready.insert(ready).info)
    }

    /// Loses the GPU on demand, from wherever this is called.
    pub fn device_switch(&self) -> DeviceSwitch {
        self.executors.switch()
    }

    /// What is loaded.
    pub fn info(&self) -> Option<&ModelInfo> {
        self.ready.as_ref().map(|ready| &ready.info)
    }

    /// The model, its tokenizer and its tensors.
    pub fn loaded(&self) -> Option<&Loaded> {
        self.ready.as_ref().map(|ready| &ready.loaded)
    }

    /// A prompt's ids, chat template applied.
    ///
    /// # Errors
    /// If nothing is loaded, the prompt is empty, or the model has no chat template.
    pub fn encode(&self, prompt: &Prompt) -> Result<Vec<u32>> {
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
                let text = tokenizer.chat(&[message], true)?;
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
        let ids = self.encode(prompt)?;
        let ready = self.ready.as_mut().ok_or(EngineError::NoModel)?;
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
                    let (place, notice) = self.executors.after_loss(ready.precision, &error).await;
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
        let ids = self.encode(prompt)?;
        let ready = self.ready.as_mut().ok_or(EngineError::NoModel)?;
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
        let mut top: Vec<(u32, f32)> = (0..).zip(data).collect();
        top.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        top.truncate(count);
        Ok(TopLogits { ids, top })
    }
}
