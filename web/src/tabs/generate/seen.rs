//! What the model sees: the prompt as tokens with their ids.

use glassformer_engine::protocol::PromptToken;
use leptos::prelude::*;

use crate::format;

/// Long prompts are shown in parts of this many tokens, to keep the page quick.
const PART: usize = 200;

/// A strip of tokens, folded until asked for.
#[component]
pub fn SeenPrompt(
    /// The tokens of the last prompt; empty before the first.
    seen: RwSignal<Vec<PromptToken>>,
) -> impl IntoView {
    let opened = RwSignal::new(false);
    let parts = RwSignal::new(1usize);
    // Counts prompts, so that parts of different prompts are told apart.
    let prompt = RwSignal::new(0u32);
    Effect::new(move |_| {
        seen.track();
        parts.set(1);
        prompt.update(|prompt| *prompt += 1);
    });
    let count = move || seen.with(Vec::len);
    let shown = move || {
        if opened.get() {
            count().min(parts.get() * PART)
        } else {
            0
        }
    };
    let part = move |index: usize| {
        seen.with_untracked(|tokens| {
            tokens
                .iter()
                .skip(index * PART)
                .take(PART)
                .map(strip_token)
                .collect_view()
        })
    };
    let shown_parts = move || (0..shown().div_ceil(PART)).map(move |index| (prompt.get(), index));
    view! {
        <details
            class="seen"
            data-testid="generate-prompt-tokens"
            hidden=move || count() == 0
            on:toggle:target=move |event| opened.set(event.target().has_attribute("open"))
        >
            <summary>
                "What the model sees"
                <small>{move || format::counted(count() as u64, "token")}</small>
            </summary>
            <p class="hint">
                "The prompt, cut into pieces of its vocabulary; each is only a number to the model. Dashed ones are special tokens that mark roles and ends."
            </p>
            <ol class="strip">
                <For each=shown_parts key=|key| *key let:key>{part(key.1)}</For>
            </ol>
            <button
                type="button"
                class="quiet"
                hidden={move || shown() >= count()}
                on:click=move |_| parts.update(|parts| *parts += 1)
            >
                {move || format!("Show more ({} left)", format::grouped(count().saturating_sub(shown()) as u64))}
            </button>
        </details>
    }
}

fn strip_token(token: &PromptToken) -> impl IntoView + use<> {
    let class = if token.special { "special" } else { "" };
    view! {
        <li class=class title=token.special.then_some("special token")>
            <span>{format::visible(&token.text)}</span>
            <small>{token.id}</small>
        </li>
    }
}
