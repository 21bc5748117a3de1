//! Sentences the person should read, each with a button that puts it away.

use leptos::prelude::*;

use crate::components::focus;

const PRESS_RUN: &str =
    "The link asks to run at once; press Run, as the model has to be downloaded first.";

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

    /// Says that a link asked for a run which waits for the person, as it would download.
    pub fn ask_to_run(&self) {
        self.say(PRESS_RUN);
    }

    /// The person has pressed Run.
    pub fn has_run(&self) {
        self.dismiss(PRESS_RUN);
    }

    /// Puts a sentence away.
    pub fn dismiss(&self, sentence: &str) {
        // Nobody redraws for a sentence that is not there.
        if self
            .sentences
            .with_untracked(|all| all.iter().any(|each| each == sentence))
        {
            self.sentences
                .update(|all| all.retain(|each| each != sentence));
        }
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
                            on:click=move |event| {
                                focus::pass_on(&event, "button", focus::OPEN_TAB);
                                notices.dismiss(&sentence);
                            }
                        >
                            "Dismiss"
                        </button>
                    </li>
                </For>
            </ul>
        </div>
    }
}
