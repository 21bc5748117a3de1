//! The Fill-mask tab: the words are the engine's, masks come and go, texts stand side by side.

use std::time::Duration;

use glassformer_engine::protocol::{BackendChoice, MaskRequest, MaskResult, PrecisionChoice};
use glassformer_engine::{Cancel, Engine, Files, PathSource, registry};

use super::{Journey, LONG, SHORT};

/// Long enough for a load and a sentence on the software adapter, beside other journeys.
const SLOW: Duration = Duration::from_secs(240);

/// Longer than the page waits before it asks about a text that changed.
const AFTER_THE_PAUSE: Duration = Duration::from_millis(900);

const OPENING: &str = "The [MASK] chased the mouse.";

/// What the same engine answers natively on the CPU, in `exact`.
fn natively(journey: &Journey, text: &str) -> MaskResult {
    let file = &registry::find("minilm-l6-mlm").unwrap().files[0];
    let path = journey.prepared.models.join(&file.path);
    let files = Files::new(vec![Box::new(PathSource::new(path).unwrap())]).unwrap();
    let mut engine = Engine::new();
    let (mut quiet, cancel) = (|_, _, _| {}, Cancel::default());
    let (cpu, exact) = (BackendChoice::Cpu, PrecisionChoice::Exact);
    let request = MaskRequest {
        text: text.into(),
        pair: None,
        top: 8,
        fill: false,
        attention: true,
        words: Vec::new(),
    };
    futures::executor::block_on(async {
        let load = engine.load(&files, "", None, cpu, exact, 1 << 14, &mut quiet, &cancel);
        load.await.unwrap();
        let mut silent = |_| {};
        let answer = engine.fill_mask(&request, &mut silent, &cancel);
        answer.await.unwrap()
    })
}

impl Journey {
    /// Mask, token and probability of every word on the page.
    fn predictions(&mut self) -> Vec<(usize, String, f64)> {
        self.predictions_of("fill-mask-prediction")
    }

    fn predictions_of(&mut self, testid: &str) -> Vec<(usize, String, f64)> {
        let script = format!(
            "[...document.querySelectorAll('[data-testid={testid}]')]\
             .map(p => [Number(p.dataset.mask), p.dataset.token, Number(p.dataset.score)])"
        );
        let found = self.page.evaluate(&script).unwrap();
        let one = |p: &serde_json::Value| {
            let mask = p[0].as_u64()? as usize;
            Some((mask, p[1].as_str()?.to_owned(), p[2].as_f64()?))
        };
        found.as_array().unwrap().iter().filter_map(one).collect()
    }

    fn masked_text(&mut self) -> String {
        self.string("document.querySelector('[data-testid=fill-mask-input]').value")
    }

    /// Waits until the answer is to the text that stands there, and live.
    fn answered(&mut self, limit: Duration) {
        self.wait(
            "!document.querySelector('[data-testid=fill-mask-recorded]') \
             && !document.querySelector('[data-stale=true]') \
             && /ms|\\bs$/.test(document.querySelector('[data-testid=fill-mask-status]').innerText)",
            limit,
        );
    }

    /// Replaces the text and waits for the answer that comes by itself.
    fn retype(&mut self, text: &str) {
        self.page.paste("fill-mask-input", text).unwrap();
        self.wait("document.querySelector('[data-stale=true]')", SHORT);
        self.answered(LONG);
    }

    /// Presses the handle above a word or mask.
    fn handle(&mut self, word: &str) {
        let script = format!(
            "[...document.querySelectorAll('.masked-word')]\
             .find(w => w.firstChild.textContent === '{word}').querySelector('button').click()"
        );
        self.page.evaluate(&script).unwrap();
    }

    fn assert_answers(&mut self, expected: &MaskResult) {
        let shown = self.predictions();
        assert_same_words(&shown, expected);
    }
}

fn assert_same_words(shown: &[(usize, String, f64)], expected: &MaskResult) {
    let masks = expected.masks.iter().enumerate();
    let expected: Vec<(usize, &str, f64)> = masks
        .flat_map(|(mask, found)| {
            let words = found.predictions.iter();
            words.map(move |p| (mask, p.token.as_str(), f64::from(p.score)))
        })
        .collect();
    assert_eq!(shown.len(), expected.len(), "{shown:?}");
    for ((mask, token, score), (expected_mask, expected_token, expected_score)) in
        shown.iter().zip(&expected)
    {
        assert_eq!((mask, token.as_str()), (expected_mask, *expected_token));
        assert!((score - expected_score).abs() < 1e-5, "{token}: {score}");
    }
}

