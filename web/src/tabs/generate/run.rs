//! A run of the model: load if need be, read the prompt, write tokens until it ends or is stopped.

use glassformer_engine::protocol::{
    Branch, FinishReason, Forced, GenerateSettings, ModelInfo, Prompt, PromptToken, Request,
};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::recorded::Recording;
use super::status::Phase;
use super::texts::Before;
use super::tree::Tree;
use super::{candidates, explain};
use crate::components::token_stream::{Token, TokenStream};
use crate::desk::Desk;
use crate::fragment::Mode;
use crate::model::{Chosen, LoadEnd};
use crate::page::{Page, Problem};

mod follow;

use follow::Heard;

/// The runs of the Generate tab, one at a time.
#[derive(Clone, Copy)]
pub struct Runs {
    pub(super) page: Page,
    pub(super) desk: Desk,
    /// How far it is.
    pub phase: RwSignal<Phase>,
    /// The text that is shown.
    pub written: TokenStream,
    /// All texts of the last prompt.
    pub tree: RwSignal<Tree>,
    /// What the lens tries out: the run's settings until the person moves them.
    pub what_if: RwSignal<GenerateSettings>,
    /// Whether the sliders for that are unfolded.
    pub trying: RwSignal<bool>,
    /// What the last run replaced.
    pub before: RwSignal<Option<Before>>,
    /// What the output continues or answers.
    pub asked: RwSignal<Option<Asked>>,
    /// The prompt as the model saw it.
    pub seen: RwSignal<Vec<PromptToken>>,
    /// The recorded example, until something live replaces it.
    pub recorded: RwSignal<Option<Recording>>,
    /// Whole sentences for screen readers, so that they need not read every token.
    pub spoken: RwSignal<String>,
    /// The text of the tree that is being written.
    pub(super) writing: StoredValue<Option<usize>>,
    /// Id of the generation under way.
    request: StoredValue<Option<u32>>,
    /// Counts runs: events of an older one are ignored.
    pub(super) run: StoredValue<u32>,
}

/// What a run was started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// As typed.
    pub text: String,
    /// As read.
    pub mode: Mode,
    /// How tokens are chosen, in the branches too.
    pub settings: GenerateSettings,
    /// The model that wrote it; opened files of the same name are another one.
    pub model: Chosen,
    /// The engine's name for that model.
    pub handle: u32,
}

impl Asked {
    fn prompt(&self) -> Prompt {
        let text = self.text.clone();
        match self.mode {
            Mode::Chat => Prompt::Chat { text },
            Mode::Plain => Prompt::Plain { text },
        }
    }
}

/// What a run writes.
pub enum Into {
    /// A new text, with the forced tokens of a link.
    NewText(Vec<(u32, u32)>),
    /// Another token at a place of the text `node` of the tree.
    Branch {
        node: usize,
        at: usize,
        id: u32,
        text: String,
    },
}

impl Runs {
    /// Nothing has run yet; the recorded example stands in.
    pub fn new(page: Page, desk: Desk) -> Self {
        // The lens of a token leads back to the runs, for its history and its branches.
        let runs = StoredValue::new(None::<Self>);
        let explain = move |token: &Token, subject| {
            let content = explain::token(token, subject);
            match runs.get_value() {
                Some(runs) => candidates::with_candidates(content, token, runs),
                None => content,
            }
        };
        let made = Self {
            page,
            desk,
            phase: RwSignal::new(Phase::Idle),
            written: TokenStream::new("generate-token", desk.lens, explain),
            tree: RwSignal::new(Tree::default()),
            what_if: RwSignal::new(GenerateSettings::default()),
            // On a phone they would hide what they redraw.
            trying: RwSignal::new(is_wide()),
            before: RwSignal::new(None),
            asked: RwSignal::new(None),
            seen: RwSignal::new(Vec::new()),
            recorded: RwSignal::new(Recording::load()),
            spoken: RwSignal::new(String::new()),
            writing: StoredValue::new(None),
            request: StoredValue::new(None),
            run: StoredValue::new(0),
        };
        runs.set_value(Some(made));
        made
    }

    /// Starts a run with what the page shows; a run under way ends.
    pub fn start(self) {
        self.page.notices.has_run();
        let text = self.desk.text.get_untracked();
        if text.trim().is_empty() {
            let sentence = "The prompt is empty; type something or pick an example.".into();
            let problem = Problem {
                sentence,
                detail: String::new(),
            };
            // What is under way goes on.
            if self.phase.with_untracked(Phase::is_active) {
                return self.desk.problem.set(Some(problem));
            }
            return self.fail(problem);
        }
        let steps = self.page.take_branch();
        self.begin(move |runs, run| async move { runs.write_new(run, text, steps).await });
    }

    /// Goes on from a place of the text that is shown with another token.
    pub fn branch(self, at: usize, id: u32, text: String) {
        let Some(asked) = self.asked.get_untracked() else {
            return;
        };
        // While the model loads, another text may be shown.
        let node = self.tree.with_untracked(Tree::current);
        let into = Into::Branch { node, at, id, text };
        self.begin(move |runs, run| async move { runs.go(run, asked, into).await });
    }

