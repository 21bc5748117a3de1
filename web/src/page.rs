//! The state shared by the parts of the page, and its life in the link.

use glassformer_engine::protocol::{BackendChoice, GenerateSettings, PrecisionChoice};
use gloo::timers::callback::Timeout;
use leptos::prelude::*;
use wasm_bindgen::JsValue;

use crate::components::notices::Notices;
use crate::desk::Desk;
use crate::fragment::{self, Extent, Known, KnownTab, Mode, PageState, Parsed};
use crate::model::{Chosen, Hub};
use crate::tabs::{self, TABS};

/// The address is rewritten this long after the last change; browsers limit how often it may be.
const WRITE_AFTER_MILLISECONDS: u32 = 300;

/// Signals every component can reach through the context.
#[derive(Clone, Copy)]
pub struct Page {
    /// Id of the open tab.
    pub tab: RwSignal<String>,
    /// What each tab keeps, in their order.
    desks: StoredValue<Vec<Desk>>,
    /// How the prompt of the Generate tab is read.
    pub mode: RwSignal<Mode>,
    /// How tokens are chosen.
    pub settings: RwSignal<GenerateSettings>,
    /// Sentences to read.
    pub notices: Notices,
    /// Whether the switches of tests are shown.
    pub debug: RwSignal<bool>,
    /// The branch that is shown, or that a link asks for.
    pub branch: RwSignal<BranchLink>,
    hub: Hub,
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
        let hub = Hub::start(state.backend, state.precision, notices);
        let known = known();
        let desks = TABS.iter().map(|tab| {
            if tab.id == state.tab {
                Desk::new(tab.id, hub, &state, run)
            } else {
                Desk::new(tab.id, hub, &PageState::of_tab(&known, tab.id), false)
            }
        });
        Self {
            tab: RwSignal::new(state.tab.clone()),
            desks: StoredValue::new(desks.collect()),
            mode: RwSignal::new(state.mode),
            settings: RwSignal::new(state.settings.clone()),
            notices,
            debug: RwSignal::new(debug),
            branch: RwSignal::new(BranchLink::of_link(&state)),
            hub,
        }
    }

    /// What a tab keeps; of an unknown id the first tab's.
    pub fn desk(&self, id: &str) -> Desk {
        self.desks.with_value(|desks| {
            let found = desks.iter().find(|desk| desk.id == id);
            *found.unwrap_or(&desks[0])
        })
    }

    /// What the open tab keeps, tracked.
    pub fn open_desk(&self) -> Desk {
        self.tab.with(|id| self.desk(id))
    }

    /// Opens a tab. One that works on any model starts with what another tab has loaded.
    pub fn open_tab(&self, id: &str) {
        self.tab.set(id.into());
        let desk = self.desk(id);
        let any_model = tabs::find(id).is_some_and(|tab| tab.any_model);
        if !any_model || desk.picked.get_untracked() {
            return;
        }
        let mut models = self.hub.models().into_iter();
        if let Some(loaded) = models.find(|model| untrack(|| model.is_ready())) {
            desk.model.adopt(&loaded);
        }
    }

    /// Models that can be chosen without opening files: the page's own, and what is opened in a
    /// tab.
    pub fn choices(&self) -> Vec<Chosen> {
        let mut choices: Vec<Chosen> = tabs::models().map(Chosen::Manifest).collect();
        for model in self.hub.models() {
            let chosen = model.chosen.get();
            if matches!(chosen, Chosen::Opened { .. }) && !choices.contains(&chosen) {
                choices.push(chosen);
            }
        }
        choices
    }

    /// Chooses one of [`Self::choices`] for the open tab; it is loaded by the next run.
    pub fn choose(&self, chosen: &Chosen) {
        let desk = untrack(|| self.open_desk());
        desk.picked.set(true);
        let holder = self
            .hub
            .models()
            .into_iter()
            .find(|model| model.chosen.with_untracked(|each| each == chosen));
        match (holder, chosen) {
            (Some(holder), _) => desk.model.adopt(&holder),
            (None, Chosen::Manifest(entry)) => desk.model.choose_manifest(&entry.id),
            (None, _) => {}
        }
    }

    /// Keeps the address equal to the state, and follows it when the person edits it.
    pub fn follow_address(self) {
        let pending = StoredValue::new_local(None::<Timeout>);
        let seen = StoredValue::new(hash());
        Effect::new(move |_| {
            let state = self.state();
            let write = Timeout::new(WRITE_AFTER_MILLISECONDS, move || {
                // A link that was followed meanwhile: its event is on the way, and must find it.
                let found = hash();
                if found != seen.get_value() {
                    seen.set_value(found);
                    return;
                }
                replace_fragment(&fragment::write(&state, &known(), Extent::Changed));
                seen.set_value(hash());
            });
            // Replacing a timeout cancels the one before.
            pending.set_value(Some(write));
        });
        let _ = window_event_listener(leptos::ev::hashchange, move |_| {
            seen.set_value(hash());
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
            let desk = self.desk(&state.tab);
            self.restore(state);
            if run {
                desk.run_asked.update(|asked| *asked += 1);
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
            let same = self
                .desk(tabs::generate::ID)
                .text
                .with(|text| *text == branch.text)
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
        let desk = self.open_desk();
        PageState {
            branch: self.branch_steps(),
            tab: self.tab.get(),
            // What was opened cannot travel; the tab's own model will do for what was typed.
            model: desk.model.manifest_id().unwrap_or_else(|| {
                tabs::find(desk.id)
                    .map_or("", tabs::Tab::default_model)
                    .into()
            }),
            values: desk.values.get(),
            backend: self.hub.choices().0.get(),
            precision: self.hub.choices().1.get(),
            text: desk.text.get(),
            mode: self.mode.get(),
            settings: self.settings.get(),
        }
    }

    // Only what differs is set: the person may be typing in what is the same.
    fn restore(&self, state: PageState) {
        let desk = self.desk(&state.tab);
        if tabs::find(&state.tab).is_some_and(|tab| tab.generates) {
            let link = BranchLink::of_link(&state);
            if link.pending
                && self
                    .branch
                    .with_untracked(|branch| branch.steps != link.steps)
            {
                self.branch.set(link);
            }
            set_if_new(self.mode, state.mode);
            set_if_new(self.settings, state.settings);
        }
        set_if_new(self.tab, state.tab);
        set_if_new(desk.text, state.text);
        set_if_new(desk.values, state.values);
        let (backend, precision) = self.hub.choices();
        set_if_new::<BackendChoice>(backend, state.backend);
        set_if_new::<PrecisionChoice>(precision, state.precision);
        desk.model.choose_manifest(&state.model);
    }
}

fn set_if_new<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if signal.with_untracked(|old| *old != value) {
        signal.set(value);
    }
}

fn hash() -> String {
    window().location().hash().unwrap_or_default()
}

fn read_address() -> Parsed {
    fragment::parse(&hash(), &known())
}

fn known() -> Known<'static> {
    use std::sync::LazyLock;
    static TABS_KNOWN: LazyLock<Vec<KnownTab<'static>>> = LazyLock::new(|| {
        let known = |tab: &'static tabs::Tab| KnownTab {
            id: tab.id,
            model: tab.default_model(),
            keys: tab.keys,
            generates: tab.generates,
        };
        TABS.iter().map(known).collect()
    });
    static MODEL_IDS: LazyLock<Vec<&str>> =
        LazyLock::new(|| tabs::models().map(|entry| entry.id.as_str()).collect());
    Known {
        tabs: &TABS_KNOWN,
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