#[test]
fn masks_are_filled_with_the_engines_own_numbers() {
    let name = "masks_are_filled_with_the_engines_own_numbers";
    let Some(mut journey) = Journey::begin(name, "tab=fill-mask&precision=exact") else {
        return;
    };
    // Something true is on screen before any weights are there.
    journey.wait(
        "document.querySelector('[data-testid=fill-mask-recorded]')",
        SHORT,
    );
    assert_eq!(journey.masked_text(), OPENING);
    let expected = natively(&journey, OPENING);
    assert_same_words(&journey.predictions_of("recorded-prediction"), &expected);
    assert_eq!(journey.predictions(), []);
    let button = journey.page.text("fill-mask-run").unwrap();
    assert!(button.contains("24.8 MB"), "{button}");
    let about = journey.page.text("fill-mask-about").unwrap();
    assert!(about.contains("trained"), "{about}");
    journey.picture("fill-mask-recorded");

    journey.page.click("fill-mask-run").unwrap();
    journey.answered(LONG);
    journey.assert_answers(&expected);
    journey.picture("fill-mask");

    // Typing asks again by itself.
    let two = "The capital of [MASK] is [MASK].";
    journey.retype(two);
    let expected = natively(&journey, two);
    journey.assert_answers(&expected);

    // What the mask looked at: means at first, the model's own numbers once one head is chosen.
    let rows = "[...document.querySelectorAll('[data-testid=fill-mask-attention-row]')]";
    let derived = journey.string(&format!("{rows}[0].dataset.derived"));
    assert_eq!(derived, "true");
    for (choice, value) in [("layer", "2"), ("head", "5")] {
        let script = format!(
            "(s => {{ s.value = '{value}'; s.dispatchEvent(new Event('change', {{bubbles: true}})) }})\
             (document.querySelector('[data-testid=fill-mask-{choice}]'))"
        );
        journey.page.evaluate(&script).unwrap();
    }
    journey.wait(&format!("!{rows}[0].dataset.derived"), SHORT);
    let weights = journey
        .page
        .evaluate(&format!("{rows}.map(r => Number(r.dataset.weight))"));
    let weights = weights.unwrap();
    let weights: Vec<f64> = weights
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|w| w.as_f64())
        .collect();
    let tokens = expected.tokens.len();
    let row = expected
        .attention
        .as_ref()
        .unwrap()
        .row([1, 4, 0], 2, tokens)
        .unwrap();
    assert_eq!(weights.len(), tokens);
    for (shown, own) in weights.iter().zip(row) {
        assert!((shown - f64::from(own)).abs() < 1e-5, "{shown} {own}");
    }

    // A token that is chosen is kept in the lens, until there is another answer.
    let keep = "document.querySelectorAll('[data-testid=fill-mask-arc-token]')[1]\
                .dispatchEvent(new MouseEvent('click', {bubbles: true}))";
    journey.page.evaluate(keep).unwrap();
    let kept = "document.querySelector('[data-testid=lens]').dataset.locked";
    journey.wait(&format!("{kept} === 'true'"), SHORT);
    assert_eq!(journey.page.text("lens-heading").unwrap(), "the");

    // A word is chosen, and the choice undone.
    let best = journey.predictions()[0].1.clone();
    journey.page.click("fill-mask-prediction").unwrap();
    let chosen = two.replacen("[MASK]", &best, 1);
    assert_eq!(journey.masked_text(), chosen);
    journey.answered(LONG);
    assert_eq!(journey.predictions().len(), 8);
    assert_eq!(journey.string(kept), "false");
    journey.page.click("fill-mask-undo").unwrap();
    assert_eq!(journey.masked_text(), two);
    journey.answered(LONG);

    // Both at once.
    journey.page.click("fill-mask-fill-all").unwrap();
    journey.wait(
        "!document.querySelector('[data-testid=fill-mask-input]').value.includes('[MASK]')",
        LONG,
    );
    let said = journey.page.text("fill-mask-said").unwrap();
    assert!(
        said.contains("surest first") && said.contains("mask 2"),
        "{said}"
    );
    journey.expect_quiet();
}

