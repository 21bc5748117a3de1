//! What heads look at in a picture: choose a head, point at a patch.

use std::sync::Arc;

use glassformer_engine::protocol::{Event, PatchAttention, Request};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::pictures::{Picture, State};
use super::run::Runs;
use super::why::Canvas;
use crate::components::theme::Dark;
use crate::format;
use crate::tabs::attention::colour::{Paint, Palette};

/// The heads of the tower over one picture.
#[component]
pub fn Heads(runs: Runs, picture: Picture) -> impl IntoView {
    let found = RwSignal::new(None::<Arc<PatchAttention>>);
    let problem = RwSignal::new(None::<String>);
    let State::Seen(seen) = picture.state.get_untracked() else {
        return ().into_any();
    };
    let Some(model) = runs.seen_by() else {
        return ().into_any();
    };
    let rgb = seen.rgb.clone();
    let mut events = runs
        .desk
        .model
        .request(Request::PatchAttention { model, rgb });
    spawn_local(async move {
        while let Some(event) = events.next().await {
            // The lens may show something else by now.
            match event {
                Event::PatchAttention { attention } => {
                    found.try_set(Some(Arc::new(attention)));
                }
                Event::Failed { message, .. } => {
                    problem.try_set(Some(message));
                }
                Event::Moved { model, notice } => runs.desk.model.moved(model, &notice),
                _ => {}
            }
        }
    });
    view! {
        <figure class="match-heads">
            <figcaption>
                <b>"Attention"</b>
                " — point at a patch to see where its information was read from, not why the model decided"
            </figcaption>
            {move || problem.get().map(|sentence| view! { <p class="problem">{sentence}</p> })}
            {move || {
                let seen = Arc::clone(&seen);
                found.get().map(|attention| view! { <Map attention seen/> })
            }}
        </figure>
    }
    .into_any()
}

#[component]
fn Map(
    attention: Arc<PatchAttention>,
    seen: Arc<glassformer_engine::protocol::SeenPicture>,
) -> impl IntoView {
    let (layers, heads) = (attention.layers as usize, attention.heads as usize);
    let (first, grid) = (attention.first as usize, attention.grid as usize);
    // The last layer's first head; nothing is the rollout.
    let head = RwSignal::new(Some((layers.saturating_sub(1), 0)));
    let query = RwSignal::new(0usize);
    let row = Memo::new(move |_| attention.row(head.get(), query.get()));
    let Dark(dark) = expect_context();
    let choices = (0..layers * heads).map(|i| {
        let (layer, head) = (i / heads, i % heads);
        let label = format!("layer {}, head {}", layer + 1, head + 1);
        view! { <option value=i.to_string() selected=i == (layers - 1) * heads>{label}</option> }
    });
    let choose = move |value: String| {
        head.set(value.parse::<usize>().ok().map(|i| (i / heads, i % heads)));
    };
    let name = move |position: usize| {
        if position < first {
            return "the class token".to_owned();
        }
        let patch = position - first;
        format!("row {}, column {}", patch / grid + 1, patch % grid + 1)
    };
    let parts = (first..first + grid * grid).map(|position| {
        let weight = move || row.with(|row| row.get(position).copied().unwrap_or(0.0));
        let colour = move || {
            let most = row.with(|row| row.iter().skip(first).fold(f32::EPSILON, |a, b| a.max(*b)));
            Palette::new(dark.get()).css(Paint::Scale(weight() / most))
        };
        view! {
            <button
                type="button"
                class="match-part"
                data-testid="attention-cell"
                data-layer=move || head.get().map(|(layer, _)| layer.to_string())
                data-head=move || head.get().map(|(_, head)| head.to_string())
                data-from=move || query.get().to_string()
                data-to=position.to_string()
                data-weight=move || weight().to_string()
                data-derived=move || head.get().is_none().then_some("rollout")
                data-query=move || (query.get() == position).then_some("true")
                aria-label=name(position)
                style=("--part", colour)
                on:mouseenter=move |_| query.set(position)
                on:focus=move |_| query.set(position)
            >
                <b>{move || format!("{:.0}", weight() * 100.0)}</b>
            </button>
        }
    });
    let told = move || {
        let from = name(query.get());
        let own = row.with(|row| row.iter().take(first).sum::<f32>());
        let how = if head.get().is_none() {
            "by rollout over all layers, averaged over heads (derived), "
        } else {
            ""
        };
        format!(
            "{how}{from} looks at the patches with these per cent, and at the class token with {}.",
            format::percent(own.into())
        )
    };
    view! {
        <div class="match-buttons">
            <label class="match-shown">
                <span>"Head"</span>
                <select data-testid="match-head" on:change:target=move |event| choose(event.target().value())>
                    {choices.collect_view()}
                    <option value="rollout">"rollout"</option>
                </select>
            </label>
            <button type="button" class="button" data-testid="match-cls" on:click=move |_| query.set(0)>
                "Class token"
            </button>
        </div>
        <div class="match-overlay" data-testid="match-heads" data-dense=(grid > 8).then_some("true") style=("--side", grid.to_string())>
            <Canvas seen/>
            <div class="match-parts">{parts.collect_view()}</div>
        </div>
        <p class="hint">{told}</p>
    }
}
