//! The picture: a column a step, lines from every token to those that were tried behind it.

use glassformer_engine::tasks::translation::Fate;
use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget, KeyboardEvent, SvgElement};

use super::super::explain;
use super::super::run::Runs;
use super::super::shown::Shown;
use super::layout::{self, Layout, MOST_COLUMNS, Place, State};
use crate::format;

/// Sizes in CSS pixels.
const COLUMN: f64 = 124.0;
const ROW: f64 = 38.0;
const BOX: [f64; 2] = [88.0, 32.0];
const ROOT: f64 = 20.0;
const MOST_WIDTH: f64 = 9.0;
/// Characters that fit into a box.
const FIT: usize = 10;

/// The picture after `taken` steps.
#[component]
pub fn Drawing(
    /// What choosing acts on.
    runs: Runs,
    /// The sentence.
    shown: Shown,
    /// How many steps are shown.
    taken: RwSignal<usize>,
) -> impl IntoView {
    let places = StoredValue::new(layout::layout(&shown.sentence.tree));
    let shown = StoredValue::new(shown);
    // Of a long search only the columns around the step that is shown.
    let first = Memo::new(move |_| taken.get().saturating_sub(MOST_COLUMNS));
    let picture = move || {
        let first = first.get();
        shown.with_value(|shown| {
            places.with_value(|places| picture(runs, shown, places, first, taken))
        })
    };
    // A tree that takes the place of the one the keyboard was in takes the keyboard.
    let scroll = NodeRef::<Div>::new();
    let focused = document().active_element();
    let held = focused
        .is_some_and(|focused| matches!(focused.closest(".tree-scroll, .forced"), Ok(Some(_))));
    Effect::new(move |_| {
        let Some(scroll) = scroll.get().filter(|_| held) else {
            return;
        };
        if let Ok(Some(node)) = scroll.query_selector("[data-node][tabindex='0']") {
            let _ = node.unchecked_into::<SvgElement>().focus();
        }
    });
    let lens = runs.desk.lens;
    let point = move |target: Option<EventTarget>| {
        let node = target.and_then(node_of);
        let content = node.and_then(|(node, _)| {
            let choosing = untrack(|| runs.choosing());
            shown.with_value(|shown| places.with_value(|all| explained(shown, all, node, choosing)))
        });
        lens.point(content);
    };
    let force = move |node: usize| {
        shown.with_value(|shown| {
            let tree = &shown.sentence.tree;
            let path = layout::path(tree, node);
            let ids = path.iter().map(|&i| tree[i].id).collect();
            runs.force(shown.sentence.index as usize, ids);
        });
    };
    let key = move |event: KeyboardEvent| {
        let Some((node, element)) = event.target().and_then(node_of) else {
            return;
        };
        match event.key().as_str() {
            "Enter" | " " => {
                event.prevent_default();
                force(node);
            }
            key => {
                let next = shown.with_value(|shown| {
                    places.with_value(|all| neighbour(shown, all, node, key, taken.get_untracked()))
                });
                if let Some(next) = next {
                    event.prevent_default();
                    focus_on(&element, next);
                }
            }
        }
    };
    view! {
        <div
            class="tree-scroll"
            node_ref=scroll
            role="group"
            aria-label="Beam tree; arrow keys move among its tokens, Enter begins the translation with one"
            on:mouseover=move |event| point(event.target())
            on:mouseleave=move |_| point(None)
            on:focusin=move |event| point(event.target())
            on:focusout=move |_| point(None)
            on:keydown=key
            on:click=move |event| {
                if let Some((node, _)) = event.target().and_then(node_of) {
                    force(node);
                }
            }
        >
            {picture}
        </div>
    }
}

fn centre(place: &Place, first: usize) -> [f64; 2] {
    let column = (place.column - first) as f64;
    let x = ROOT * 2.0 + column * COLUMN + COLUMN - BOX[0] / 2.0 - 8.0;
    [x, (place.row as f64 + 0.5) * ROW + 2.0]
}

