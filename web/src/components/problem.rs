//! What went wrong: one sentence, with the details behind "more".

use leptos::prelude::*;

use crate::page::Problem;

/// An alert that is there while there is a problem.
#[component]
pub fn ProblemAlert(
    /// The problem, if any.
    problem: RwSignal<Option<Problem>>,
    /// The alert's `data-testid`.
    testid: &'static str,
) -> impl IntoView {
    // The region itself stays, as screen readers only watch regions they have met before.
    view! {
        <div role="alert" class="problem-region">
            {move || problem.get().map(|Problem { sentence, detail }| view! {
                <div class="problem" data-testid=testid>
                    <p>{sentence}</p>
                    {(!detail.is_empty()).then(|| view! {
                        <details>
                            <summary>"more"</summary>
                            <pre>{detail}</pre>
                        </details>
                    })}
                </div>
            })}
        </div>
    }
}
