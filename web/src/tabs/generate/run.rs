//! A run of the model: load if need be, read the prompt, write tokens until it ends or is stopped.

use glassformer_engine::protocol::{Event, FinishReason, ModelInfo, Prompt, PromptToken, Request};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::explain;
use super::recorded::Recording;
use super::status::{Pace, Phase, reason_in_words};
use crate::components::token_stream::{Token, TokenStream};
use crate::engine_client::Events;
use crate::format;
use crate::fragment::Mode;
use crate::model::{LoadEnd, now_seconds};
use crate::page::{Page, Problem};

/// The runs of the Generate tab, one at a time.
#[derive(Clone, Copy)]
pub struct Runs {
    page: Page,
    /// How far it is.
    pub phase: RwSignal<Phase>,
    /// What was written.
    pub written: TokenStream,
    /// What the output continues or answers.
    pub asked: RwSignal<Option<Asked>>,
    /// The prompt as the model saw it.
    pub seen: RwSignal<Vec<PromptToken>>,
    /// The recorded example, until something live replaces it.
    pub recorded: RwSignal<Option<Recording>>,
    /// Whole sentences for screen readers, so that they need not read every token.
    pub spoken: RwSignal<String>,
    /// Id of the generation under way.
    request: StoredValue<Option<u32>>,
    /// Counts runs: events of an older one are ignored.
    run: StoredValue<u32>,
}

/// The text a run was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// As typed.
    pub text: String,
    /// As read.
    pub mode: Mode,
}

impl Runs {
    /// Nothing has run yet; the recorded example stands in.
    pub fn new(page: Page) -> Self {
        Self {
            page,
            phase: RwSignal::new(Phase::Idle),
            written: TokenStream::new("generate-token", page.lens, explain::token),
            asked: RwSignal::new(None),
            seen: RwSignal::new(Vec::new()),
            recorded: RwSignal::new(Recording::load()),
            spoken: RwSignal::new(String::new()),
            request: StoredValue::new(None),
            run: StoredValue::new(0),
        }
    }

    /// Starts a run with what the page shows; a run under way ends.
    pub fn start(self) {
        let text = self.page.text.get_untracked();
        if text.trim().is_empty() {
            let sentence = "The prompt is empty; type something or pick an example.".into();
            let problem = Problem {
                sentence,
                detail: String::new(),
            };
            // What is under way goes on.
            if self.phase.with_untracked(Phase::is_active) {
                return self.page.problem.set(Some(problem));
            }
            return self.fail(problem);
        }
        // A load under way is joined, as both runs want the same model.
        self.stop_writing();
        self.run.update_value(|run| *run += 1);
        let run = self.run.get_value();
        spawn_local(async move { self.go(run, text).await });
    }

    /// Starts a run if that needs no download; otherwise the button keeps asking.
    pub fn start_if_cached(self) {
        spawn_local(async move {
            if untrack(|| self.page.model.is_ready()) || self.page.model.ask_cached().await {
                self.start();
            } else {
                self.page.notices.say("The link asks to run at once; press Run, as the model has to be downloaded first.");
            }
        });
    }

    /// Stops what is under way.
    pub fn stop(self) {
        if self.phase.get_untracked() == Phase::Loading {
            // Should the load be over at this moment, nothing is to be written all the same.
            self.run.update_value(|run| *run += 1);
            self.phase.set(Phase::Idle);
            self.page.model.cancel_load();
        }
        self.stop_writing();
    }

    fn stop_writing(self) {
        if let Some(request) = self.request.get_value() {
            self.page.model.cancel(request);
        }
    }

    fn is_current(&self, run: u32) -> bool {
        self.run.get_value() == run
    }

    async fn go(self, run: u32, text: String) {
        self.page.problem.set(None);
        self.phase.set(Phase::Loading);
        let info = match self.page.model.ensure().await {
            _ if !self.is_current(run) => return,
            Ok(info) => info,
            Err(LoadEnd::Cancelled) => return self.phase.set(Phase::Idle),
            Err(LoadEnd::Failed(problem)) => return self.fail(problem),
        };
        let mode = self.readable_mode(&info);
        let prompt = match mode {
            Mode::Chat => Prompt::Chat { text: text.clone() },
            Mode::Plain => Prompt::Plain { text: text.clone() },
        };
        self.phase.set(Phase::Reading { done: 0, total: 0 });
        self.spoken.set("The model is reading the prompt.".into());
        let settings = self.page.settings.get_untracked();
        let events = self
            .page
            .model
            .request(Request::Generate { prompt, settings });
        self.request.set_value(Some(events.id));
        self.follow(run, Asked { text, mode }, events).await;
        if self.is_current(run) {
            self.request.set_value(None);
        }
    }

