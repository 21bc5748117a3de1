//! The written text, its legend, and the recorded example that stands in before the first run.

use leptos::ev;
use leptos::html::Div;
use leptos::prelude::*;

use super::branches::Branches;
use super::explain;
use super::recorded::Recording;
use super::run::{Asked, Runs};
use super::status::Phase;
use crate::components::lens::Lens;
use crate::components::term::Term;
use crate::components::token_stream::{TokenStream, TokenStreamView};
use crate::desk::Desk;
use crate::fragment::Mode;
use crate::surprise;

/// The lower part of the tab.
#[component]
pub fn OutputPanel(
    /// What it shows.
    runs: Runs,
) -> impl IntoView {
    let desk: Desk = expect_context();
    let end = NodeRef::<Div>::new();
    follow_the_end(runs, end);
    let live = move || runs.asked.with(Option::is_some);
    let writing = Signal::derive(move || {
        matches!(runs.phase.get(), Phase::Writing(_) | Phase::Reading { .. })
    });
    view! {
        <section class="output" aria-label="Output" data-writing=move || writing.get().to_string()>
            {move || runs.recorded.get().map(|recording| view! { <Recorded recording lens=desk.lens/> })}
            <div class="live" hidden=move || !live()>
                <Branches runs/>
                <div class="live-text">
                {move || runs.asked.get().map(|asked| view! { <Lead asked/> })}
                <div class="reading">
                    {move || runs.asked.get().filter(|asked| asked.mode == Mode::Plain).map(|asked| view! {
                        <span class="lead">{tail(&asked.text)}</span>
                    })}
                    <TokenStreamView
                        stream=runs.written
                        testid="generate-output"
                        label="Written text; arrow keys move among its tokens"
                        busy=writing
                    />
                    <span class="caret" aria-hidden="true"></span>
                </div>
                <button
                    type="button"
                    class="quiet"
                    data-testid="generate-undo"
                    hidden=move || runs.before.with(Option::is_none) || writing.get()
                    on:click=move |_| runs.undo()
                >
                    "Undo: the text before back"
                </button>
                </div>
            </div>
            <Legend/>
            <div node_ref=end></div>
            <p class="unseen" aria-live="polite" data-testid="generate-spoken">{runs.spoken}</p>
        </section>
    }
}

/// The question a chat answer belongs to.
#[component]
fn Lead(asked: Asked) -> impl IntoView {
    (asked.mode == Mode::Chat).then(|| {
        view! {
            <p class="asked">{tail(&asked.text)}</p>
        }
    })
}

/// A long prompt is quoted from its end, where the writing goes on.
fn tail(text: &str) -> String {
    const KEPT: usize = 400;
    let count = text.chars().count();
    if count <= KEPT {
        return text.to_string();
    }
    std::iter::once('…')
        .chain(text.chars().skip(count - KEPT))
        .collect()
}

#[component]
fn Recorded(recording: Recording, lens: Lens) -> impl IntoView {
    let stream = TokenStream::new("recorded-token", lens, explain::token);
    recording.tokens().for_each(|token| stream.append(token));
    on_cleanup(move || lens.clear("recorded-token"));
    view! {
        <div class="recorded" data-testid="generate-recorded">
            <p class="recorded-source">
                <span class="tag">"recorded"</span>
                {recording.source()}
            </p>
            <p class="asked">{recording.prompt.clone()}</p>
            <div class="reading">
                <TokenStreamView
                    stream
                    testid="recorded-output"
                    label="Recorded text; arrow keys move among its tokens"
                    busy=Signal::derive(|| false)
                />
            </div>
        </div>
    }
}

/// What the underlines mean.
#[component]
fn Legend() -> impl IntoView {
    let bounds = std::iter::once(0.0).chain(surprise::STEPS);
    let steps = bounds
        .enumerate()
        .map(|(step, bits)| {
            view! {
                <li class="token" data-surprise=step.to_string()>{bits.to_string()}</li>
            }
        })
        .collect_view();
    view! {
        <div class="legend">
            <span id="legend-name">
                "Underlined by "
                <Term word="surprise" means="−log₂ of the probability the model gave to the token it wrote: 1 bit is a coin flip, 8 bits is 1 in 256."/>
                ", in bits"
            </span>
            <ol aria-labelledby="legend-name">{steps}</ol>
            <span class="legend-hint">"Choose a token to see its numbers."</span>
        </div>
    }
}

/// Keeps the end in sight while text grows, until the reader scrolls up.
fn follow_the_end(runs: Runs, end: NodeRef<Div>) {
    let following = StoredValue::new(true);
    let last_top = StoredValue::new(0.0);
    let scrolled = window_event_listener(ev::scroll, move |_| {
        let top = window().scroll_y().unwrap_or(0.0);
        if top < last_top.get_value() {
            following.set_value(false);
        } else if end
            .get_untracked()
            .is_some_and(|end| below_the_fold(&end) <= 0.0)
        {
            following.set_value(true);
        }
        last_top.set_value(top);
    });
    on_cleanup(move || scrolled.remove());
    let asked_frame = StoredValue::new(false);
    Effect::new(move |_| {
        match runs.phase.get() {
            Phase::Reading { .. } => following.set_value(true),
            Phase::Writing(_) if following.get_value() && !asked_frame.get_value() => {
                asked_frame.set_value(true);
                // Once a frame: measuring after every token would lay the page out every time.
                request_animation_frame(move || {
                    asked_frame.set_value(false);
                    let hidden = end.get_untracked().map_or(0.0, |end| below_the_fold(&end));
                    if hidden > 0.0 && following.get_value() {
                        window().scroll_by_with_x_and_y(0.0, hidden);
                    }
                });
            }
            _ => {}
        }
    });
}

/// How many pixels below the visible part an element ends.
fn below_the_fold(element: &web_sys::HtmlDivElement) -> f64 {
    let height = window()
        .inner_height()
        .ok()
        .and_then(|height| height.as_f64())
        .unwrap_or(0.0);
    element.get_bounding_client_rect().bottom() - height
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn long_prompts_are_quoted_from_their_end() {
        assert_eq!(tail("short"), "short");
        let long = format!("{}é", "a".repeat(500));
        assert_eq!(tail(&long).chars().count(), 401);
        assert!(tail(&long).starts_with('…') && tail(&long).ends_with('é'));
    }
}
