//! What is typed: a text, a second one beside it, a second sentence where the model reads pairs.

use glassformer_engine::protocol::attention::AttendTo;
use leptos::prelude::*;

use super::Texts;
use super::options::{Options, change, stack, stack_name};
use super::sight::{PictureInput, TowerChoice, looks};
use super::text::{Phase, Text};
use crate::components::run_row::{Example, Examples, RunRow, Undo, is_run_key};
use crate::format;
use crate::model::Status;

/// The tab's opening example.
pub const OPENING: &str = "The animal didn't cross the street because it was too tired.";

/// Texts worth looking at, each with a second one beside it or none.
const EXAMPLES: [(Example, &str); 3] = [
    (
        Example {
            label: "What is “it”?",
            shows: "one word changes, and where the next ones read",
            text: OPENING,
        },
        "The animal didn't cross the street because it was too wide.",
    ),
    (
        Example {
            label: "The same words again",
            shows: "some heads find what stood behind a word before",
            text: "A red fox saw a grey owl. Then the red fox saw a grey",
        },
        "",
    ),
    (
        Example {
            label: "A list",
            shows: "heads that count on commas and on the first token",
            text: "Monday, Tuesday, Wednesday, Thursday, Friday,",
        },
        "",
    ),
];

/// The upper part of the tab.
#[component]
pub fn InputPanel(
    /// What Run and Stop act on.
    texts: Texts,
    /// The tab's settings.
    options: Memo<Options>,
) -> impl IntoView {
    let desk = texts.first.desk();
    let pairs = move || {
        desk.model.status.with(|status| match status {
            Status::Ready(info) => info.attention.is_some_and(|shape| shape.pairs),
            _ => false,
        })
    };
    let translator = move || {
        desk.model.status.with(|status| match status {
            Status::Ready(info) => info.translator,
            _ => None,
        })
    };
    let decodes = move || translator().is_some() && options.with(|o| o.to != AttendTo::Own);
    let pictured = Memo::new(move |_| looks(desk));
    let comparing = RwSignal::new(false);
    // A link may bring a second text at any time; an empty field stays until it is put away.
    Effect::new(move |_| {
        if options.with(|options| !options.second.is_empty()) {
            comparing.set(true);
        }
    });
    // The second text while it is put away.
    let put_away = StoredValue::new(String::new());
    let undo = RwSignal::new(None::<(String, String)>);
    let pick = move |i: usize| {
        let (example, second) = EXAMPLES[i];
        let before = (desk.text.get_untracked(), options.get_untracked().second);
        if !before.0.trim().is_empty() && EXAMPLES.iter().all(|(each, _)| each.text != before.0) {
            undo.set(Some(before));
        }
        desk.text.set(example.text.into());
        comparing.set(!second.is_empty());
        put_away.set_value(String::new());
        change(desk, |options| options.second = second.into());
        texts.start_if_ready();
    };
    let keys = move |event: leptos::ev::KeyboardEvent| {
        if is_run_key(&event) {
            texts.start();
        }
    };
    let bring_back = move |()| {
        if let Some((text, second)) = undo.get_untracked() {
            desk.text.set(text);
            comparing.set(!second.is_empty());
            change(desk, |options| options.second = second);
            undo.set(None);
        }
    };
    let way_back = Undo {
        can: Signal::derive(move || undo.with(Option::is_some)),
        go: Callback::new(bring_back),
    };
    view! {
        <section class="prompt" aria-label="What is looked at">
            <TowerChoice texts/>
            {move || pictured.get().then(|| view! { <PictureInput texts/> })}
            <div hidden=pictured>
            <div class="prompt-top">
                <label for="attention-input">"Text"</label>
                <label class="check">
                    <input
                        type="checkbox"
                        data-testid="attention-compare"
                        prop:checked=comparing
                        on:change:target=move |event| {
                            let on = event.target().checked();
                            comparing.set(on);
                            if on && put_away.with_value(|text| !text.is_empty()) {
                                change(desk, |options| options.second = put_away.get_value());
                                texts.start_if_ready();
                            } else if !on {
                                put_away.set_value(options.get_untracked().second);
                                change(desk, |options| options.second = String::new());
                                texts.second.clear();
                            }
                        }
                    />
                    <span>"Compare with another text"</span>
                </label>
            </div>
            <textarea
                id="attention-input"
                class="low"
                dir="auto"
                data-testid="attention-input"
                rows="2"
                spellcheck="false"
                placeholder=OPENING
                prop:value=desk.text
                on:input:target=move |event| {
                    desk.text.set(event.target().value());
                    undo.set(None);
                    texts.typed();
                }
                on:keydown=keys
            ></textarea>
            <textarea
                class="low"
                dir="auto"
                aria-label="The other text"
                data-testid="attention-second"
                rows="2"
                spellcheck="false"
                hidden=move || !comparing.get()
                placeholder="The same with one word changed"
                prop:value=move || options.get().second
                on:input:target=move |event| {
                    let value = event.target().value();
                    change(desk, |options| options.second = value);
                    texts.typed();
                }
                on:keydown=keys
            ></textarea>
            <textarea
                class="low"
                dir="auto"
                aria-label=move || if decodes() { "The translation" } else { "The second sentence of the pair" }
                data-testid="attention-pair"
                rows="1"
                spellcheck="false"
                hidden=move || !(pairs() || decodes())
                placeholder=move || if decodes() {
                    "The translation; empty: the model's own"
                } else {
                    "A second sentence, read as a pair with the first"
                }
                prop:value=move || options.get().pair
                on:input:target=move |event| {
                    let value = event.target().value();
                    change(desk, |options| options.pair = value);
                    texts.typed();
                }
                on:keydown=keys
            ></textarea>
            {move || translator().map(|shape| view! { <StackChoice texts options own=shape.own/> })}
            <Examples
                tab="attention"
                items=EXAMPLES.map(|(example, _)| example).to_vec()
                on_pick=Callback::new(pick)
                undo=way_back
            />
            </div>
            <RunRow
                tab="attention"
                active=Signal::derive(move || texts.first.is_active() || texts.second.is_active())
                status=Signal::derive(move || in_words(texts.first))
                on_run=Callback::new(move |()| texts.start())
                on_stop=Callback::new(move |()| texts.stop())
                spoken=true
            />
        </section>
    }
}

