//! Writing text, one step at a time.

use glassformer_graph::{
    Choosing, ExecError, Executor, Graph, Input, KeptLogits, Model, NodeId, Role, Run, SessionId,
};
use glassformer_text::{StopStrings, TextStream, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::{GenerateSettings, Sampler, TaskError};

type Result<T, E = TaskError> = std::result::Result<T, E>;

/// Prompt tokens computed in one step: enough to share each unpacked weight, few enough that
/// Stop is heard soon.
pub const PREFILL_CHUNK: usize = 32;

const ENTRY: &str = "decode";

/// Why writing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinishReason {
    /// The model wrote its end token.
    End,
    /// `max_tokens` were written.
    MaxTokens,
    /// A stop string appeared.
    StopString,
    /// The context is full.
    Context,
    /// The person stopped it, or a newer request did.
    Stopped,
}

/// A token that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedToken {
    /// Vocabulary id.
    pub id: u32,
    /// Text that is certain now; see [`TextStream`] and [`StopStrings`].
    pub text: String,
    /// Natural log of its probability under the raw logits.
    pub logprob: f32,
    /// The logits it was chosen from, as far as they are kept.
    pub kept: KeptLogits,
}

/// A token that is to be written whatever is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forced {
    /// Its place among the written tokens, from 0.
    pub position: u32,
    /// Vocabulary id.
    pub id: u32,
}

/// Where a generation leaves the way it would go by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Branch {
    /// Tokens that have been written already: they are taken as they are and not told again.
    pub written: Vec<u32>,
    /// Tokens to write in place of what is drawn; of two for one place the first counts.
    pub forced: Vec<Forced>,
}

/// What one step did.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Computed some of the prompt.
    Prefill {
        /// Tokens done.
        done: usize,
        /// All of the prompt.
        total: usize,
    },
    /// Wrote a token.
    Token(GeneratedToken),
    /// Wrote a token, and with it a stop string.
    LastToken(GeneratedToken),
    /// Nothing more will be written; `text` was held back until now.
    Finished {
        /// Why.
        reason: FinishReason,
        /// The rest of the text.
        text: String,
    },
}

/// How far running got.
#[derive(Clone, Debug, PartialEq)]
pub enum Advance {
    /// Some of the prompt is still to be run.
    Prefill,
    /// All tokens so far have been run: the logits of the next, `[vocab]`.
    Logits(Vec<f32>),
    /// There is no room for the next token.
    Full,
}

/// How much was run.
enum Ran {
    /// Some of the pending tokens.
    Some,
    /// All of them; the logits of the next are there.
    All,
    /// Nothing: there is no room.
    Full,
}

/// A session and how much of what is to be continued it holds already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub id: SessionId,
    /// Tokens of prompt and branch that it holds, and nothing behind them.
    pub tokens: usize,
}

/// A generation in progress.
#[derive(Debug)]
pub struct Generation {
    session: SessionId,
    logits: NodeId,
    /// Prompt, then what was written.
    history: Vec<u32>,
    prompt_len: usize,
    forced: Vec<Forced>,
    /// Tokens of the history that the session holds.
    done: usize,
    /// Most positions the session takes.
    context: usize,
    end_ids: Vec<u32>,
    sampler: Sampler,
    stream: TextStream,
    stops: StopStrings,
    /// Whether the device chooses by itself.
    choosing: bool,
    finished: Option<FinishReason>,
}

/// The entry that writes text and its logits.
fn decoder(model: &Model) -> Option<(&Graph, NodeId)> {
    let graph = model.entries.get(ENTRY)?;
    Some((graph, graph.role(Role::Logits)?))
}

