//! An engine that dies: it is started again, and what was typed stays.

use serde_json::json;

use super::{Journey, LONG, SHORT};

/// Keeps the page's workers where a test finds them.
const WATCHED: &str = "const Real = Worker; window.workers = [];
window.Worker = function (...args) { const made = new Real(...args); workers.push(made); return made; };";

/// Kills the worker that was started last, as the page hears of a trap.
const KILL: &str =
    "workers.at(-1).dispatchEvent(new ErrorEvent('error', { message: 'unreachable' }))";

impl Journey {
    /// Runs a script before those of every page from now on.
    fn before_the_page(&mut self, script: &str) {
        let script = json!({ "source": script });
        let method = "Page.addScriptToEvaluateOnNewDocument";
        self.page.call(method, script).unwrap();
    }
}

#[test]
fn an_engine_that_dies_is_started_again() {
    let name = "an_engine_that_dies_is_started_again";
    let Some(mut journey) = Journey::begin(name, "") else {
        return;
    };
    journey.before_the_page(WATCHED);
    journey.open("text=Hello&max_tokens=400&mode=plain");
    journey.page.click("generate-run").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=generate-token]')",
        LONG,
    );
    journey.page.evaluate(KILL).unwrap();
    let message = journey.error();
    assert!(message.contains("started again"), "{message}");
    let typed = "document.querySelector('[data-testid=generate-input]').value";
    assert_eq!(journey.string(typed), "Hello");
    journey.wait(
        "document.querySelector('[data-testid=model-state]').innerText.includes('not loaded')",
        SHORT,
    );

    // The weights are still in the browser's cache.
    journey.page.click("generate-settings-line").unwrap();
    journey.page.fill("setting-max_tokens", "3").unwrap();
    journey.run_to_the_end();
    assert_eq!(journey.tokens().len(), 3);
    assert_eq!(journey.downloads(), 1);
}

#[test]
fn a_browser_that_starts_no_engine_says_so() {
    let name = "a_browser_that_starts_no_engine_says_so";
    let Some(mut journey) = Journey::begin(name, "") else {
        return;
    };
    journey.before_the_page("window.Worker = function () { throw new Error('no workers here') }");
    journey.open("text=Hello&max_tokens=3");
    journey.page.click("generate-run").unwrap();
    let message = journey.error();
    assert!(message.contains("does not start"), "{message}");
    let typed = "document.querySelector('[data-testid=generate-input]').value";
    assert_eq!(journey.string(typed), "Hello");
}
