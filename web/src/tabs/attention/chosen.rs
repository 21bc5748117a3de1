//! The chosen heads of one text: drawn large, pointed into, moved through with the keyboard.

use std::sync::Arc;

use glassformer_engine::protocol::attention::MapOf;
use leptos::html::{Canvas, Div};
use leptos::prelude::*;

use super::cell;
use super::colour::Palette;
use super::derived::{self, About};
use super::options::{Options, View};
use super::paint;
use super::scene::patches::step;
use super::scene::{Drawn, Hit, Scene};
use super::shown::Shown;
use super::sight;
use super::text::Text;
use crate::components::canvas;
use crate::components::theme::Dark;

/// Height from which a picture scrolls in its place.
const MOST_HEIGHT: f64 = 720.0;

/// What of a text is drawn: its tokens, and the maps of the chosen heads as far as they are here.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The text.
    pub shown: Arc<Shown>,
    /// The maps that are drawn, with what the options leave of them.
    pub maps: Vec<(MapOf, Arc<Vec<f32>>)>,
}

/// Whose maps the options ask for.
pub fn wanted(options: &Options) -> Vec<MapOf> {
    let head = |&(layer, head): &(usize, usize)| MapOf::Head {
        layer: layer as u32,
        head: head as u32,
    };
    match options.head {
        Some((layer, _)) if options.rollout => vec![MapOf::Rollout {
            layer: layer as u32,
        }],
        _ => options.shown().iter().map(head).collect(),
    }
}

/// What is drawn of a text, kept up to date.
pub fn chosen(text: Text, options: Memo<Options>) -> Memo<Option<Chosen>> {
    Effect::new(move |_| {
        if text.shown.with(Option::is_some) {
            wanted(&options.get())
                .into_iter()
                .for_each(|of| text.want_map(of));
        }
    });
    Memo::new(move |_| {
        let shown = text.shown.get()?;
        let options = options.get();
        let about = About {
            special: &shown.special,
            second: shown.summary.second.map(|at| at as usize),
        };
        let n = shown.n();
        let maps = text.maps.with(|maps| {
            let wanted = wanted(&options).into_iter();
            let here = wanted.filter_map(|of| Some((of, maps.get(&of)?)));
            let fits = here.filter(|(_, map)| map.len() == n * n);
            fits.map(|(of, map)| match options.filters() {
                true => (of, Arc::new(derived::apply(map, about, &options))),
                false => (of, Arc::clone(map)),
            })
            .collect()
        });
        Some(Chosen { shown, maps })
    })
}

/// The drawing for a width, with what is pointed at.
pub fn drawn(
    chosen: &Chosen,
    options: &Options,
    cursor: Option<(usize, usize)>,
    room: f64,
) -> Drawn {
    let scene = Scene {
        tokens: Arc::clone(&chosen.shown.labels),
        maps: chosen.maps.iter().map(|(_, map)| Arc::clone(map)).collect(),
        causal: chosen.shown.summary.shape.causal,
        readers: readers(chosen),
        cursor,
        room,
    };
    match (options.view, &chosen.shown.seen) {
        (View::Arcs, Some(seen)) => scene.patches(seen),
        (View::Arcs, None) => scene.arcs(),
        (View::Matrix, _) => scene.matrix(),
    }
}

/// How many tokens read, where the others are only read.
fn readers(chosen: &Chosen) -> Option<usize> {
    let summary = &chosen.shown.summary;
    let readers = summary.second.map(|second| second as usize);
    readers.filter(|_| summary.to_source)
}

/// The key a query weighs most.
pub fn strongest(chosen: &Chosen, from: usize) -> usize {
    let n = chosen.shown.n();
    let row = chosen
        .maps
        .first()
        .and_then(|(_, map)| map.get(from * n..(from + 1) * n));
    let best = row
        .into_iter()
        .flatten()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(from, |(j, _)| j)
}

/// What a token that is pointed at means: it and its strongest key, or, of a token that reads nothing,
/// whoever reads it most.
fn pair_for(chosen: &Chosen, at: usize) -> (usize, usize) {
    let n = chosen.shown.n();
    let map = chosen.maps.first().map(|(_, map)| map);
    let weight = |i: usize, j: usize| map.and_then(|map| map.get(i * n + j)).copied();
    let reads = (0..n).any(|j| weight(at, j).is_some_and(|w| w > 0.0));
    if reads || map.is_none() {
        return (at, strongest(chosen, at));
    }
    let of = |i: &usize| weight(*i, at).unwrap_or(0.0);
    let reader = (0..n).max_by(|a, b| of(a).total_cmp(&of(b)));
    reader.filter(|i| of(i) > 0.0).map_or((at, at), |i| (i, at))
}

