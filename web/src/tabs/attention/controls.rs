//! How the chosen heads are drawn, and the heads worth a look.

use glassformer_engine::protocol::attention::Habit;
use leptos::prelude::*;

use super::chosen::Chosen;
use super::colour::{Paint, Palette, position};
use super::export::Exports;
use super::options::{HeadId, Options, View, Wall, change};
use super::picture::DASHES;
use super::text::Text;
use super::wall;
use crate::components::focus;
use crate::components::term::{ROLLOUT, Term};
use crate::components::theme::Dark;

/// View, filters, saving.
#[component]
pub fn Controls(
    /// Whose.
    text: Text,
    /// What is drawn.
    chosen: Memo<Option<Chosen>>,
    /// How.
    options: Memo<Options>,
) -> impl IntoView {
    let desk = text.desk();
    let pictured = Memo::new(move |_| {
        text.shown
            .with(|shown| shown.as_ref().is_some_and(|shown| shown.seen.is_some()))
    });
    let view_choice = move |view: View, label: &'static str| {
        view! {
            <label>
                <input
                    type="radio"
                    name="attention-view"
                    prop:checked=move || options.get().view == view
                    on:change=move |_| change(desk, |options| options.view = view)
                />
                <span>{move || if view == View::Arcs && pictured.get() { "Picture" } else { label }}</span>
            </label>
        }
    };
    let wall_choice = move |wall: Wall, label: &'static str| {
        view! {
            <label>
                <input
                    type="radio"
                    name="attention-wall-shows"
                    prop:checked=move || options.get().wall == wall
                    on:change=move |_| change(desk, |options| options.wall = wall)
                />
                <span>{label}</span>
            </label>
        }
    };
    let check = move |label: &'static str,
                      testid: &'static str,
                      get: fn(&Options) -> bool,
                      set: fn(&mut Options, bool)| {
        view! {
            <label class="check">
                <input
                    type="checkbox"
                    data-testid=testid
                    prop:checked=move || options.with(get)
                    on:change:target=move |event| {
                        let on = event.target().checked();
                        change(desk, |options| set(options, on));
                    }
                />
                <span>{label}</span>
            </label>
        }
    };
    let pairs = move || {
        text.shown.with(|shown| {
            shown
                .as_ref()
                .is_some_and(|shown| shown.summary.second.is_some())
        })
    };
    let filtered = move || {
        let options = options.get();
        let mut parts = Vec::new();
        if options.rollout {
            parts.push("rollout: averaged over heads and multiplied over layers".to_string());
        }
        if options.hide_special {
            parts.push("special tokens left out".into());
        }
        if options.hide_first {
            parts.push("the first token left out".into());
        }
        if options.threshold > 0.0 {
            parts.push(format!("weights below {:.2} left out", options.threshold));
        }
        if options.across {
            parts.push("only from the first sentence to the second".into());
        }
        if options.renormalise {
            parts.push("rows made to sum to one again".into());
        }
        parts.join(" · ")
    };
    view! {
        <div class="attention-controls">
            <fieldset class="segments">
                <legend class="unseen">"How the head is drawn"</legend>
                {view_choice(View::Arcs, "Arcs")}
                {view_choice(View::Matrix, "Matrix")}
            </fieldset>
            <fieldset class="segments">
                <legend class="unseen">"What the wall shows"</legend>
                {wall_choice(Wall::Maps, "Maps")}
                {wall_choice(Wall::Entropy, "Entropy")}
                {wall_choice(Wall::Distance, "Distance")}
            </fieldset>
            <Exports text chosen options/>
        </div>
        <details class="filters" open=move || options.get_untracked().derives()>
            <summary>
                <span class="settings-label">"Filters"</span>
                <span class="settings-line" data-testid="attention-derived" data-derived=move || options.with(Options::derives).to_string()>
                    {move || if options.with(Options::derives) { format!("derived: {}", filtered()) } else { "none: the numbers are the model's own".into() }}
                </span>
            </summary>
            <div class="filter-list">
                {move || {
                    let label = if pictured.get() { "Hide the class token, on which heads rest" } else { "Hide the first token, on which heads rest" };
                    check(label, "attention-hide-first", |o| o.hide_first, |o, on| o.hide_first = on)
                }}
                {check("Hide special tokens", "attention-hide-special", |o| o.hide_special, |o, on| o.hide_special = on)}
                {check("Make rows sum to one again", "attention-renormalise", |o| o.renormalise, |o, on| o.renormalise = on)}
                <p class="with-term">
                    {check("All layers up to the chosen one:", "attention-rollout", |o| o.rollout, |o, on| o.rollout = on)}
                    <Term word="rollout" means=ROLLOUT/>
                </p>
                {move || pairs().then(|| check("Only what the first sentence reads in the second", "attention-across", |o| o.across, |o, on| o.across = on))}
                <label class="threshold">
                    <span>"Leave out weights below " <b>{move || format!("{:.2}", options.get().threshold)}</b></span>
                    <input
                        type="range"
                        min="0"
                        max="0.5"
                        step="0.01"
                        data-testid="attention-threshold"
                        prop:value=move || options.get().threshold.to_string()
                        on:input:target=move |event| {
                            let value = event.target().value().parse().unwrap_or(0.0);
                            change(desk, |options| options.threshold = value);
                        }
                    />
                </label>
            </div>
        </details>
    }
}