    fn begin<F: Future<Output = ()> + 'static>(self, work: impl FnOnce(Self, u32) -> F + 'static) {
        // A load under way is joined, as both runs want the same model.
        self.stop_writing();
        // Its end will not be heard any more.
        if let Phase::Writing(_) = self.phase.get_untracked() {
            let stopped = Phase::Finished(FinishReason::Stopped, Default::default());
            self.tree.update(|tree| {
                if let Some(node) = self
                    .writing
                    .get_value()
                    .and_then(|node| tree.node_mut(node))
                {
                    node.phase = stopped;
                }
            });
        }
        self.run.update_value(|run| *run += 1);
        let run = self.run.get_value();
        spawn_local(work(self, run));
    }

    /// Starts a run if that needs no download; otherwise the button keeps asking.
    pub fn start_if_cached(self) {
        spawn_local(async move {
            if untrack(|| self.desk.model.is_ready()) || self.desk.model.ask_cached().await {
                self.start();
            } else {
                self.page.notices.ask_to_run();
            }
        });
    }

    /// Stops what is under way.
    pub fn stop(self) {
        if self.phase.get_untracked() == Phase::Loading {
            // Should the load be over at this moment, nothing is to be written all the same.
            self.run.update_value(|run| *run += 1);
            self.phase.set(Phase::Idle);
            self.desk.model.cancel_load();
        }
        self.stop_writing();
    }

    fn stop_writing(self) {
        if let Some(request) = self.request.get_value() {
            self.desk.model.cancel(request);
            // Should the engine die before it hears of it, nothing goes on.
            self.request.set_value(None);
        }
    }

    fn is_current(&self, run: u32) -> bool {
        self.run.get_value() == run
    }

    /// The model, loaded if need be; nothing if the run is over.
    async fn model(self, run: u32) -> Option<ModelInfo> {
        self.desk.problem.set(None);
        self.phase.set(Phase::Loading);
        match self.desk.model.ensure().await {
            _ if !self.is_current(run) => return None,
            Ok(info) => return Some(info),
            Err(LoadEnd::Cancelled) => self.phase.set(Phase::Idle),
            Err(LoadEnd::Failed(problem)) => self.fail(problem),
        }
        None
    }

    async fn write_new(self, run: u32, text: String, steps: Vec<(u32, u32)>) {
        let Some(info) = self.model(run).await else {
            return;
        };
        let mode = self.readable_mode(&info);
        let model = self.desk.model.chosen.get_untracked();
        let settings = self.page.settings.get_untracked();
        let asked = Asked {
            text,
            mode,
            settings,
            model,
            handle: info.handle,
        };
        self.send(run, asked, Into::NewText(steps)).await;
    }

    async fn go(self, run: u32, mut asked: Asked, into: Into) {
        let Some(info) = self.model(run).await else {
            return;
        };
        let chosen = self.desk.model.chosen.get_untracked();
        if chosen != asked.model {
            let sentence = "This text was written by another model; it is kept, and can be branched once that model is chosen again.";
            return self.fail(Problem {
                sentence: sentence.into(),
                detail: format!(
                    "{} is loaded, {} wrote it",
                    chosen.name(),
                    asked.model.name()
                ),
            });
        }
        asked.handle = info.handle;
        self.send(run, asked, into).await;
    }

    async fn send(self, run: u32, mut asked: Asked, into: Into) {
        self.phase.set(Phase::Reading { done: 0, total: 0 });
        self.spoken.set("The model is reading the prompt.".into());
        let forced = |(position, id): (u32, u32)| Forced { position, id };
        let branch = match &into {
            Into::NewText(steps) => Branch {
                written: Vec::new(),
                forced: steps.iter().copied().map(forced).collect(),
            },
            Into::Branch { node, at, id, .. } => self.tree.with_untracked(|tree| {
                let text = tree.text(*node);
                Branch {
                    written: text.iter().take(*at).map(|token| token.id).collect(),
                    forced: vec![forced((*at as u32, *id))],
                }
            }),
        };
        let mut heard = Heard::new(asked.clone(), into);
        let died = self.ask(run, &asked, branch.clone(), &mut heard).await;
        let Some(problem) = died else { return };
        // These tokens mean nothing to another model.
        if self.desk.model.chosen.get_untracked() != asked.model {
            return self.fail(problem);
        }
        // Once: what kills the engine at the same place again is not to be run for ever.
        let Some(info) = self.model(run).await else {
            return;
        };
        self.page
            .notices
            .say("The engine stopped unexpectedly and was started again; the text goes on.");
        asked.handle = info.handle;
        let node = self.writing.get_value().filter(|_| heard.has_begun());
        let written = node.map(|node| {
            let text = self.tree.with_untracked(|tree| tree.text(node));
            text.iter().map(|token| token.id).collect()
        });
        let branch = Branch {
            written: written.unwrap_or(branch.written),
            ..branch
        };
        if self.ask(run, &asked, branch, &mut heard).await.is_some() {
            self.fail(problem);
        }
    }

    /// Asks the engine to write, and listens until it ends; says if the engine died on the way.
    async fn ask(
        self,
        run: u32,
        asked: &Asked,
        branch: Branch,
        heard: &mut Heard,
    ) -> Option<Problem> {
        let events = self.desk.model.request(Request::Generate {
            model: asked.handle,
            prompt: asked.prompt(),
            settings: asked.settings.clone(),
            branch,
        });
        let id = events.id;
        self.request.set_value(Some(id));
        let died = self.follow(run, heard, events).await;
        if !self.is_current(run) {
            return None;
        }
        let stopped = self.request.get_value() != Some(id);
        self.request.set_value(None);
        if died.is_some() && stopped {
            self.ended(
                heard,
                FinishReason::Stopped,
                String::new(),
                Default::default(),
            );
            return None;
        }
        died
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

    fn fail(self, problem: Problem) {
        self.phase.set(Phase::Failed);
        self.desk.problem.set(Some(problem));
    }
}

/// Whether the lens has a column of its own; see `lens.css`.
fn is_wide() -> bool {
    let width = window().inner_width().ok().and_then(|width| width.as_f64());
    width.unwrap_or(0.0) > 900.0
}
