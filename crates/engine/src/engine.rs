//! One model, loaded and ready.

use glassformer_cpu::CpuExecutor;
use glassformer_graph::{Executor, Precision, SessionId};
use glassformer_tasks::{Advance, GenerateSettings, Generation, Step, TaskError};
use glassformer_text::{Message, SpecialTokens};
use web_time::Instant;

use crate::load::{Loaded, OnProgress};
use crate::protocol::{
    BackendChoice, Event, GenerateStats, ModelInfo, PrecisionChoice, Prompt, PromptToken,
};
use crate::{Cancel, EngineError, Files, heap_bytes, yield_now};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Positions of prompt and answer together, unless asked otherwise: keys and values of
/// SmolLM2-135M take 46 KB a position.
pub const DEFAULT_CONTEXT: usize = 2048;

/// Holds at most one model and what runs it.
#[derive(Default)]
pub struct Engine {
    ready: Option<Ready>,
}

struct Ready {
    exec: Box<dyn Executor>,
    session: SessionId,
    loaded: Loaded,
    info: ModelInfo,
}

impl Ready {
    /// A generation behind these tokens, in the session made empty.
    fn start(&mut self, ids: Vec<u32>, settings: GenerateSettings) -> Result<Generation> {
        self.exec.truncate(self.session, 0)?;
        let Loaded {
            model,
            context,
            tokenizer,
            ..
        } = &self.loaded;
        let session = self.session;
        Ok(Generation::start(
            model, session, *context, tokenizer, ids, settings,
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
        let precision = match precision {
            PrecisionChoice::Exact => Precision::Exact,
            PrecisionChoice::Fast | PrecisionChoice::Auto => Precision::Fast,
        };
        let mut exec: Box<dyn Executor> = match backend {
            BackendChoice::Auto | BackendChoice::Cpu => Box::new(CpuExecutor::new(precision)),
        };
        let loaded = files.load(exec.as_mut(), context, progress, cancel).await?;
        cancel.check()?;
        let session = exec.open(1, loaded.context)?;
        let given = name.map(str::to_owned).or_else(|| loaded.name.clone());
        let info = ModelInfo {
            id: id.into(),
            name: given.unwrap_or_else(|| id.into()),
            architecture: loaded.family.into(),
            parameters: loaded.parameters,
            bytes: loaded.bytes,
            encoding: loaded.encoding.to_string(),
            context: loaded.context as u32,
            max_context: loaded.max_context as u32,
            chat: loaded.tokenizer.chat_template().is_some(),
            backend: exec.backend().name().into(),
            precision: exec.precision().name().into(),
            why: why(exec.precision()),
            load_seconds: start.elapsed().as_secs_f64(),
            heap_bytes: heap_bytes(),
        };
        let ready = self.ready.insert(Ready {
            exec,
            session,
            loaded,
            info,
        });
        Ok(&ready.info)
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
    /// # Errors
    /// If nothing is loaded, or the prompt or settings cannot be used.
    pub async fn generate(
        &mut self,
        prompt: &Prompt,
        settings: GenerateSettings,
        emit: &mut dyn FnMut(Event),
        cancel: &Cancel,
    ) -> Result<GenerateStats> {
        let start = Instant::now();
        let ids = self.encode(prompt)?;
        let ready = self.ready.as_mut().ok_or(EngineError::NoModel)?;
        let mut generation = ready.start(ids.clone(), settings)?;
        let (loaded, exec) = (&ready.loaded, ready.exec.as_mut());
        let tokens = ids.iter().map(|&id| PromptToken {
            id,
            text: loaded.tokenizer.token_text(id),
            special: loaded.tokenizer.is_special(id),
        });
        emit(Event::Prompt {
            tokens: tokens.collect(),
        });

        let mut clock = Clock::new(start, generation.prompt_len());
        yield_now().await;
        loop {
            if cancel.is_cancelled() {
                generation.stop();
            }
            match generation.step(exec).await? {
                Step::Prefill { done, total } => emit(Event::Prefill {
                    done: done as u32,
                    total: total as u32,
                }),
                Step::Token(token) | Step::LastToken(token) => {
                    clock.token();
                    emit(Event::Token {
                        index: generation.written().len() as u32 - 1,
                        id: token.id,
                        text: token.text,
                        logprob: token.logprob,
                    });
                }
                Step::Finished { reason, text } => {
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
        let mut generation = ready.start(ids.clone(), GenerateSettings::default())?;
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

fn why(precision: Precision) -> String {
    match precision {
        Precision::Fast => format!(
            "{} on the CPU: activations are rounded to 8 bits and multiplied as integers.",
            glassformer_cpu::kernels::simd()
        ),
        Precision::Exact => "SIMD on the CPU: f32 arithmetic on the dequantised weights.".into(),
    }
}

/// Measures a generation.
struct Clock {
    start: Instant,
    first: Option<Instant>,
    last: Instant,
    prompt_tokens: usize,
    tokens: u32,
}

impl Clock {
    fn new(start: Instant, prompt_tokens: usize) -> Self {
        Self {
            start,
            first: None,
            last: start,
            prompt_tokens,
            tokens: 0,
        }
    }

    fn token(&mut self) {
        self.last = Instant::now();
        self.first.get_or_insert(self.last);
        self.tokens += 1;
    }

    fn stats(&self) -> GenerateStats {
        let rate = |count: f64, seconds: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
        let first = self
            .first
            .map_or(0.0, |first| (first - self.start).as_secs_f64());
        let decode = self
            .first
            .map_or(0.0, |first| (self.last - first).as_secs_f64());
        GenerateStats {
            prompt_tokens: self.prompt_tokens as u32,
            tokens: self.tokens,
            first_token_seconds: first,
            prefill_tps: rate(self.prompt_tokens as f64, first),
            decode_tps: rate(f64::from(self.tokens.saturating_sub(1)), decode),
            heap_bytes: heap_bytes(),
        }
    }
}
