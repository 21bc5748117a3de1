//! The state shared by the parts of the page, and its life in the link.

use glassformer_engine::protocol::{BackendChoice, GenerateSettings, PrecisionChoice};
use glassformer_engine::registry;
use gloo::timers::callback::Timeout;
use leptos::prelude::*;
use wasm_bindgen::JsValue;

use crate::components::lens::Lens;
use crate::components::notices::Notices;
use crate::fragment::{self, Extent, Known, Mode, PageState, Parsed};
use crate::model::Model;
use crate::tabs::TABS;

/// The address is rewritten this long after the last change; browsers limit how often it may be.
const WRITE_AFTER_MILLISECONDS: u32 = 300;

/// Signals every component can reach through the context.
#[derive(Clone, Copy)]
pub struct Page {
    /// Id of the open tab.
    pub tab: RwSignal<String>,
    /// What the person typed.
    pub text: RwSignal<String>,
    /// How it is read.
    pub mode: RwSignal<Mode>,
    /// How tokens are chosen.
    pub settings: RwSignal<GenerateSettings>,
    /// The model and its loading.
    pub model: Model,
    /// What the person points at.
    pub lens: Lens,
    /// Sentences to read.
    pub notices: Notices,
    /// What went wrong last, until the next attempt.
    pub problem: RwSignal<Option<Problem>>,
    /// Whether the switches of tests are shown.
    pub debug: RwSignal<bool>,
    /// Counts the links that ask to run at once.
    pub run_asked: RwSignal<u32>,
    /// The branch that is shown, or that a link asks for.
    pub branch: RwSignal<BranchLink>,
}

/// A branch and what it belongs to: forced tokens mean something only with the prompt and the
/// settings they were chosen in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BranchLink {
    /// The prompt.
    pub text: String,
    /// How it is read.
    pub mode: Mode,
    /// How tokens are chosen.
    pub settings: GenerateSettings,
    /// Positions and ids of the chosen tokens.
    pub steps: Vec<(u32, u32)>,
    /// Whether a link asks for it and no run has restored it yet.
    pub pending: bool,
}

impl BranchLink {
    fn of_link(state: &PageState) -> Self {
        Self {
            text: state.text.clone(),
            mode: state.mode,
            settings: state.settings.clone(),
            steps: state.branch.clone(),
            pending: !state.branch.is_empty(),
        }
    }
}

/// Something that could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One sentence: what happened, what was kept, what to do.
    pub sentence: String,
    /// For whoever looks behind "more"; may be empty.
    pub detail: String,
}

impl Page {
    /// Starts the engine and restores what the address asks for.
    pub fn start() -> Self {
        let notices = Notices::default();
        let Parsed {
            state,
            run,
            debug,
            problems,
        } = read_address();
        problems.iter().for_each(|problem| notices.say(problem));
        Self {
            tab: RwSignal::new(state.tab.clone()),
            text: RwSignal::new(state.text.clone()),
            mode: RwSignal::new(state.mode),
            settings: RwSignal::new(state.settings.clone()),
            model: Model::start(&state, notices),
            lens: Lens::default(),
            notices,
            problem: RwSignal::new(None),
            debug: RwSignal::new(debug),
            run_asked: RwSignal::new(u32::from(run)),
            branch: RwSignal::new(BranchLink::of_link(&state)),
        }
    }

    /// Keeps the address equal to the state, and follows it when the person edits it.
    pub fn follow_address(self) {
        let pending = StoredValue::new_local(None::<Timeout>);
        Effect::new(move |_| {
            let state = self.state();
            let write = Timeout::new(WRITE_AFTER_MILLISECONDS, move || {
                replace_fragment(&fragment::write(&state, &known(), Extent::Changed));
            });
            // Replacing a timeout cancels the one before.
            pending.set_value(Some(write));
        });
        let _ = window_event_listener(leptos::ev::hashchange, move |_| {
            let Parsed {
                state,
                run,
                debug,
                problems,
            } = read_address();
            self.debug.set(debug);
            problems
                .iter()
                .for_each(|problem| self.notices.say(problem));
            self.restore(state);
            if run {
                self.run_asked.update(|asked| *asked += 1);
            }
        });
    }

    /// A link that restores all of this, with defaults spelt out.
    pub fn link(&self) -> String {
        let fragment = untrack(|| fragment::write(&self.state(), &known(), Extent::Everything));
        let href = window().location().href().unwrap_or_default();
        let base = href.split('#').next().unwrap_or_default();
        format!("{base}{fragment}")
    }

    /// The forced tokens that a link asks for, once, if prompt and settings are still those of the
    /// link.
    pub fn take_branch(&self) -> Vec<(u32, u32)> {
        let asked = untrack(|| self.state().branch);
        let pending = self.branch.with_untracked(|branch| branch.pending);
        self.branch.update(|branch| branch.pending = false);
        if pending { asked } else { Vec::new() }
    }

    /// The branch, as long as prompt and settings are those it grew from.
    fn branch_steps(&self) -> Vec<(u32, u32)> {
        self.branch.with(|branch| {
            let same = self.text.with(|text| *text == branch.text)
                && self.mode.get() == branch.mode
                && self.settings.with(|settings| *settings == branch.settings);
            if same {
                branch.steps.clone()
            } else {
                Vec::new()
            }
        })
    }

    fn state(&self) -> PageState {
        PageState {
            branch: self.branch_steps(),
            tab: self.tab.get(),
            model: self.model.manifest_id(),
            backend: self.model.backend.get(),
            precision: self.model.precision.get(),
            text: self.text.get(),
            mode: self.mode.get(),
            settings: self.settings.get(),
        }
    }

    // Only what differs is set: the person may be typing in what is the same.
    fn restore(&self, state: PageState) {
        let link = BranchLink::of_link(&state);
        if link.pending
            && self
                .branch
                .with_untracked(|branch| branch.steps != link.steps)
        {
            self.branch.set(link);
        }
        set_if_new(self.tab, state.tab);
        set_if_new(self.text, state.text);
        set_if_new(self.mode, state.mode);
        set_if_new(self.settings, state.settings);
        set_if_new::<BackendChoice>(self.model.backend, state.backend);
        set_if_new::<PrecisionChoice>(self.model.precision, state.precision);
        self.model.choose_manifest(&state.model);
    }
}

fn set_if_new<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if signal.with_untracked(|old| *old != value) {
        signal.set(value);
    }
}

fn read_address() -> Parsed {
    fragment::parse(&window().location().hash().unwrap_or_default(), &known())
}

fn known() -> Known<'static> {
    use std::sync::LazyLock;
    static TAB_IDS: LazyLock<Vec<&str>> = LazyLock::new(|| TABS.iter().map(|tab| tab.id).collect());
    static MODEL_IDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
        registry::manifest()
            .iter()
            .map(|entry| entry.id.as_str())
            .collect()
    });
    Known {
        tabs: &TAB_IDS,
        models: &MODEL_IDS,
    }
}

fn replace_fragment(fragment: &str) {
    let Ok(history) = window().history() else {
        return;
    };
    // Refused only when called too often; the next change tries again.
    let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(fragment));
}
