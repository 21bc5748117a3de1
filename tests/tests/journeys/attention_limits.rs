//! The Attention tab with texts that are long, empty, shorter than the one before, or newer than another tab's.

use super::{Journey, LONG, SHORT};

/// Goal for drawing all maps; this machine draws without a GPU, beside other work.
const MOST_DRAWING_MILLISECONDS: f64 = 100.0;

/// What a step of the pointer may take to be followed without a jerk.
const MOST_MOVING_MILLISECONDS: f64 = 50.0;

#[test]
fn long_and_empty_texts_are_said_and_drawing_is_quick() {
    let name = "long_and_empty_texts_are_said_and_drawing_is_quick";
    let fragment = "tab=attention&model=smollm2-135m-instruct&backend=cpu";
    let Some(mut journey) = Journey::begin_alone(name, fragment) else {
        return;
    };
    let sentence = "The quick brown fox jumps over the lazy dog and runs away from it. ";
    journey
        .page
        .paste("attention-input", &sentence.repeat(9))
        .unwrap();
    journey.page.click("attention-run").unwrap();
    journey.attended();
    let status = journey.page.text("attention-status").unwrap();
    assert!(
        status.starts_with("13") || status.starts_with("14"),
        "{status}"
    );
    // Another head: everything is painted again, then read back, so that nothing is still to come.
    let painted = "(async () => { const c = document.querySelector('[data-testid=attention-wall]'); \
        const times = []; for (let i = 0; i < 5; i++) { const before = performance.now(); \
        c.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true})); \
        await new Promise(done => setTimeout(done)); c.getContext('2d').getImageData(0, 0, 1, 1); \
        times.push(performance.now() - before) } return times.sort((a, b) => a - b)[2] })()";
    let milliseconds = journey.page.evaluate(painted).unwrap().as_f64().unwrap();
    eprintln!("270 maps of 136 tokens: drawn in {milliseconds:.1} ms");
    assert!(
        milliseconds < MOST_DRAWING_MILLISECONDS,
        "{milliseconds} ms"
    );
    journey.picture("attention-columns");
    // Pointed at the last token, then the text gets shorter: there is no such token any more.
    journey.focus_on("attention-picture");
    journey.page.press("End").unwrap();
    journey
        .page
        .paste("attention-input", &sentence.repeat(4))
        .unwrap();
    journey.wait(
        "document.querySelector('[data-testid=attention-status]').textContent.startsWith('6')",
        LONG,
    );
    journey.attended();
    assert_eq!(journey.string("'the page lives'"), "the page lives");

    // Ten thousand words are cut, and said to be.
    journey
        .page
        .paste("attention-input", &"word ".repeat(10_000))
        .unwrap();
    journey.page.click("attention-run").unwrap();
    journey.wait("document.querySelector('[data-testid=notices]').textContent.includes('the first 512 are looked at')", LONG);
    // Moving over 512 tokens stays fluid, in two columns and in the matrix.
    for view in ["Arcs", "Matrix"] {
        let click = format!(
            "[...document.querySelectorAll('input[name=attention-view]')]\
             .find(i => i.closest('label').textContent === '{view}').click()"
        );
        journey.page.evaluate(&click).unwrap();
        let moved = "(async () => { const c = document.querySelector('[data-testid=attention-picture]'); \
            c.scrollIntoView(); const at = c.getBoundingClientRect(); const times = []; \
            for (let i = 0; i < 30; i++) { const before = performance.now(); \
            c.dispatchEvent(new MouseEvent('mousemove', {bubbles: true, clientX: at.left + 60 + 3 * i, clientY: at.top + 200 + 7 * i})); \
            await new Promise(done => setTimeout(done)); c.getContext('2d').getImageData(0, 0, 1, 1); \
            times.push(performance.now() - before) } return times.sort((a, b) => a - b)[15] })()";
        let milliseconds = journey.page.evaluate(moved).unwrap().as_f64().unwrap();
        eprintln!("moving over 512 tokens, {view}: {milliseconds:.1} ms a step");
        assert!(
            milliseconds < MOST_MOVING_MILLISECONDS,
            "{view}: {milliseconds} ms"
        );
    }
    journey.page.fill("attention-input", "").unwrap();
    journey.page.click("attention-run").unwrap();
    let error = "document.querySelector('[data-testid=attention-error] p')?.innerText";
    journey.wait(error, SHORT);
    let error = journey.string(error);
    assert_eq!(
        error,
        "The text is empty; type something or pick an example."
    );
    journey.expect_quiet();
}

#[test]
fn a_new_request_stops_another_tabs_text_and_takes_its_model() {
    let name = "a_new_request_stops_another_tabs_text_and_takes_its_model";
    let fragment = "tab=generate&backend=cpu&mode=plain&max_tokens=1500&text=Once upon a time";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    journey.page.click("generate-run").unwrap();
    journey.wait(
        "document.querySelectorAll('[data-testid=generate-token]').length > 2",
        LONG,
    );
    // The tab works on any model: it takes the one that is there.
    journey.page.click("tab-attention").unwrap();
    let line = journey.page.text("model-line").unwrap();
    assert!(line.contains("SmolLM2") && line.contains("ready"), "{line}");
    journey.page.fill("attention-input", "Latest wins").unwrap();
    journey.attended();
    journey.page.click("tab-generate").unwrap();
    journey.finished();
    assert!(journey.tokens().len() < 1500);
    assert_eq!(journey.downloads(), 1);
    journey.expect_quiet();
}