#[test]
fn words_go_behind_masks_and_come_back() {
    let name = "words_go_behind_masks_and_come_back";
    let Some(mut journey) = Journey::begin(name, "tab=fill-mask") else {
        return;
    };
    journey.page.click("fill-mask-run").unwrap();
    journey.answered(LONG);

    // With its last mask filled, a sentence is whole: nothing is asked, and the words stay.
    let best = journey.predictions()[0].1.clone();
    journey.page.click("fill-mask-prediction").unwrap();
    assert_eq!(journey.masked_text(), OPENING.replace("[MASK]", &best));
    std::thread::sleep(AFTER_THE_PAUSE);
    assert_eq!(journey.predictions_of("outdated-prediction").len(), 8);
    let error = "String(document.querySelector('[data-testid=fill-mask-error]'))";
    assert_eq!(journey.string(error), "null");
    // The keyboard is at the way back.
    let focused = "document.activeElement.dataset.testid";
    assert_eq!(journey.string(focused), "fill-mask-undo");
    journey.page.press("Enter").unwrap();
    journey.answered(LONG);
    assert_eq!(journey.predictions().len(), 8);

    journey.handle("mouse");
    assert_eq!(journey.masked_text(), "The [MASK] chased the [MASK].");
    journey.answered(LONG);
    assert_eq!(journey.predictions().len(), 16);

    // The key does the same to the word at the caret, and takes it back.
    journey.page.click("fill-mask-input").unwrap();
    journey.page.press("Control+Home").unwrap();
    journey.page.press("Control+m").unwrap();
    assert_eq!(journey.masked_text(), "[MASK] [MASK] chased the [MASK].");
    journey.page.press("Control+m").unwrap();
    assert_eq!(journey.masked_text(), "The [MASK] chased the [MASK].");

    // A word of several pieces becomes as many masks, and the page says so.
    journey.retype("The antidisestablishment [MASK] the mouse.");
    journey.handle("antidisestablishment");
    journey.wait(
        "document.querySelector('[data-testid=fill-mask-said]').innerText.includes('pieces')",
        LONG,
    );
    journey.answered(LONG);
    let text = journey.masked_text();
    let masks = text.matches("[MASK]").count();
    assert!(masks > 3, "{text}");
    assert_eq!(journey.predictions().len(), masks * 8);
    journey.picture("fill-mask-pieces");
    // Any of them brings the whole word back.
    journey.handle("[MASK]");
    assert_eq!(
        journey.masked_text(),
        "The antidisestablishment [MASK] the mouse."
    );

    // Two texts side by side, from the link.
    journey.page.click("fill-mask-compare").unwrap();
    journey
        .page
        .paste("fill-mask-input-2", "The nurse said [MASK] was late.")
        .unwrap();
    journey.wait(
        "document.querySelectorAll('[data-testid=fill-mask-prediction-2]').length === 8",
        LONG,
    );
    journey.picture("fill-mask-compare");
    journey.wait("location.hash.includes('second=The%20nurse')", SHORT);
    let link = journey.string("location.hash");
    let fragment = link.trim_start_matches('#').to_owned() + "&run=1&layer=3";
    journey.open(&fragment);
    journey.answered(LONG);
    let second = "document.querySelector('[data-testid=fill-mask-input-2]').value";
    assert_eq!(journey.string(second), "The nurse said [MASK] was late.");
    assert_eq!(
        journey.string("document.querySelector('[data-testid=fill-mask-layer]').value"),
        "3"
    );

    // What cannot be filled is one sentence, and the tab goes on.
    journey.page.click("fill-mask-compare").unwrap();
    for (text, part) in [
        ("Nothing is hidden.", "no mask"),
        ("[MASK] [MASK]", "nothing but masks"),
        ("[MASK] \u{1f980}", "none of these characters"),
    ] {
        journey.page.paste("fill-mask-input", text).unwrap();
        let error = "document.querySelector('[data-testid=fill-mask-error] p')?.innerText";
        journey.wait(&format!("{error}?.includes('{part}')"), LONG);
    }
    journey.picture("fill-mask-error");
    let long = format!("The [MASK] is long. {}", "word ".repeat(10_000));
    journey.page.paste("fill-mask-input", &long).unwrap();
    journey.wait(
        "document.querySelector('[data-testid=fill-mask-left-out]')",
        LONG,
    );
    let left = journey.page.text("fill-mask-left-out").unwrap();
    assert!(left.contains("more characters"), "{left}");
    journey.retype(OPENING);
    assert_eq!(journey.predictions().len(), 8);

    // The second text is still there; without it, nothing is asked about it.
    journey.page.click("fill-mask-compare").unwrap();
    assert_eq!(journey.string(second), "The nurse said [MASK] was late.");
    journey.page.click("fill-mask-compare").unwrap();
    journey.wait("!location.hash.includes('second=')", SHORT);
    std::thread::sleep(AFTER_THE_PAUSE);
    let status = journey.page.text("fill-mask-status").unwrap();
    assert!(status.contains("1 mask"), "{status}");
    journey.expect_quiet();
}

#[test]
fn the_gpu_fills_masks_as_the_cpu_does() {
    let name = "the_gpu_fills_masks_as_the_cpu_does";
    let Some(mut journey) =
        Journey::begin_gpu(name, "tab=fill-mask&backend=webgpu&precision=exact")
    else {
        return;
    };
    journey.page.click("fill-mask-run").unwrap();
    journey.answered(SLOW);
    let badge = "(b => b.dataset.backend + ' ' + b.dataset.precision)\
                 (document.querySelector('[data-testid=backend-badge]'))";
    assert_eq!(journey.string(badge), "webgpu exact");
    let expected = natively(&journey, OPENING);
    journey.assert_answers(&expected);
    journey.handle("mouse");
    journey.answered(SLOW);
    let expected = natively(&journey, "The [MASK] chased the [MASK].");
    journey.assert_answers(&expected);
    journey.expect_quiet();
}
