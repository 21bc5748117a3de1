//! Generate: text continued token by token, each open to inspection.

mod branches;
mod candidates;
mod cuts;
mod explain;
mod output;
mod prompt_panel;
mod recorded;
mod run;
mod seen;
mod sentence;
mod settings_panel;
mod status;
mod texts;
mod tree;
mod what_if;

use leptos::prelude::*;

use self::output::OutputPanel;
use self::prompt_panel::PromptPanel;
use self::run::Runs;
use self::seen::SeenPrompt;
use self::settings_panel::SettingsPanel;
use crate::components::problem::ProblemAlert;
use crate::page::Page;

/// The tab.
#[component]
pub fn Generate() -> impl IntoView {
    let page: Page = expect_context();
    let runs = Runs::new(page);
    // A link with `run=1`, at first or followed later.
    Effect::new(move |_| {
        if page.run_asked.get() > 0 {
            runs.start_if_cached();
        }
    });
    view! {
        <PromptPanel runs/>
        <SettingsPanel/>
        <ProblemAlert problem=page.problem testid="generate-error"/>
        <OutputPanel runs/>
        <SeenPrompt seen=runs.seen/>
    }
}