/// The scale of the colours.
#[component]
pub fn Scale() -> impl IntoView {
    let Dark(dark) = expect_context();
    let ramp = move || {
        let palette = Palette::new(dark.get());
        let stops: Vec<String> = (0..=10)
            .map(|i| {
                let [r, g, b] = palette.ramp(i as f32 / 10.0);
                format!("rgb({r} {g} {b})")
            })
            .collect();
        format!("linear-gradient(90deg, {})", stops.join(", "))
    };
    let ticks = [0.0f32, 0.05, 0.2, 0.5, 1.0].map(|weight| {
        view! { <span style:left=format!("{}%", position(weight) * 100.0)>{weight.to_string()}</span> }
    });
    view! {
        <div class="scale" role="img" aria-label="Colour scale of weights from 0 to 1, stretched at the small end">
            <div class="scale-ramp" style:background=ramp></div>
            <div class="scale-ticks">{ticks.collect_view()}</div>
        </div>
    }
}

/// Which line is which head, where several are drawn over each other; each can be taken away.
#[component]
pub fn HeadLegend(
    /// Whose.
    text: Text,
    /// How heads are drawn.
    options: Memo<Options>,
) -> impl IntoView {
    let Dark(dark) = expect_context();
    let several = move || {
        let options = options.get();
        let shown = options.shown();
        let pictured = text
            .shown
            .with(|shown| shown.as_ref().is_some_and(|shown| shown.seen.is_some()));
        (!options.rollout && !pictured && shown.len() > 1).then_some(shown)
    };
    let item = move |(i, head): (usize, HeadId)| {
        let dash: Vec<String> = DASHES[i % DASHES.len()]
            .iter()
            .map(f64::to_string)
            .collect();
        let stroke = move || Palette::new(dark.get()).css(Paint::Hue(i));
        let remove = move |_| {
            // The list is drawn anew, with one head less.
            request_animation_frame(move || {
                let next = format!(".head-legend li:nth-child({}) button", i.max(1));
                let _ = focus::go_to(&next) || focus::go_to("[data-testid=attention-wall]");
            });
            change(text.desk(), |options| {
                if options.head == Some(head) {
                    options.head = options.others.first().copied();
                }
                let chosen = options.head;
                options
                    .others
                    .retain(|each| *each != head && Some(*each) != chosen);
            });
        };
        view! {
            <li>
                <svg viewBox="0 0 36 8" width="36" height="8" aria-hidden="true">
                    <line x1="1" y1="4" x2="35" y2="4" stroke=stroke stroke-width="3" stroke-dasharray=dash.join(" ")/>
                </svg>
                <span>{format!("layer {}, head {}", head.0, head.1)}</span>
                <button
                    type="button"
                    class="quiet"
                    aria-label=format!("Take away layer {}, head {}", head.0, head.1)
                    on:click=remove
                >
                    "×"
                </button>
            </li>
        }
    };
    move || {
        several().map(|heads| {
            let items = heads.into_iter().enumerate().map(item).collect_view();
            view! { <ul class="head-legend" aria-label="Heads drawn over each other">{items}</ul> }
        })
    }
}

/// The clearest head of each habit.
#[component]
pub fn WorthALook(
    /// Whose.
    text: Text,
    /// How heads are drawn.
    options: Memo<Options>,
) -> impl IntoView {
    let found = move || -> Vec<(HeadId, Habit, f32)> {
        let Some(shown) = text.shown.get() else {
            return Vec::new();
        };
        let heads = shown.summary.shape.heads.max(1) as usize;
        let stats = shown.summary.stats.iter().enumerate();
        let named = stats.filter_map(|(i, stats)| {
            let (habit, share) = stats.habit()?;
            Some(((i / heads, i % heads), habit, share))
        });
        let mut best: Vec<(HeadId, Habit, f32)> = Vec::new();
        for each in named {
            match best.iter_mut().find(|(_, habit, _)| *habit == each.1) {
                Some(known) if known.2 < each.2 => *known = each,
                Some(_) => {}
                None => best.push(each),
            }
        }
        best.sort_by(|a, b| b.2.total_cmp(&a.2));
        best
    };
    let words = move |habit: Habit| {
        let shown = text.shown.get_untracked();
        shown.map_or("", |shown| shown.habit(habit))
    };
    let button = move |(head, habit, share): (HeadId, Habit, f32)| {
        view! {
            <li>
                <button
                    type="button"
                    class="chip"
                    data-testid="attention-find"
                    data-habit=format!("{habit:?}")
                    data-share=share.to_string()
                    aria-pressed=move || (options.get().head == Some(head)).to_string()
                    on:click=move |_| wall::choose(text, head, false)
                >
                    <b>{format!("{}·{}", head.0, head.1)}</b>
                    <small>{format!("{} · {share:.2}", words(habit))}</small>
                </button>
            </li>
        }
    };
    view! {
        <section class="worth" aria-label="Heads worth a look">
            <p class="hint">"Heads worth a look: the clearest of each habit, with the mean weight behind the name."</p>
            <ul class="finds">{move || found().into_iter().map(button).collect_view()}</ul>
        </section>
    }
}
