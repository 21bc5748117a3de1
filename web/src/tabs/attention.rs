//! Attention: what every head of a model looks at in a text or a picture, down to the last number.

mod cell;
mod chosen;
pub mod colour;
mod controls;
mod derived;
mod export;
mod heads_table;
mod input;
mod options;
mod paint;
mod picture;
mod recorded;
mod scene;
pub mod shot;
mod shown;
pub mod sight;
mod table;
mod text;
mod wall;
mod worked;

use gloo::timers::callback::Timeout;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::File;

use self::chosen::ChosenView;
use self::controls::{Controls, HeadLegend, Scale, WorthALook};
use self::heads_table::HeadTable;
use self::input::InputPanel;
pub use self::options::KEYS;
use self::options::{HeadId, Options, change};
use self::shot::{Shot, Tower};
use self::shown::Shown;
use self::sight::Labels;
use self::table::WeightTable;
use self::text::{Subject, Text};
use self::wall::HeadWall;
use self::worked::WorkedExample;
use crate::components::pictures::on_paste;
use crate::components::problem::ProblemAlert;
use crate::desk::Desk;
use crate::page::{Page, Problem};

/// Its name in links.
pub const ID: &str = "attention";

/// Names of the two texts in the lens.
const SOURCE: &str = "attention";
const SECOND: &str = "attention-second";

/// What was typed runs this long after the last key, if the model is there.
const RUN_AFTER_MILLISECONDS: u32 = 500;

/// A wall of so many layers is not too high to lie above the picture.
const FEW_LAYERS: u32 = 12;

/// The text or picture, and the text beside it.
#[derive(Clone, Copy)]
pub struct Texts {
    first: Text,
    second: Text,
    /// The person's own picture.
    own: RwSignal<Option<File>, LocalStorage>,
    waiting: StoredValue<Option<Timeout>, LocalStorage>,
}

impl Texts {
    fn new(page: Page, desk: Desk) -> Self {
        Self {
            first: Text::new(page, desk, false),
            second: Text::new(page, desk, true),
            own: RwSignal::new_local(None),
            waiting: StoredValue::new_local(None),
        }
    }

    fn desk(self) -> Desk {
        self.first.desk()
    }

    /// Takes a picture of the person's.
    fn take(self, files: Vec<File>) {
        let several = files.len() > 1;
        let Some(file) = files.into_iter().next() else {
            return;
        };
        self.own.set(Some(file));
        self.look_at(Shot::Own);
        if several {
            self.first
                .say("One picture is looked at at a time; the others were left out.");
        }
        if !untrack(|| sight::looks(self.desk())) {
            self.desk().problem.set(Some(Problem {
                sentence: "This model reads texts and sees no pictures; choose one that does, such as mini-clip, behind “Model…”.".into(),
                detail: String::new(),
            }));
        }
    }

    /// Takes one of the page's pictures.
    fn take_sample(self, name: &'static str) {
        self.look_at(Shot::Sample(name));
    }

    fn look_at(self, picture: Shot) {
        self.desk().problem.set(None);
        change(self.desk(), |options| {
            options.picture = picture;
            options.tower = Tower::Picture;
        });
        if untrack(|| sight::looks(self.desk())) {
            self.start_if_ready();
        }
    }

    fn start_picture(self) {
        spawn_local(async move {
            let desk = self.desk();
            let fetching = self.first.wait();
            let picked = sight::picked(desk, self.own.get_untracked()).await;
            if !self.first.still_waits(fetching) {
                return;
            }
            let file = match picked {
                Ok(file) => file,
                Err(problem) => return self.first.fail(problem),
            };
            self.second.clear();
            if let Some(shown) = self.first.start(Subject::Picture(file)).await {
                self.settle(&shown);
            }
        });
    }