fn picture(
    runs: Runs,
    shown: &Shown,
    all: &Layout,
    first: usize,
    taken: RwSignal<usize>,
) -> AnyView {
    let nodes = &shown.sentence.tree;
    let last = all.columns.min(first + MOST_COLUMNS);
    let winner = shown.found().node as usize;
    let end = shown.sentence.tokens.last().map(|token| token.id);
    let for_states = shown.sentence.clone();
    let states = Memo::new(move |_| layout::states(&for_states.tree, taken.get(), winner));
    let state = move |node: usize| {
        states.with(|states| match states.get(node) {
            Some(State::Winner) => "winner",
            Some(State::Alive) => "alive",
            _ => "dead",
        })
    };
    let inside: Vec<Place> = all
        .places
        .iter()
        .copied()
        .filter(|place| (first..last).contains(&place.column))
        .collect();
    // Tab reaches what the person chose last, or else the best beginning.
    let chosen = nodes.iter().rposition(|node| node.fate == Fate::Forced);
    let is_first = |place: &Place| match chosen.map(|node| all.places[node].column) {
        Some(column) if (first..last).contains(&column) => Some(place.node) == chosen,
        _ => place.column == first && place.row == 0,
    };
    let waits = Memo::new(move |_| !runs.can_ask());
    let hidden = move |column: usize| (column >= taken.get()).then_some("true");
    let middle = (all.rows as f64 * ROW / 2.0).min(ROW * 1.5);
    let root = [ROOT, middle];
    let lines = inside
        .iter()
        .map(|place| {
            let Place { node, column, .. } = *place;
            let [x, y] = centre(place, first);
            let from = match nodes[node].parent.map(|parent| all.places[parent]) {
                Some(parent) if parent.column >= first => {
                    let [x, y] = centre(&parent, first);
                    [x + BOX[0] / 2.0, y]
                }
                // What is left of the columns that are shown.
                Some(parent) => [0.0, (parent.row as f64 + 0.5) * ROW + 2.0],
                None => [root[0] + 6.0, root[1]],
            };
            let to = x - BOX[0] / 2.0;
            let bend = (to - from[0]) / 2.0;
            let path = format!(
                "M {:.1} {:.1} C {:.1} {:.1} {:.1} {y:.1} {to:.1} {y:.1}",
                from[0],
                from[1],
                from[0] + bend,
                from[1],
                to - bend
            );
            let width = 0.75 + (MOST_WIDTH - 0.75) * nodes[node].log_prob.exp();
            view! {
                <path
                    class="beam-line"
                    d=path
                    stroke-width=format!("{width:.2}")
                    data-state=move || state(node)
                    data-hidden=move || hidden(column)
                />
            }
        })
        .collect_view();
    let testid = if untrack(|| runs.is_recorded()) {
        "recorded-beam-node"
    } else {
        "beam-node"
    };
    let boxes = inside
        .iter()
        .map(|place| {
            let Place { node, column, .. } = *place;
            let found = &nodes[node];
            let text = shown.sentence.texts.get(node).map_or("", String::as_str);
            let text = explain::node_text(text, Some(found.id) == end);
            let [x, y] = centre(place, first);
            let score = explain::score(found.score);
            let label = format!(
                "step {}, {text}, probability {}, score {score}, {}",
                column + 1,
                format::percent(found.log_prob.exp().min(1.0)),
                explain::fate(found.fate)
            );
            view! {
                <g
                    class="beam-node"
                    role="button"
                    tabindex=if is_first(place) { "0" } else { "-1" }
                    aria-label=label
                    aria-disabled=move || waits.get().then_some("true")
                    data-testid=testid
                    data-node=node.to_string()
                    data-step=column.to_string()
                    data-id=found.id.to_string()
                    data-score=found.score.to_string()
                    data-fate=fate_name(found.fate)
                    data-state=move || state(node)
                    data-hidden=move || hidden(column)
                >
                    <rect
                        x=format!("{:.1}", x - BOX[0] / 2.0)
                        y=format!("{:.1}", y - BOX[1] / 2.0)
                        width=BOX[0].to_string()
                        height=BOX[1].to_string()
                        rx="5"
                    />
                    <text class="beam-word" x=format!("{x:.1}") y=format!("{:.1}", y - 1.0) text-anchor="middle">
                        {cut(&text)}
                    </text>
                    <text class="beam-score" x=format!("{x:.1}") y=format!("{:.1}", y + 11.5) text-anchor="middle">
                        {score}
                    </text>
                </g>
            }
        })
        .collect_view();
    let width = ROOT * 2.0 + (last - first) as f64 * COLUMN;
    let height = all.rows as f64 * ROW + 4.0;
    let circle = (first == 0).then(|| {
        view! { <circle class="beam-root" cx=root[0].to_string() cy=root[1].to_string() r="6"/> }
    });
    view! {
        <svg
            class="tree-picture"
            width=format!("{width:.0}")
            height=format!("{height:.0}")
            viewBox=format!("0 0 {width:.0} {height:.0}")
        >
            {lines}
            {circle}
            {boxes}
        </svg>
    }
    .into_any()
}

