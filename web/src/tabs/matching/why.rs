//! Why a picture and a text score as they do: parts of the picture hidden one by one, attention rollout
//! beside that, and the words left out one by one.

use std::sync::Arc;

use glassformer_engine::protocol::{Event, Request, SeenPicture, Why, WhyRequest};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::{Clamped, JsCast};
use web_sys::{CanvasRenderingContext2d, ImageData};

use super::pictures::{Picture, State};
use super::run::Runs;
use crate::components::term::{ROLLOUT, Term};
use crate::components::theme::Dark;
use crate::tabs::attention::colour::{Paint, Palette};

/// What is explained, and how far that is.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The request that asked.
    asked: u32,
    picture: u32,
    prompt: String,
    state: Progress,
}

#[derive(Clone, Debug, PartialEq)]
enum Progress {
    Under(u32, u32),
    Done(Arc<Why>),
    Stopped,
    Failed(String),
}

impl Explained {
    /// Whether it is under way.
    pub fn is_active(&self) -> bool {
        matches!(self.state, Progress::Under(..))
    }

    /// Says that the person stopped it.
    pub fn stop(&mut self) {
        self.state = Progress::Stopped;
    }

    fn is_of(&self, picture: u32, prompt: &str) -> bool {
        self.picture == picture && self.prompt == prompt
    }
}

/// Asks why, unless that is known or under way.
pub fn ask(runs: Runs, picture: &Picture, prompt: &str) {
    let known = runs.explained.with_untracked(|explained| {
        let same = explained.as_ref().filter(|e| e.is_of(picture.id, prompt));
        same.is_some_and(|e| matches!(e.state, Progress::Under(..) | Progress::Done(_)))
    });
    let State::Seen(seen) = picture.state.get_untracked() else {
        return;
    };
    let Some(model) = runs.seen_by().filter(|_| !known) else {
        return;
    };
    let (id, prompt) = (picture.id, prompt.to_owned());
    let request = WhyRequest {
        rgb: seen.rgb.clone(),
        text: prompt.clone(),
    };
    let mut events = runs.desk.model.request(Request::Explain { model, request });
    let asked = events.id;
    let set = move |state: Progress| {
        runs.explained.set(Some(Explained {
            asked,
            picture: id,
            prompt: prompt.clone(),
            state,
        }));
    };
    set(Progress::Under(0, 0));
    runs.track(asked);
    // The same may have been stopped and asked again.
    let current = move || {
        runs.explained.with_untracked(|e| {
            e.as_ref()
                .is_some_and(|e| e.asked == asked && e.is_active())
        })
    };
    spawn_local(async move {
        while let Some(event) = events.next().await {
            if !current() {
                return;
            }
            match event {
                Event::Prefill { done, total } => set(Progress::Under(done, total)),
                Event::Explained { why } => set(Progress::Done(Arc::new(why))),
                Event::Failed { message, .. } => set(Progress::Failed(message)),
                Event::Cancelled => set(Progress::Stopped),
                Event::Moved { model, notice } => runs.desk.model.moved(model, &notice),
                _ => {}
            }
        }
    });
}

/// What the lens shows below a cell's numbers.
#[component]
pub fn WhyView(runs: Runs, picture: Picture, prompt: String) -> impl IntoView {
    let (id, own) = (picture.id, prompt.clone());
    let mine = Memo::new(move |_| {
        let explained = runs.explained.get();
        explained.filter(|e| e.is_of(id, &own)).map(|e| e.state)
    });
    move || {
        let (again, prompt) = (picture.clone(), prompt.clone());
        let retry = view! {
            <button type="button" class="button" on:click=move |_| ask(runs, &again, &prompt)>
                "Ask why again"
            </button>
        };
        match mine.get() {
            Some(Progress::Done(why)) => {
                let State::Seen(seen) = picture.state.get_untracked() else {
                    return ().into_any();
                };
                let prompt = own_prompt(runs);
                view! { <Answer why seen prompt/> }.into_any()
            }
            Some(Progress::Under(done, total)) => view! {
                <p class="hint" data-testid="match-why-progress">
                    {if total == 0 { "reading the text".to_owned() } else { format!("{done} of {total} pictures with a part hidden") }}
                </p>
            }
            .into_any(),
            Some(Progress::Failed(sentence)) => view! {
                <p class="problem">{sentence}</p>
                {retry}
            }
            .into_any(),
            Some(Progress::Stopped) => view! {
                <p class="hint">"Stopped."</p>
                {retry}
            }
            .into_any(),
            None => retry.into_any(),
        }
    }
}

fn own_prompt(runs: Runs) -> String {
    runs.explained
        .with_untracked(|e| e.as_ref().map(|e| e.prompt.clone()).unwrap_or_default())
}