impl Generation {
    /// Starts behind `prompt` and what `branch` says was written already, in a session that takes
    /// `context` positions and holds the first `held` of those tokens.
    ///
    /// # Errors
    /// If the prompt is empty or too long, a setting is out of range, a token is not in the
    /// vocabulary, or the model has no `decode` entry.
    pub fn start(
        model: &Model,
        session: Held,
        context: usize,
        tokenizer: &Tokenizer,
        prompt: Vec<u32>,
        branch: Branch,
        settings: GenerateSettings,
    ) -> Result<Self> {
        settings.check()?;
        let (_, logits) = decoder(model).ok_or(TaskError::CannotGenerate)?;
        if prompt.is_empty() {
            return Err(TaskError::EmptyPrompt);
        }
        let len = tokenizer.vocab_size();
        let forced = branch.forced.iter().map(|forced| forced.id);
        if let Some(id) = forced
            .chain(branch.written.iter().copied())
            .find(|id| *id as usize >= len)
        {
            let (what, index) = ("Token", id as usize);
            return Err(ExecError::OutOfRange { what, index, len }.into());
        }
        let prompt_len = prompt.len();
        let mut history = prompt;
        history.extend(&branch.written);
        // The last written token is never run, so a prompt may fill the context.
        if history.len() > context {
            return Err(TaskError::PromptTooLong {
                tokens: history.len(),
                most: context,
            });
        }
        let mut generation = Self {
            session: session.id,
            logits,
            prompt_len,
            // The last one is run in any case: its logits are wanted.
            done: session.tokens.min(history.len() - 1),
            history,
            forced: branch.forced,
            context,
            end_ids: tokenizer.end_ids().to_vec(),
            stream: tokenizer.stream(),
            stops: StopStrings::new(settings.stop.clone()),
            sampler: Sampler::new(settings),
            choosing: false,
            finished: None,
        };
        for &id in &branch.written {
            // Heard before; only what is held back matters.
            if generation.stops.push(&generation.stream.push(id)).stopped {
                generation.finished = Some(FinishReason::StopString);
            }
        }
        if branch.written.len() >= generation.sampler.settings().max_tokens as usize {
            generation.finished = Some(FinishReason::MaxTokens);
        }
        Ok(generation)
    }

    /// Prompt and written tokens that the session holds.
    pub fn held(&self) -> &[u32] {
        &self.history[..self.done]
    }

    /// Ids of the candidates that [`stages`](crate::stages()) tells of the latest token.
    pub fn shown_ids(&self, kept: &KeptLogits) -> Vec<u32> {
        let before = self.history.len().saturating_sub(1);
        crate::shown_ids(kept, self.sampler.settings(), &self.history[..before])
    }

    /// Tokens of the prompt.
    pub fn prompt_len(&self) -> usize {
        self.prompt_len
    }

    /// Tokens written so far.
    pub fn written(&self) -> &[u32] {
        &self.history[self.prompt_len..]
    }

    /// Ends the generation: the next step says so.
    pub fn stop(&mut self) {
        self.finished = Some(FinishReason::Stopped);
    }

    /// Does the next piece of work: a chunk of the prompt, or one token. May be dropped while it
    /// waits; then the only thing left to do is [`Self::stop`].
    ///
    /// # Errors
    /// From the executor, or if the logits are no numbers.
    pub async fn step(&mut self, exec: &mut dyn Executor) -> Result<Step> {
        if let Some(reason) = self.finished {
            exec.end_choosing(self.session);
            return Ok(self.finish(reason));
        }
        if !self.choosing {
            match self.run_pending(exec)? {
                Ran::Full => return Ok(self.finish(FinishReason::Context)),
                Ran::Some => {
                    return Ok(Step::Prefill {
                        done: self.done,
                        total: self.history.len(),
                    });
                }
                Ran::All => self.choosing = self.begin_choosing(exec)?,
            }
        }
        if self.choosing {
            if let Some(step) = self.take_choice(exec).await? {
                if self.finished.is_some() {
                    // What was chosen ahead is not wanted any more.
                    exec.end_choosing(self.session);
                }
                return Ok(step);
            }
            // All that the device was to choose is there: the last token is still to be run.
            self.choosing = false;
            return Box::pin(self.step(exec)).await;
        }
        let logits = self.read_logits(exec).await?;
        let kept = KeptLogits::of(&logits).ok_or(TaskError::NotFinite)?;
        let id = match self.forced_at(self.written().len()) {
            Some(id) => id,
            None => self.draw(&logits)?,
        };
        let logit = logits.get(id as usize).copied();
        Ok(self.write(id, logit, kept))
    }

    /// The token that must be written at a place.
    fn forced_at(&self, at: usize) -> Option<u32> {
        let mut forced = self.forced.iter();
        let forced = forced.find(|forced| forced.position as usize == at)?;
        Some(forced.id)
    }

    fn draw(&mut self, logits: &[f32]) -> Result<u32> {
        let at = self.written().len();
        self.sampler.choose(logits, &self.history, at)
    }