fn fate_name(fate: Fate) -> &'static str {
    match fate {
        Fate::Forced => "forced",
        Fate::Kept => "kept",
        Fate::Pruned => "pruned",
        Fate::Finished => "finished",
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= FIT {
        return text.to_owned();
    }
    text.chars().take(FIT - 1).chain(['…']).collect()
}

fn explained(
    shown: &Shown,
    all: &Layout,
    node: usize,
    choosing: &str,
) -> Option<crate::components::lens::LensContent> {
    let place = all.places.get(node)?;
    let of = all
        .places
        .iter()
        .filter(|other| other.column == place.column)
        .count();
    let end = shown.sentence.tokens.last().map(|token| token.id);
    let is_end = shown.sentence.tree.get(node).map(|node| node.id) == end;
    explain::node(shown, node, [place.row + 1, of], is_end, choosing)
}

/// The node that an arrow key goes to: up and down within a step, left to the parent, right to the best
/// child.
fn neighbour(shown: &Shown, all: &Layout, node: usize, key: &str, taken: usize) -> Option<usize> {
    let place = *all.places.get(node)?;
    let at = |row: usize| {
        let mut places = all.places.iter();
        let found = places.find(|other| other.column == place.column && other.row == row);
        found.map(|other| other.node)
    };
    match key {
        "ArrowDown" => at(place.row + 1),
        "ArrowUp" => at(place.row.checked_sub(1)?),
        "ArrowLeft" => shown.sentence.tree.get(node)?.parent,
        "ArrowRight" => {
            let tree = &shown.sentence.tree;
            let children = (0..tree.len()).filter(|&i| tree[i].parent == Some(node));
            let seen = children.filter(|&i| tree[i].step < taken);
            seen.min_by_key(|&i| all.places[i].row)
        }
        _ => None,
    }
}

fn node_of(target: EventTarget) -> Option<(usize, Element)> {
    let element = target.dyn_into::<Element>().ok()?;
    let element = element.closest("[data-node]").ok()??;
    let node = element.get_attribute("data-node")?.parse().ok()?;
    Some((node, element))
}

/// Tab reaches one node; the keyboard goes to this one.
fn focus_on(old: &Element, node: usize) {
    let Ok(Some(tree)) = old.closest(".tree-scroll") else {
        return;
    };
    let found = tree.query_selector(&format!("[data-node='{node}']"));
    if let Some(next) = found.ok().flatten() {
        if let Ok(Some(before)) = tree.query_selector("[data-node][tabindex='0']") {
            let _ = before.set_attribute("tabindex", "-1");
        }
        let _ = next.set_attribute("tabindex", "0");
        let _ = next.unchecked_into::<SvgElement>().focus();
    }
}
