//! Sentences the person should read, each with a button that puts it away.

use leptos::prelude::*;

/// The sentences on display, oldest first.
#[derive(Clone, Copy, Default)]
pub struct Notices {
    sentences: RwSignal<Vec<String>>,
}

impl Notices {
    /// Shows a sentence, unless it is on display already.
    pub fn say(&self, sentence: &str) {
        self.sentences.update(|all| {
            if all.iter().all(|each| each != sentence) {
                all.push(sentence.to_string());
            }
        });
    }

    /// Puts a sentence away.
    pub fn dismiss(&self, sentence: &str) {
        self.sentences
            .update(|all| all.retain(|each| each != sentence));
    }
}

/// The notices, announced politely as they come.
#[component]
pub fn NoticeList(
    /// What to show.
    notices: Notices,
) -> impl IntoView {
    view! {
        <div role="status" data-testid="notices">
            <ul class="notices">
                <For each=move || notices.sentences.get() key=Clone::clone let:sentence>
                    <li>
                        <span>{sentence.clone()}</span>
                        <button
                            class="quiet"
                            aria-label=format!("Dismiss: {sentence}")
                            on:click=move |_| notices.dismiss(&sentence)
                        >
                            "Dismiss"
                        </button>
                    </li>
                </For>
            </ul>
        </div>
    }
}