    /// Lets the device choose until something else than the sampler decides: the next forced
    /// token, the last one wanted, or the end of the context.
    fn begin_choosing(&mut self, exec: &mut dyn Executor) -> Result<bool> {
        let at = self.written().len();
        let settings = self.sampler.settings().clone();
        let forced = self.forced.iter().map(|forced| forced.position as usize);
        let end = forced
            .filter(|&position| position >= at)
            .fold(settings.max_tokens as usize, usize::min);
        let room = self.context + 1 - self.done;
        let draws = at..end.min(at + room);
        if draws.is_empty() {
            return Ok(false);
        }
        let draws: Vec<f32> = draws.map(|i| self.sampler.draw(i) as f32).collect();
        Ok(exec.begin_choosing(&Choosing {
            session: self.session,
            entry: ENTRY,
            logits: self.logits,
            history: &self.history,
            temperature: settings.temperature,
            top_k: settings.top_k,
            top_p: settings.top_p,
            min_p: settings.min_p,
            repetition_penalty: settings.repetition_penalty,
            draws: &draws,
        })?)
    }

    /// Takes the device's next choice; where it cannot decide, decides from its logits.
    async fn take_choice(&mut self, exec: &mut dyn Executor) -> Result<Option<Step>> {
        let Some(choice) = exec.next_choice(self.session).await? else {
            return Ok(None);
        };
        self.done = exec.len(self.session)?;
        let kept = choice.kept;
        let Some(id) = choice.id else {
            self.choosing = false;
            let logits = self.read_logits(exec).await?;
            let id = self.draw(&logits)?;
            let logit = logits.get(id as usize).copied();
            return Ok(Some(self.write(id, logit, kept)));
        };
        let logit = kept.logit(id);
        Ok(Some(self.write(id, logit, kept)))
    }

    /// Runs what the session does not hold yet, at most a chunk of it, and reads the logits of the
    /// next token once that is all.
    ///
    /// # Errors
    /// From the executor.
    pub async fn advance(&mut self, exec: &mut dyn Executor) -> Result<Advance> {
        match self.run_pending(exec)? {
            Ran::Full => Ok(Advance::Full),
            Ran::Some => Ok(Advance::Prefill),
            Ran::All => Ok(Advance::Logits(self.read_logits(exec).await?)),
        }
    }

    fn run_pending(&mut self, exec: &mut dyn Executor) -> Result<Ran> {
        let pending = self.history.len() - self.done;
        let chunk = pending.min(PREFILL_CHUNK);
        let last = chunk == pending;
        if self.done + chunk > self.context {
            return Ok(Ran::Full);
        }
        // Before the prompt is through, nobody needs logits; then only those of its last token.
        let row = [chunk.saturating_sub(1) as u32];
        exec.run(Run {
            session: self.session,
            entry: ENTRY,
            inputs: &[
                Input {
                    name: "ids",
                    data: &self.history[self.done..self.done + chunk],
                },
                Input {
                    name: "rows",
                    data: if last { &row } else { &[] },
                },
            ],
            taps: &[],
        })?;
        self.done += chunk;
        Ok(if last { Ran::All } else { Ran::Some })
    }

    async fn read_logits(&self, exec: &dyn Executor) -> Result<Vec<f32>> {
        let read = exec.read(self.session, ENTRY, self.logits, &[0, 0]).await?;
        let logits = read.into_iter().next().map(|tensor| tensor.data);
        Ok(logits.unwrap_or_default())
    }

    /// Takes a chosen token.
    fn write(&mut self, id: u32, logit: Option<f32>, kept: KeptLogits) -> Step {
        // The sum is that of all logits: this is no approximation.
        let logprob = kept.log_prob(logit.unwrap_or(f32::NEG_INFINITY)) as f32;
        if self.end_ids.contains(&id) {
            return self.finish(FinishReason::End);
        }
        self.history.push(id);
        let piece = self.stops.push(&self.stream.push(id));
        let text = piece.emit;
        let token = GeneratedToken {
            id,
            text,
            logprob,
            kept,
        };
        if piece.stopped {
            self.finished = Some(FinishReason::StopString);
            return Step::LastToken(token);
        }
        if self.written().len() >= self.sampler.settings().max_tokens as usize {
            self.finished = Some(FinishReason::MaxTokens);
        }
        Step::Token(token)
    }

    fn finish(&mut self, reason: FinishReason) -> Step {
        self.finished = Some(reason);
        let text = if reason == FinishReason::StopString {
            String::new()
        } else {
            let end = self.stops.push(&self.stream.finish());
            let held = if end.stopped {
                String::new()
            } else {
                self.stops.flush()
            };
            end.emit + &held
        };
        Step::Finished { reason, text }
    }
}