#[component]
fn Answer(why: Arc<Why>, seen: Arc<SeenPicture>, prompt: String) -> impl IntoView {
    let most = why
        .drops
        .iter()
        .fold(f32::EPSILON, |most, drop| most.max(drop.abs()));
    let highest = why
        .rollout
        .iter()
        .fold(f32::EPSILON, |most, share| most.max(*share));
    let occlusion: Vec<(f32, Paint, String)> = why
        .drops
        .iter()
        .map(|drop| (*drop, Paint::Diverging(drop / most), signed(*drop)))
        .collect();
    let rollout: Vec<(f32, Paint, String)> = why
        .rollout
        .iter()
        .map(|share| {
            (
                *share,
                Paint::Scale(share / highest),
                format!("{:.1}", share * 100.0),
            )
        })
        .collect();
    let test = why.deletion;
    let verdict = if test.highest < test.random {
        "so the map is right about this picture: its highest parts matter more than random ones"
    } else {
        "so for this picture the map does not tell more than chance"
    };
    let words = why.words.iter().map(|word| {
        let text = prompt
            .get(word.start as usize..word.end as usize)
            .unwrap_or_default()
            .to_owned();
        let number = word.drop.map_or("the only word".to_owned(), signed);
        view! {
            <li data-testid="match-word" data-score=word.drop.map(|drop| drop.to_string())>
                <b dir="auto">{text}</b>
                <span class="value">{number}</span>
            </li>
        }
    });
    let (cells, grid) = (why.cells as usize, why.grid as usize);
    view! {
        <div class="match-why" data-testid="match-why">
            <figure>
                <figcaption>
                    <b>"Occlusion"</b>
                    " — what the cosine loses when this part is grey, in thousandths"
                </figcaption>
                <Overlay seen=Arc::clone(&seen) side=cells values=occlusion testid="match-occlusion"/>
            </figure>
            <p class="hint" data-testid="match-deletion" data-highest=test.highest.to_string() data-random=test.random.to_string()>
                {format!(
                    "The test: {:.3} as it is, {:.3} without its {} highest parts at once, {:.3} without as many random ones; {verdict}.",
                    why.base, test.highest, test.parts, test.random
                )}
            </p>
            <h3>"Words"</h3>
            <ul class="match-words">{words.collect_view()}</ul>
            <p class="hint">"What the cosine loses without each word, in thousandths."</p>
            <figure>
                <figcaption>
                    <b>"Attention " <Term word="rollout" means=ROLLOUT/></b>
                    " — how much of each patch reaches the picture's vector, in per cent; averaged over heads, and the same for every text"
                </figcaption>
                <Overlay seen side=grid values=rollout testid="match-rollout"/>
            </figure>
        </div>
    }
}

/// Thousandths with their sign.
fn signed(drop: f32) -> String {
    let thousandths = drop * 1000.0;
    if thousandths.abs() < 9.95 {
        format!("{thousandths:+.1}")
    } else {
        format!("{thousandths:+.0}")
    }
}

/// What the model saw, with a number on each part. The numbers are text, so they are their own table.
#[component]
fn Overlay(
    seen: Arc<SeenPicture>,
    /// Parts of a row.
    side: usize,
    /// The number, its colour and how it is written, row by row.
    values: Vec<(f32, Paint, String)>,
    testid: &'static str,
) -> impl IntoView {
    let Dark(dark) = expect_context();
    let cells = move || {
        let palette = Palette::new(dark.get());
        let cell = |(value, paint, text): &(f32, Paint, String)| {
            view! {
                <span class="match-part" title=text.clone() data-value=value.to_string() style=("--part", palette.css(*paint))>
                    <b>{text.clone()}</b>
                </span>
            }
        };
        values.iter().map(cell).collect_view()
    };
    view! {
        <div class="match-overlay" data-testid=testid data-dense=(side > 8).then_some("true") style=("--side", side.to_string())>
            <Canvas seen/>
            <div class="match-parts">{cells}</div>
        </div>
    }
}

/// What the model saw.
#[component]
pub fn Canvas(seen: Arc<SeenPicture>) -> impl IntoView {
    let canvas = NodeRef::<html::Canvas>::new();
    let pixels = seen.side;
    let rgba: Vec<u8> = seen
        .rgb
        .chunks(3)
        .flat_map(|rgb| rgb.iter().copied().chain([255]))
        .collect();
    Effect::new(move |_| {
        let Some(canvas) = canvas.get() else { return };
        let context = canvas.get_context("2d").ok().flatten();
        let context =
            context.and_then(|context| context.dyn_into::<CanvasRenderingContext2d>().ok());
        let data = ImageData::new_with_u8_clamped_array_and_sh(Clamped(&rgba), pixels, pixels);
        if let (Some(context), Ok(data)) = (context, data) {
            // A picture of its own canvas's size always fits.
            let _ = context.put_image_data(&data, 0.0, 0.0);
        }
    });
    view! {
        <canvas node_ref=canvas width=pixels.to_string() height=pixels.to_string() aria-hidden="true"></canvas>
    }
}
