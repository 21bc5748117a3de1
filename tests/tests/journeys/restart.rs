//! An engine that dies: it is started again, and what was typed stays.

use serde_json::json;

use super::{Journey, LONG, SHORT};

/// Keeps the page's workers where a test finds them.
const WATCHED: &str = "const Real = Worker; window.workers = [];
window.Worker = function (...args) { const made = new Real(...args); workers.push(made); return made; };";

/// Kills the worker that was started last, as the page hears of a trap.
const KILL: &str =
    "workers.at(-1).dispatchEvent(new ErrorEvent('error', { message: 'unreachable' }))";

/// How many tokens are on the page.
const WRITTEN: &str = "document.querySelectorAll('[data-testid=generate-token]').length";

impl Journey {
    /// Runs a script before those of every page from now on.
    fn before_the_page(&mut self, script: &str) {
        let script = json!({ "source": script });
        let method = "Page.addScriptToEvaluateOnNewDocument";
        self.page.call(method, script).unwrap();
    }
}

#[test]
fn an_engine_that_dies_is_started_again_and_the_text_goes_on() {
    let name = "an_engine_that_dies_is_started_again_and_the_text_goes_on";
    let Some(mut journey) = Journey::begin(name, "") else {
        return;
    };
    journey.before_the_page(WATCHED);
    journey.open("text=Hello&max_tokens=60&mode=plain");
    journey.run_to_the_end();
    let undisturbed = journey.tokens();
    assert_eq!(undisturbed.len(), 60);

    journey.page.click("generate-run").unwrap();
    journey.wait(&format!("{WRITTEN} >= 4 && {WRITTEN} < 50"), LONG);
    journey.page.evaluate(KILL).unwrap();
    journey.wait(
        "document.querySelector('[data-testid=notices]').innerText.includes('started again')",
        SHORT,
    );
    journey.wait(&format!("{WRITTEN} === 60"), LONG);
    journey.finished();
    // The first of them behind the restart was computed from keys and values that were computed anew, many at once.
    super::generate::assert_same(&journey.tokens(), &undisturbed);
    let status = journey.page.text("generate-status").unwrap();
    assert!(status.contains("60 tokens"), "{status}");
    // The weights were in the browser's cache.
    assert_eq!(journey.downloads(), 1);

    // It does not live through the same text: that is said, and what was typed stays.
    journey.open("text=Hello&max_tokens=400&mode=plain");
    journey.page.click("generate-run").unwrap();
    journey.wait(&format!("{WRITTEN} >= 4"), LONG);
    journey.page.evaluate(KILL).unwrap();
    journey.wait(
        "document.querySelector('[data-testid=notices]').innerText.includes('started again')",
        SHORT,
    );
    let written = journey.tokens().len();
    journey.wait(&format!("{WRITTEN} > {written}"), LONG);
    journey.page.evaluate(KILL).unwrap();
    let message = journey.error();
    assert!(message.contains("started again"), "{message}");
    let typed = "document.querySelector('[data-testid=generate-input]').value";
    assert_eq!(journey.string(typed), "Hello");
    journey.wait(
        "document.querySelector('[data-testid=model-state]').innerText.includes('not loaded')",
        SHORT,
    );
    journey.page.click("generate-settings-line").unwrap();
    journey.page.fill("setting-max_tokens", "3").unwrap();
    journey.run_to_the_end();
    assert_eq!(journey.tokens().len(), 3);
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
