//! Writing text, one step at a time.

use glassformer_graph::{Executor, Graph, Input, Model, NodeId, Role, Run, SessionId};
use glassformer_text::{StopStrings, TextStream, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::{GenerateSettings, Sampler, TaskError, log_softmax_at};

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

/// A generation in progress.
#[derive(Debug)]
pub struct Generation {
    session: SessionId,
    logits: NodeId,
    /// Prompt, then what was written.
    history: Vec<u32>,
    prompt_len: usize,
    /// Tokens of the history that the session holds.
    done: usize,
    /// Most positions the session takes.
    context: usize,
    end_ids: Vec<u32>,
    sampler: Sampler,
    stream: TextStream,
    stops: StopStrings,
    finished: Option<FinishReason>,
}

/// The entry that writes text and its logits.
fn decoder(model: &Model) -> Option<(&Graph, NodeId)> {
    let graph = model.entries.get(ENTRY)?;
    Some((graph, graph.role(Role::Logits)?))
}

impl Generation {
    /// Starts behind `prompt` in an empty session that takes `context` positions.
    ///
    /// # Errors
    /// If the prompt is empty or too long, a setting is out of range, or the model has no
    /// `decode` entry.
    pub fn start(
        model: &Model,
        session: SessionId,
        context: usize,
        tokenizer: &Tokenizer,
        prompt: Vec<u32>,
        settings: GenerateSettings,
    ) -> Result<Self> {
        settings.check()?;
        let (_, logits) = decoder(model).ok_or(TaskError::CannotGenerate)?;
        if prompt.is_empty() {
            return Err(TaskError::EmptyPrompt);
        }
        // The last written token is never run, so a prompt may fill the context.
        if prompt.len() > context {
            return Err(TaskError::PromptTooLong {
                tokens: prompt.len(),
                most: context,
            });
        }
        Ok(Self {
            session,
            logits,
            prompt_len: prompt.len(),
            history: prompt,
            done: 0,
            context,
            end_ids: tokenizer.end_ids().to_vec(),
            stream: tokenizer.stream(),
            stops: StopStrings::new(settings.stop.clone()),
            sampler: Sampler::new(settings),
            finished: None,
        })
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

    /// Does the next piece of work: a chunk of the prompt, or one token.
    ///
    /// # Errors
    /// From the executor, or if the logits are no numbers.
    pub async fn step(&mut self, exec: &mut dyn Executor) -> Result<Step> {
        if let Some(reason) = self.finished {
            return Ok(self.finish(reason));
        }
        match self.advance(exec).await? {
            Advance::Full => Ok(self.finish(FinishReason::Context)),
            Advance::Prefill => Ok(Step::Prefill {
                done: self.done,
                total: self.prompt_len,
            }),
            Advance::Logits(logits) => {
                let id = self
                    .sampler
                    .choose(&logits, &self.history, self.written().len())?;
                Ok(self.write(id, log_softmax_at(&logits, id)))
            }
        }
    }

    /// Runs what the session does not hold yet, at most a chunk of it.
    ///
    /// # Errors
    /// From the executor.
    pub async fn advance(&mut self, exec: &mut dyn Executor) -> Result<Advance> {
        let pending = self.history.len() - self.done;
        let chunk = pending.min(PREFILL_CHUNK);
        let last = chunk == pending;
        if self.done + chunk > self.context {
            return Ok(Advance::Full);
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
        if !last {
            return Ok(Advance::Prefill);
        }
        let read = exec.read(self.session, ENTRY, self.logits, &[0, 0]).await?;
        let logits = read.into_iter().next().map(|tensor| tensor.data);
        Ok(Advance::Logits(logits.unwrap_or_default()))
    }

    /// Takes a chosen token.
    fn write(&mut self, id: u32, logprob: f32) -> Step {
        if self.end_ids.contains(&id) {
            return self.finish(FinishReason::End);
        }
        self.history.push(id);
        let piece = self.stops.push(&self.stream.push(id));
        let text = piece.emit;
        let token = GeneratedToken { id, text, logprob };
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