    /// Runs what is typed, or looks at the picture.
    fn start(self) {
        self.waiting.set_value(None);
        self.first.notices().has_run();
        let desk = self.first.desk();
        if untrack(|| sight::looks(desk)) {
            return self.start_picture();
        }
        if desk.text.with_untracked(|text| text.trim().is_empty()) {
            // The opening example is what the field shows.
            if self.first.is_live_untracked() || !options(desk).second.is_empty() {
                desk.problem.set(Some(Problem {
                    sentence: "The text is empty; type something or pick an example.".into(),
                    detail: String::new(),
                }));
                return;
            }
            desk.text.set(input::OPENING.into());
        }
        spawn_local(async move {
            let options = options(desk);
            let text = desk.text.get_untracked();
            let pair = Some(options.pair).filter(|pair| !pair.trim().is_empty());
            let to = options.to;
            let subject = Subject::Text { text, pair, to };
            let Some(shown) = self.first.start(subject).await else {
                return;
            };
            self.settle(&shown);
            if options.second.trim().is_empty() {
                self.second.clear();
            } else {
                let (text, pair) = (options.second, None);
                self.second.start(Subject::Text { text, pair, to }).await;
            }
        });
    }

    /// What was typed is run after a pause, if that needs no load.
    fn typed(self) {
        let wait = Timeout::new(RUN_AFTER_MILLISECONDS, move || {
            self.start_if_ready();
        });
        // Replacing a timeout cancels the one before.
        self.waiting.set_value(Some(wait));
    }

    /// Runs what is there, if that needs no load; says whether it does.
    fn start_if_ready(self) -> bool {
        let desk = self.first.desk();
        let typed = desk.text.with_untracked(|text| !text.trim().is_empty());
        let starts = (typed || untrack(|| sight::looks(desk))) && untrack(|| desk.model.is_ready());
        if starts {
            self.start();
        }
        starts
    }

    fn start_if_cached(self) {
        spawn_local(async move {
            let model = self.first.desk().model;
            if untrack(|| model.is_ready()) || model.ask_cached().await {
                self.start();
            } else {
                self.first.notices().ask_to_run();
            }
        });
    }

    fn stop(self) {
        self.first.stop();
        self.second.stop();
    }

    /// Heads that the model has are chosen, and what was cut is said.
    fn settle(self, shown: &Shown) {
        let shape = shown.summary.shape;
        let has =
            |(layer, head): HeadId| layer < shape.layers as usize && head < shape.heads as usize;
        let asked = options(self.first.desk()).head;
        if let Some((layer, head)) = asked.filter(|head| !has(*head)) {
            self.first.say(&format!(
                "There is no layer {layer} with a head {head}: this model has layers 0 to {} and heads 0 to {}, so another head is shown.",
                shape.layers.saturating_sub(1),
                shape.heads.saturating_sub(1)
            ));
        }
        change(self.first.desk(), |options| {
            options.others.retain(|head| has(*head));
            options.head = options.head.filter(|head| has(*head)).or(pointed(shown));
        });
        let (n, of) = (shown.n(), shown.summary.of);
        if of as usize > n || shown.summary.more {
            let more = if shown.summary.more { "more than " } else { "" };
            self.first.say(&format!(
                "The text has {more}{of} tokens; the first {n} are looked at, and the rest is left out."
            ));
        }
    }
}

/// The head that is chosen where nobody has: one that points, and not at the first token.
fn pointed(shown: &Shown) -> Option<HeadId> {
    let heads = shown.summary.shape.heads.max(1) as usize;
    let points = |stats: &glassformer_engine::protocol::attention::HeadStats| {
        let elsewhere = 1.0 - stats.first - stats.own - stats.special;
        elsewhere * (1.0 - stats.evenness) * (stats.distance / (1.0 + stats.distance))
    };
    let stats = shown.summary.stats.iter().enumerate();
    let best = stats.max_by(|a, b| points(a.1).total_cmp(&points(b.1)))?.0;
    Some((best / heads, best % heads))
}

fn options(desk: Desk) -> Options {
    desk.values.with_untracked(Options::read)
}