    fn readable_mode(&self, info: &ModelInfo) -> Mode {
        let mode = self.page.mode.get_untracked();
        if mode == Mode::Chat && !info.chat {
            self.page
                .notices
                .say("This model has no chat template, so it continues the text as it is.");
            return Mode::Plain;
        }
        mode
    }

    async fn follow(self, run: u32, asked: Asked, mut events: Events) {
        let mut asked = Some(asked);
        let asked_at = now_seconds();
        let mut first_at = None;
        let mut sentence = Sentence::default();
        while let Some(event) = events.next().await {
            if !self.is_current(run) {
                return;
            }
            match event {
                Event::Prompt { tokens } => {
                    let total = tokens.len() as u32;
                    // Only now: what was there stays if the prompt cannot be taken.
                    self.recorded.set(None);
                    self.written.clear();
                    self.asked.set(asked.take());
                    self.seen.set(tokens);
                    self.phase.set(Phase::Reading { done: 0, total });
                }
                Event::Prefill { done, total } => self.phase.set(Phase::Reading { done, total }),
                Event::Token {
                    index,
                    id,
                    text,
                    logprob,
                } => {
                    let now = now_seconds();
                    let first = *first_at.get_or_insert(now);
                    if let Some(whole) = sentence.push(&text) {
                        self.spoken.set(whole);
                    }
                    self.written.append(Token { id, text, logprob });
                    self.phase.set(Phase::Writing(Pace {
                        tokens: index + 1,
                        first_token_seconds: first - asked_at,
                        since_first_seconds: now - first,
                    }));
                }
                Event::Finished {
                    reason,
                    text,
                    stats,
                } => {
                    self.written.append_text(&text);
                    sentence.push(&text);
                    self.phase.set(Phase::Finished(reason, stats));
                    self.spoken.set(sentence.end(reason, stats.tokens));
                }
                Event::Failed { message, detail } => self.fail(Problem {
                    sentence: message,
                    detail,
                }),
                _ => {}
            }
        }
    }

    fn fail(self, problem: Problem) {
        self.phase.set(Phase::Failed);
        self.page.problem.set(Some(problem));
    }
}

/// Collects written text into whole sentences.
#[derive(Default)]
struct Sentence {
    text: String,
}

impl Sentence {
    /// Adds text; gives back a sentence when one is complete.
    fn push(&mut self, text: &str) -> Option<String> {
        self.text.push_str(text);
        let end = self.text.rfind(['.', '!', '?', '\n', '。', '！', '？'])?;
        // "3.14" and "e.g." go on: a sentence ends before white space, or is long enough.
        let after = end + self.text[end..].chars().next().map_or(1, char::len_utf8);
        let complete = self.text[after..].starts_with(char::is_whitespace)
            || self.text[end..].starts_with('\n');
        if !complete || self.text[..after].trim().is_empty() {
            return None;
        }
        let rest = self.text.split_off(after);
        Some(std::mem::replace(&mut self.text, rest).trim().to_string())
    }

    /// What is left, and how it ended.
    fn end(&self, reason: FinishReason, tokens: u32) -> String {
        let count = format::counted(tokens.into(), "token");
        format!(
            "{} Writing ended after {count}: {}.",
            self.text.trim(),
            reason_in_words(reason)
        )
        .trim_start()
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(pieces: &[&str]) -> Vec<String> {
        let mut sentence = Sentence::default();
        pieces
            .iter()
            .filter_map(|piece| sentence.push(piece))
            .collect()
    }

    #[test]
    fn sentences_are_spoken_when_they_are_whole() {
        assert_eq!(
            spoken(&["The sky", " is", " blue", ".", " It", " is", "."]),
            ["The sky is blue."]
        );
        assert_eq!(
            spoken(&["pi is 3", ".", "14", " or so"]),
            Vec::<String>::new()
        );
        assert_eq!(spoken(&["one\n", "\n", "two", "\n"]), ["one", "two"]);
        assert_eq!(spoken(&["空は青い。", " そう"]), ["空は青い。"]);
    }

    #[test]
    fn the_end_names_its_reason() {
        let mut sentence = Sentence::default();
        sentence.push(" and so on");
        let end = sentence.end(FinishReason::Stopped, 1);
        assert_eq!(end, "and so on Writing ended after 1 token: stopped.");
        assert_eq!(
            Sentence::default().end(FinishReason::End, 0),
            "Writing ended after 0 tokens: the model ended it."
        );
    }
}