/// Which attention of a translator is looked at.
#[component]
fn StackChoice(
    texts: Texts,
    options: Memo<Options>,
    /// Whether the decoder looks at what it has written.
    own: bool,
) -> impl IntoView {
    let desk = texts.first.desk();
    let all = [
        (AttendTo::Own, "encoder: text to itself"),
        (AttendTo::Source, "decoder: translation to text"),
        (AttendTo::Written, "decoder: translation to itself"),
    ];
    let items = all
        .into_iter()
        .filter(|(to, _)| own || *to != AttendTo::Written)
        .map(|(to, label)| {
            let selected = move || options.with(|options| options.to == to);
            view! { <option value=stack_name(to) selected=selected>{label}</option> }
        })
        .collect_view();
    view! {
        <p class="stack-choice">
            <label>
                "Attention of the "
                <select
                    data-testid="attention-stack"
                    on:change:target=move |event| {
                        let to = stack(&event.target().value());
                        change(desk, |options| {
                            options.to = to;
                            // The layers and heads of one are not those of another.
                            options.head = None;
                            options.others.clear();
                        });
                        texts.start_if_ready();
                    }
                >
                    {items}
                </select>
            </label>
            {(!own).then(|| view! {
                <small class="hint">"This decoder has a recurrent cell in place of attention to what it has written."</small>
            })}
        </p>
    }
}

fn in_words(text: Text) -> String {
    match text.phase.get() {
        Phase::Idle | Phase::Failed => String::new(),
        Phase::Loading => "loading the model".into(),
        Phase::Running(_, 0) => "reading".into(),
        Phase::Running(done, total) => {
            let places = if looks(text.desk()) {
                "places"
            } else {
                "tokens"
            };
            format!("{done} of {total} {places}")
        }
        Phase::Done(seconds) => {
            let shown = text.shown.get();
            let Some(shown) = shown else {
                return String::new();
            };
            let shape = shown.summary.shape;
            let noun = if shown.seen.is_some() {
                "place"
            } else {
                "token"
            };
            let tokens = format::counted(shown.n() as u64, noun);
            let heads = format::counted(u64::from(shape.layers * shape.heads), "head");
            format!("{tokens} through {heads} in {}", format::seconds(seconds))
        }
    }
}