/// The tab.
#[component]
pub fn Attention() -> impl IntoView {
    let page: Page = expect_context();
    let desk: Desk = expect_context();
    let texts = Texts::new(page, desk);
    let named = Memo::new(move |_| desk.values.with(Options::read));
    // The recorded example shows a head that was recorded in full.
    let options = Memo::new(move |_| {
        let mut options = named.get();
        let recorded = texts.first.shown.with(|shown| {
            let shown = shown.as_ref().filter(|shown| shown.recorded.is_some())?;
            pointed(shown)
        });
        options.head = options.head.or(recorded);
        options
    });
    Effect::new(move |_| {
        if desk.run_asked.get() > 0 {
            texts.start_if_cached();
        }
    });
    Effect::new(move |_| {
        let dropped = desk.dropped.get();
        if !dropped.is_empty() {
            desk.dropped.set(Vec::new());
            texts.take(dropped);
        }
    });
    on_paste(page, ID, move |files| texts.take(files));
    let first = chosen::chosen(texts.first, options);
    let second = chosen::chosen(texts.second, options);
    let few = move || {
        let shown = texts.first.shown.get();
        shown.is_some_and(|shown| shown.summary.shape.layers <= FEW_LAYERS && shown.seen.is_none())
    };
    let scaled = Memo::new(move |_| {
        let pictured = texts
            .first
            .shown
            .with(|shown| shown.as_ref().is_some_and(|shown| shown.seen.is_some()));
        !pictured || options.with(|options| options.view == options::View::Matrix)
    });
    let scaled = move || scaled.get();
    let recorded = move || {
        let shown = texts.first.shown.get()?;
        shown.recorded.clone()
    };
    let pictured = move || sight::looks(desk).then_some(" · press Run to look at the picture");
    view! {
        <InputPanel texts options/>
        <ProblemAlert problem=desk.problem testid="attention-error"/>
        <section class="attention" aria-label="Attention" data-testid="attention-output">
            {move || recorded().map(|source| view! {
                <p class="recorded-source" data-testid="attention-recorded"><span class="tag">"recorded"</span>{source}{pictured}</p>
            })}
            <Controls text=texts.first chosen=first options/>
            // Few layers lie above the picture, many stand beside it.
            <div class="attention-split" data-few=move || few().to_string()>
                <HeadWall text=texts.first options/>
                <div class="attention-work">
                    <div class="sides">
                        <Side text=texts.first chosen=first options/>
                        {move || second.with(Option::is_some).then(|| view! {
                            <Side text=texts.second chosen=second options/>
                        })}
                    </div>
                    <HeadLegend text=texts.first options/>
                    // A picture has its own scale.
                    {move || scaled().then(|| view! { <Scale/> })}
                    <WorthALook text=texts.first options/>
                </div>
            </div>
            <WeightTable chosen=first options/>
            <HeadTable text=texts.first options/>
            <p class="caution">
                "Attention shows where information was read from, not why the model decided: it is not an explanation."
            </p>
            <WorkedExample/>
        </section>
    }
}

/// One text: its tokens with their ids, and the picture.
#[component]
fn Side(text: Text, chosen: Memo<Option<chosen::Chosen>>, options: Memo<Options>) -> impl IntoView {
    let missing = move || {
        let shown = text
            .shown
            .with(|shown| shown.as_ref().map(|shown| shown.recorded.is_some()));
        let none =
            chosen.with(|chosen| chosen.as_ref().is_some_and(|chosen| chosen.maps.is_empty()));
        match shown {
            Some(true) if none => {
                Some("This head was not recorded in full; press Run to compute it here.")
            }
            Some(false) if none => Some("Fetching this head…"),
            _ => None,
        }
    };
    view! {
        <div class="side">
            {move || {
                let shown = text.shown.get().filter(|shown| shown.seen.is_none());
                shown.map(|shown| view! { <Strip shown=(*shown).clone()/> })
            }}
            {move || missing().map(|words| view! { <p class="hint" data-testid="attention-missing">{words}</p> })}
            <ChosenView text chosen options/>
            <Labels text/>
        </div>
    }
}

/// The tokens as the model sees them, each with its id.
#[component]
fn Strip(shown: Shown) -> impl IntoView {
    let tokens = shown.summary.tokens.iter().enumerate();
    let second = shown.summary.second.map(|at| at as usize);
    let items = tokens
        .map(|(i, token)| view! {
            <li data-special=token.special.to_string() data-second=(second == Some(i)).to_string()>
                <span dir="auto">{crate::format::visible(&token.text)}</span>
                <small>{token.id}</small>
            </li>
        })
        .collect_view();
    view! {
        <details class="strip-of-tokens" open=shown.n() <= 40>
            <summary>{crate::format::counted(shown.n() as u64, "token")}</summary>
            <ol class="token-strip" data-testid="attention-tokens">{items}</ol>
        </details>
    }
}
