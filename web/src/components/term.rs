//! A term of the field: it opens one sentence that explains it.

use std::sync::atomic::{AtomicU32, Ordering};

use leptos::prelude::*;

use super::popover::Popover;

/// See [`Term`].
pub const ENTROPY: &str = "How widely a head spreads its weight, in bits, as the mean over all that look: 0 is one place alone, 3 is eight places alike.";

/// See [`Term`].
pub const DISTANCE: &str = "How far a head reads from where it stands: each place's distance times its weight, as the mean over all that look.";

/// See [`Term`].
pub const ROLLOUT: &str = "What reaches a place through all layers, by a rule of thumb: each layer's heads are averaged, half of every place is taken to stay as it is, and the layers are multiplied.";

/// See [`Term`].
pub const SOFTMAX: &str = "Makes shares of numbers: e to the power of each, divided by the sum of these, so that the largest gets the most and all sum to 1.";

/// A word with a dotted underline. A click or Enter opens its sentence, Escape closes it.
#[component]
pub fn Term(
    /// The word.
    word: &'static str,
    /// What it means, in one sentence.
    means: &'static str,
) -> impl IntoView {
    // One word may stand in several places.
    static MADE: AtomicU32 = AtomicU32::new(0);
    let id = format!("term-{}", MADE.fetch_add(1, Ordering::Relaxed));
    view! {
        <span class="in-text">
            <Popover id label=word class="term" open=RwSignal::new(false) face=move || word>
                <p>{means}</p>
            </Popover>
        </span>
    }
}