/// The picture.
#[component]
pub fn ChosenView(
    /// Whose.
    text: Text,
    /// What is drawn.
    chosen: Memo<Option<Chosen>>,
    /// How.
    options: Memo<Options>,
) -> impl IntoView {
    let Dark(dark) = expect_context();
    let lens = text.desk().lens;
    let source = cell::source(text);
    let place = NodeRef::<Div>::new();
    let node = NodeRef::<Canvas>::new();
    let room = canvas::width_of(place);
    let hover = RwSignal::new(None::<(usize, usize)>);
    let scrolled = RwSignal::new(0.0);
    // What the lens keeps, as query and key.
    let locked = Memo::new(move |_| {
        let subject = lens
            .locked_subject()
            .filter(|subject| subject.source == source)?;
        let n = chosen.with(|chosen| chosen.as_ref().map(|chosen| chosen.shown.n()))?;
        let (from, to) = (subject.index / n.max(1), subject.index % n.max(1));
        (from < n).then_some((from, to))
    });
    // Another text may be shorter than the one that was pointed at.
    let there = move |&(from, to): &(usize, usize)| {
        let n = chosen.with(|chosen| chosen.as_ref().map_or(0, |chosen| chosen.shown.n()));
        from < n && to < n
    };
    let cursor = Memo::new(move |_| locked.get().or(hover.get()).filter(there));
    let drawing = Memo::new(move |_| {
        let chosen = chosen.get()?;
        (room.get() > 0.0).then(|| drawn(&chosen, &options.get(), cursor.get(), room.get()))
    });
    let height = move || drawing.with(|d| d.as_ref().map_or(0.0, |d| d.picture.height));
    Effect::new(move |_| {
        let Some(canvas) = node.get() else { return };
        drawing.with(|drawing| {
            let Some(Drawn { picture, .. }) = drawing else {
                return;
            };
            let (from, seen) = (scrolled.get(), picture.height.min(MOST_HEIGHT));
            if let Some(context) = canvas::prepare(&canvas, picture.width, seen) {
                // Moving by a finite length is never refused.
                let _ = context.translate(0.0, -from);
                paint::paint(
                    &context,
                    picture,
                    Palette::new(dark.get()),
                    from..from + seen,
                );
            }
        });
    });
    // Another head or filter: what is kept stays kept, with its new numbers.
    Effect::new(move |_| {
        let (Some(chosen), options) = (chosen.get(), options.get()) else {
            return;
        };
        if let Some((from, to)) = locked.get_untracked() {
            lens.lock(cell::content(text, &chosen, &options, (from, to), true));
        }
    });
    let point = move |x: i32, y: i32| {
        let y = f64::from(y) + scrolled.get_untracked();
        drawing.with_untracked(|drawing| drawing.as_ref()?.places.hit(f64::from(x), y))
    };
    // A token alone means its strongest key; once one is kept, other tokens are its keys.
    let pair_of = move |hit: Hit| {
        chosen.with_untracked(|chosen| {
            let chosen = chosen.as_ref()?;
            let from = locked.get_untracked().map(|(from, _)| from);
            let causal = chosen.shown.summary.shape.causal;
            let pair = match (hit, from) {
                (Hit::Cell(i, j), _) => (i, j),
                // In a picture, every place is one that looks.
                (Hit::Query(j), Some(from))
                    if options.get_untracked().view == View::Arcs
                        && chosen.shown.seen.is_none()
                        && j != from =>
                {
                    (from, j)
                }
                (Hit::Key(j), from) => (
                    from.or(hover.get_untracked().map(|(i, _)| i)).unwrap_or(j),
                    j,
                ),
                (Hit::Query(i), _) => pair_for(chosen, i),
            };
            // What a query may not see starts anew from there.
            let (from, to) = pair;
            match (hit, causal && to > from) {
                (_, false) => Some(pair),
                (Hit::Query(i), true) => Some((i, strongest(chosen, i))),
                _ => None,
            }
        })
    };
    let show = move |pair: Option<(usize, usize)>| {
        if hover.get_untracked() == pair {
            return;
        }
        hover.set(pair);
        if locked.get_untracked().is_none() {
            let content = pair.and_then(|pair| {
                chosen.with_untracked(|chosen| {
                    let chosen = chosen.as_ref()?;
                    Some(cell::content(
                        text,
                        chosen,
                        &options.get_untracked(),
                        pair,
                        false,
                    ))
                })
            });
            lens.point(content);
        }
    };
    let keep = move |pair: (usize, usize), toggle: bool| {
        let content = chosen.with_untracked(|chosen| {
            let chosen = chosen.as_ref()?;
            Some(cell::content(
                text,
                chosen,
                &options.get_untracked(),
                pair,
                true,
            ))
        });
        if let Some(content) = content {
            if toggle {
                lens.toggle(content)
            } else {
                lens.lock(content)
            }
        }
    };
    let key = move |key: &str, shift: bool| -> bool {
        let Some(chosen) = chosen.get_untracked() else {
            return false;
        };
        let (n, causal) = (chosen.shown.n(), chosen.shown.summary.shape.causal);
        // Which tokens read, and which are read.
        let between = readers(&chosen);
        let last_from = between.unwrap_or(n).saturating_sub(1);
        let (first_to, last) = (between.unwrap_or(0), n.saturating_sub(1));
        let matrix = options.get_untracked().view == View::Matrix;
        let seen = chosen.shown.seen.as_ref().filter(|_| !matrix);
        // Pictures show their first place until another is pointed at.
        let begin = if seen.is_some() { 0 } else { last_from };
        let here = cursor
            .get_untracked()
            .unwrap_or_else(|| (begin, strongest(&chosen, begin)));
        let (mut from, mut to) = here;
        let moved = seen.and_then(|seen| step(seen.grid, key, if shift { to } else { from }));
        let (less, more) = (to.saturating_sub(1).max(first_to), (to + 1).min(last));
        match (moved, key, matrix) {
            (Some(place), ..) if shift => to = place,
            (Some(place), ..) => (from, to) = (place, strongest(&chosen, place)),
            (_, "ArrowLeft", true) | (_, "ArrowUp", false) => to = less,
            (_, "ArrowRight", true) | (_, "ArrowDown", false) => to = more,
            (_, "ArrowLeft", false) | (_, "ArrowUp", true) => from = from.saturating_sub(1),
            (_, "ArrowRight", false) | (_, "ArrowDown", true) => from = (from + 1).min(last_from),
            (_, "Home", _) => from = 0,
            (_, "End", _) => from = last_from,
            (_, "Enter" | " ", _) => {
                keep(here, true);
                return true;
            }
            _ => return false,
        }
        if causal {
            to = to.min(from);
        }
        if locked.get_untracked().is_some() {
            keep((from, to), false);
        } else {
            show(Some((from, to)));
        }
        true
    };
    view! {
        <div class="picture-room" node_ref=place>
            <div
                class="picture"
                style:max-height=format!("{MOST_HEIGHT}px")
                on:scroll:target=move |event| scrolled.set(f64::from(event.target().scroll_top()))
            >
                <div class="picture-length" style:height=move || format!("{}px", height())>
                    <canvas
                        node_ref=node
                        tabindex="0"
                        role="img"
                        data-testid="attention-picture"
                        aria-label="What the chosen heads look at; the table below has the same numbers. Arrow keys move through tokens or patches, Enter keeps one; in a picture, Shift and arrows move what is looked at."
                        on:mousemove=move |event| show(point(event.offset_x(), event.offset_y()).and_then(pair_of))
                        on:mouseleave=move |_| show(None)
                        on:click=move |event| {
                            match point(event.offset_x(), event.offset_y()).and_then(pair_of) {
                                Some(pair) => keep(pair, locked.get_untracked() == Some(pair)),
                                None => lens.clear(source),
                            }
                        }
                        on:keydown=move |event| {
                            if key(&event.key(), event.shift_key()) {
                                event.prevent_default();
                            }
                        }
                    ></canvas>
                </div>
            </div>
            {move || {
                let line = chosen.with(|chosen| sight::line(chosen.as_ref()?, &options.get(), cursor.get()));
                line.map(|words| view! { <p class="hint" data-testid="attention-place">{words}</p> })
            }}
        </div>
    }
}
