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
use crate::desk::Desk;
use crate::page::Page;

/// Its name in links.
pub const ID: &str = "generate";

/// The tab.
#[component]
pub fn Generate() -> impl IntoView {
    let page: Page = expect_context();
    let desk: Desk = expect_context();
    let runs = Runs::new(page, desk);
    // A link with `run=1`, at first or followed later.
    Effect::new(move |_| {
        if desk.run_asked.get() > 0 {
            runs.start_if_cached();
        }
    });
    view! {
        <PromptPanel runs/>
        <SettingsPanel/>
        <ProblemAlert problem=desk.problem testid="generate-error"/>
        <OutputPanel runs/>
        <SeenPrompt seen=runs.seen/>
    }
}
