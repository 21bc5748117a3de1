//! The Translate tab: translations, scores and alignments are the engine's own; trees are walked and
//! forced, long texts stopped, links restored.

use std::time::Duration;

use glassformer_engine::protocol::{
    BackendChoice, Event, ForcedStart, PrecisionChoice, TranslateRequest, TranslatedSentence,
};
use glassformer_engine::tasks::translation::TranslateSettings;
use glassformer_engine::{Cancel, Engine, Files, PathSource, Source, registry};
use serde_json::Value;

use super::{Journey, LONG, SHORT};

/// Long enough for a load and a sentence on the software adapter, beside other journeys.
const SLOW: Duration = Duration::from_secs(240);

const OPENING: &str = "The bank is by the river.";
const TRANSLATED: &str = "A margem está junto ao rio.";

/// What the same engine answers natively on the CPU, in `exact`.
fn natively(
    journey: &Journey,
    id: &str,
    text: &str,
    forced: Option<ForcedStart>,
) -> Vec<TranslatedSentence> {
    let entry = registry::find(id).unwrap();
    let source = |path: &str| {
        let path = journey.prepared.models.join(path);
        Box::new(PathSource::new(path).unwrap()) as Box<dyn Source>
    };
    let files = entry.files.iter().map(|file| source(&file.path)).collect();
    let files = Files::new(files).unwrap();
    let mut engine = Engine::new();
    let (mut quiet, cancel) = (|_, _, _| {}, Cancel::default());
    let (cpu, exact) = (BackendChoice::Cpu, PrecisionChoice::Exact);
    let request = TranslateRequest {
        text: text.into(),
        from: entry.languages.as_ref().unwrap()[0].clone(),
        settings: TranslateSettings {
            beams: 4,
            best: 4,
            ..TranslateSettings::default()
        },
        forced,
        trace: true,
        ..TranslateRequest::default()
    };
    let mut sentences = Vec::new();
    let mut emit = |event| {
        if let Event::Sentence { sentence, .. } = event {
            sentences.push(sentence);
        }
    };
    futures::executor::block_on(async {
        let load = engine.load(&files, "", None, cpu, exact, 2048, &mut quiet, &cancel);
        load.await.unwrap();
        let done = engine.translate(&request, &mut emit, &cancel);
        done.await.unwrap()
    });
    sentences
}

impl Journey {
    /// The translation as it stands there, in full.
    fn translation(&mut self) -> String {
        self.string("document.querySelector('[data-testid=translate-output]')?.textContent ?? ''")
    }

    /// Waits until the text that stands there is translated.
    fn translated(&mut self, limit: Duration) {
        self.wait(
            "!document.querySelector('[data-testid=translate-recorded]') \
             && document.querySelector('.dated').dataset.stale === 'false' \
             && /words\\/s/.test(document.querySelector('[data-testid=translate-status]').innerText)",
            limit,
        );
    }

    fn values(&mut self, testid: &str, value: &str) -> Vec<f64> {
        let script = format!(
            "[...document.querySelectorAll('[data-testid={testid}]')].map(e => Number(e.dataset.{value}))"
        );
        let found = self.page.evaluate(&script).unwrap();
        let all = found.as_array().unwrap().iter();
        all.filter_map(Value::as_f64).collect()
    }

    fn assert_tree(&mut self, sentence: &TranslatedSentence) {
        let scores = self.values("beam-node", "score");
        let expected: Vec<f64> = sentence.tree.iter().map(|node| node.score).collect();
        assert_close(&scores, &expected, 1e-4);
    }

    fn assert_alignment(&mut self, alignment: &[Vec<f32>]) {
        let shown = self.values("alignment-cell", "weight");
        let expected: Vec<f64> = alignment.iter().flatten().map(|&w| w.into()).collect();
        assert_close(&shown, &expected, 1e-4);
    }

    fn choose_value(&mut self, testid: &str, value: &str) {
        let script = format!(
            "(s => {{ s.value = '{value}'; s.dispatchEvent(new Event('change', {{bubbles: true}})) }})\
             (document.querySelector('[data-testid={testid}]'))"
        );
        self.page.evaluate(&script).unwrap();
    }
}

fn assert_close(shown: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(shown.len(), expected.len());
    for (shown, expected) in shown.iter().zip(expected) {
        assert!((shown - expected).abs() < tolerance, "{shown} {expected}");
    }
}

#[test]
fn a_sentence_is_translated_with_the_engines_own_numbers() {
    let name = "a_sentence_is_translated_with_the_engines_own_numbers";
    let Some(mut journey) = Journey::begin(name, "tab=translate") else {
        return;
    };
    // Something true is on screen before any weights are there.
    journey.wait(
        "document.querySelector('[data-testid=translate-recorded]')",
        SHORT,
    );
    let recorded = "[...document.querySelectorAll('[data-testid=translate-recorded-text]')].map(e => e.textContent).join('|')";
    assert_eq!(journey.string(recorded), format!("{OPENING}|{TRANSLATED}"));
    assert_eq!(journey.values("beam-node", "score"), Vec::<f64>::new());
    let button = journey.page.text("translate-run").unwrap();
    assert!(button.contains("22.4 MB"), "{button}");
    journey.picture("translate-recorded");
    // Choosing in the recorded tree downloads nothing, and says what to do first.
    let press = "document.querySelector('[data-testid=recorded-beam-node]').dispatchEvent(new MouseEvent('click', {bubbles: true}))";
    journey.page.evaluate(press).unwrap();
    let hint = journey.page.text("beam-hint").unwrap();
    assert!(hint.contains("press Run, then choose"), "{hint}");
    let state = journey.page.text("model-state").unwrap();
    assert_eq!(state, "not loaded");

    journey.page.click("translate-run").unwrap();
    journey.translated(LONG);
    assert_eq!(journey.translation(), TRANSLATED);
    let expected = natively(&journey, "enpt", OPENING, None).remove(0);
    assert_eq!(expected.alternatives[0].target, TRANSLATED);
    journey.assert_tree(&expected);
    journey.assert_alignment(&expected.alternatives[0].alignment);
    journey.picture("translate");

    // A word lights up what it came from, and back.
    let word = |side: &str, word: usize| {
        format!("document.querySelector('.column[data-side={side}] [data-word=\"{word}\"]')")
    };
    let over = |element: &str| {
        format!("{element}.dispatchEvent(new MouseEvent('mouseover', {{bubbles: true}}))")
    };
    journey.page.evaluate(&over(&word("target", 5))).unwrap();
    journey.wait(&format!("{}.dataset.lit > 0.9", word("source", 5)), SHORT);
    journey.page.evaluate(&over(&word("source", 1))).unwrap();
    journey.wait(&format!("{}.dataset.lit > 0.9", word("target", 1)), SHORT);
    let heading = journey.page.text("lens-heading").unwrap();
    assert_eq!(heading, "bank");
    // Kept in the lens, until the sentence is translated otherwise.
    let kept = "document.querySelector('[data-testid=lens]').dataset.locked";
    let keep = format!("{}.click()", word("target", 1));
    journey.page.evaluate(&keep).unwrap();
    journey.wait(&format!("{kept} === 'true'"), SHORT);

    // Steps go back and on again.
    let hidden = "document.querySelectorAll('.beam-node[data-hidden]').length";
    assert_eq!(journey.page.evaluate(hidden).unwrap(), 0);
    journey.page.click("beam-back").unwrap();
    journey.wait(&format!("{hidden} > 0"), SHORT);
    journey.page.click("beam-on").unwrap();
    journey.wait(&format!("{hidden} === 0"), SHORT);

    // Another of the translations is chosen, with its own alignment.
    let second = expected.alternatives[1].clone();
    let press = "document.querySelectorAll('[data-testid=translate-alternative]')[1].click()";
    journey.page.evaluate(press).unwrap();
    journey.wait(
        &format!(
            "document.querySelector('[data-testid=translate-output]').textContent === {:?}",
            second.target
        ),
        SHORT,
    );
    journey.assert_alignment(&second.alignment);
    // Another head of the same translation is asked for.
    journey.choose_value("translate-head", "0,1");
    let first = "Number(document.querySelector('[data-testid=alignment-cell]').dataset.weight)";
    journey.wait(
        &format!("Math.abs({first} - {}) > 1e-4", second.alignment[0][0]),
        LONG,
    );

    // A beginning that the search had pruned or left behind is forced.
    let node = expected.tree.iter().zip(&expected.texts);
    let (node, _) = node
        .filter(|(node, text)| node.parent.is_none() && text.trim() != "A")
        .map(|(node, text)| (node.clone(), text))
        .next()
        .unwrap();
    let chosen = format!(
        "document.querySelector('[data-testid=beam-node][data-step=\"0\"][data-id=\"{}\"]')",
        node.id
    );
    journey.page.evaluate(&format!("{chosen}.focus()")).unwrap();
    journey.page.evaluate(&keep).unwrap();
    journey.wait(&format!("{kept} === 'true'"), SHORT);
    journey.page.evaluate(&format!("{chosen}.focus()")).unwrap();
    journey.page.press("Enter").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=translate-forced]')",
        LONG,
    );
    let forced = ForcedStart {
        sentence: 0,
        ids: vec![node.id],
    };
    let forced = natively(&journey, "enpt", OPENING, Some(forced)).remove(0);
    assert_eq!(journey.translation(), forced.alternatives[0].target);
    journey.assert_tree(&forced);
    journey.picture("translate-forced");
    // What was kept of the translation before is let go; the keyboard is where it was, in the new tree.
    assert_eq!(journey.string(kept), "false");
    journey.wait(
        &format!(
            "document.activeElement.matches('.beam-node') && {chosen} === document.activeElement"
        ),
        SHORT,
    );
    journey.page.click("translate-unforce").unwrap();
    journey.wait(
        "!document.querySelector('[data-testid=translate-forced]')",
        SHORT,
    );
    assert_eq!(journey.translation(), TRANSLATED);
    journey.expect_quiet();
}

#[test]
fn texts_keep_their_lines_and_languages_swap() {
    let name = "texts_keep_their_lines_and_languages_swap";
    let Some(mut journey) = Journey::begin(name, "tab=translate&from=pt&to=en") else {
        return;
    };
    let text = "O banco fica junto ao rio.\n\n- Chegou tarde.\n2. Ninguém sabe porquê.\n";
    journey.page.paste("translate-input", text).unwrap();
    let button = journey.page.text("translate-run").unwrap();
    assert!(button.contains("23.0 MB"), "{button}");
    journey.page.click("translate-run").unwrap();
    journey.translated(LONG);
    let expected = natively(&journey, "pten", text, None);
    let joined: String = expected
        .iter()
        .map(|s| format!("{}{}", s.before, s.alternatives[0].target))
        .collect();
    assert_eq!(journey.translation(), format!("{joined}\n"));
    assert_eq!(joined.matches('\n').count(), 3);
    journey.page.click("translate-next").unwrap();
    journey.assert_tree(&expected[1]);
    journey.picture("translate-lines");

    // The link brings it all back, in its direction.
    journey.wait("location.hash.includes('from=pt')", SHORT);
    let fragment = journey
        .string("location.hash")
        .trim_start_matches('#')
        .to_owned();
    journey.open(&(fragment + "&run=1&beams=2&shortlist=off"));
    journey.translated(LONG);
    let input = "document.querySelector('[data-testid=translate-input]').value";
    assert_eq!(journey.string(input), text);
    assert_eq!(
        journey.string("document.querySelector('[data-testid=translate-beams]').value"),
        "2"
    );
    let nodes = journey.values("beam-node", "step");
    assert!(nodes.iter().filter(|step| **step == 0.0).count() == 4);

    // Swapped, the text stays; the other model is another download.
    journey.page.click("translate-swap").unwrap();
    assert_eq!(journey.string(input), text);
    journey.wait(
        "document.querySelector('[data-testid=translate-run]').innerText.includes('22.4 MB')",
        SHORT,
    );
    journey.page.paste("translate-input", OPENING).unwrap();
    journey.page.click("translate-run").unwrap();
    journey.translated(LONG);
    assert_eq!(journey.translation(), TRANSLATED);
    // Back: it is here already, and what is typed is translated by itself.
    journey.page.click("translate-swap").unwrap();
    journey.page.paste("translate-input", "Bom dia!").unwrap();
    journey.translated(LONG);
    let expected = natively(&journey, "pten", "Bom dia!", None).remove(0);
    // With two beams it may be said otherwise; it is English in any case.
    assert!(!journey.translation().is_empty() && journey.translation() != "Bom dia!");
    assert!(!expected.alternatives[0].target.is_empty());
    journey.expect_quiet();
}

#[test]
fn long_texts_stream_and_stop_and_nothing_typed_is_lost() {
    let name = "long_texts_stream_and_stop_and_nothing_typed_is_lost";
    let Some(mut journey) = Journey::begin(name, "tab=translate&beams=1") else {
        return;
    };
    journey.page.click("translate-run").unwrap();
    journey.translated(LONG);
    let sentence = "The committee met again in the old town hall on Tuesday morning.\n";
    let long = sentence.repeat(10_000 / 12 + 1);
    journey.page.paste("translate-input", &long).unwrap();
    journey.wait(
        "document.querySelectorAll('[data-testid=translate-output] .sentence').length > 12",
        LONG,
    );
    let progress = "document.querySelector('[data-testid=translate-progress]')";
    journey.wait(
        &format!("!{progress}.hidden && {progress}.value > 0"),
        SHORT,
    );
    // Nothing that is asked of one sentence ends the translation of the others.
    let sentences = "document.querySelectorAll('[data-testid=translate-output] .sentence').length";
    let before = journey.page.evaluate(sentences).unwrap();
    journey.choose_value("translate-head", "0,1");
    journey.wait(&format!("{sentences} > {before} + 8"), LONG);
    journey.page.click("translate-stop").unwrap();
    journey.wait(
        "/^stopped after/.test(document.querySelector('[data-testid=translate-status]').innerText)",
        SHORT,
    );
    journey.picture("translate-long");
    let input = "document.querySelector('[data-testid=translate-input]').value";
    assert_eq!(journey.string(input), long);
    // Another long text, stopped after some sentences: none of the one before stands behind them.
    let other = "A ship was seen from the harbour on Friday evening.\n".repeat(900);
    journey.page.paste("translate-input", &other).unwrap();
    let status = "document.querySelector('[data-testid=translate-status]').innerText";
    journey.wait(&format!("/^translating · /.test({status})"), LONG);
    journey.page.click("translate-stop").unwrap();
    journey.wait(&format!("/^stopped after/.test({status})"), SHORT);
    let shown = journey.page.evaluate(sentences).unwrap();
    let said = journey.string(status);
    assert!(said.contains(&format!("after {shown} sentence")), "{said}");
    // A sentence of a long text shows its tree when it is looked at.
    journey.page.click("translate-next").unwrap();
    journey.wait("document.querySelector('[data-testid=beam-node]')", LONG);

    // What cannot be translated is one sentence; what can is, whatever it is.
    let error = "document.querySelector('[data-testid=translate-error] p')?.innerText";
    journey.page.paste("translate-input", "?! … —").unwrap();
    journey.wait(&format!("{error}?.includes('nothing to translate')"), LONG);
    assert_eq!(journey.string(input), "?! … —");
    journey.picture("translate-error");
    journey.page.paste("translate-input", "   ").unwrap();
    journey.page.click("translate-run").unwrap();
    journey.wait(&format!("{error}?.includes('nothing to translate')"), LONG);
    for text in [
        "<b>Bold</b> words &amp; more",
        "I like 🦀 and 🙂.",
        "Das ist ein deutscher Satz.",
        "a\u{1}b \u{7} c",
    ] {
        journey.page.paste("translate-input", text).unwrap();
        journey.translated(LONG);
        assert!(!journey.translation().is_empty(), "{text}");
        assert_eq!(journey.string(input), text);
    }
    let bold = journey.string("String(document.querySelector('[data-testid=translate-output] b'))");
    assert_eq!(bold, "null");
    let endless = "word ".repeat(5000);
    journey.page.paste("translate-input", &endless).unwrap();
    journey.wait(
        "document.querySelectorAll('[data-testid=translate-output] .sentence').length > 2",
        LONG,
    );
    journey.page.click("translate-stop").unwrap();
    // A link that is wrong falls back, and says so.
    journey.open("tab=translate&beams=99&from=xx&to=pt");
    journey.wait(
        "[...document.querySelectorAll('.notices li')].length === 2",
        SHORT,
    );
    assert_eq!(
        journey.string("document.querySelector('[data-testid=translate-beams]').value"),
        "4"
    );
    journey.expect_quiet();
}

#[test]
fn the_gpu_translates_as_the_cpu_does() {
    let name = "the_gpu_translates_as_the_cpu_does";
    let fragment = "tab=translate&backend=webgpu&precision=exact";
    let Some(mut journey) = Journey::begin_gpu(name, fragment) else {
        return;
    };
    journey.page.click("translate-run").unwrap();
    journey.translated(SLOW);
    let badge = "(b => b.dataset.backend + ' ' + b.dataset.precision)\
                 (document.querySelector('[data-testid=backend-badge]'))";
    assert_eq!(journey.string(badge), "webgpu exact");
    assert_eq!(journey.translation(), TRANSLATED);
    let expected = natively(&journey, "enpt", OPENING, None).remove(0);
    journey.assert_tree(&expected);
    journey.assert_alignment(&expected.alternatives[0].alignment);

    // The other direction is another model on the same device.
    journey.page.click("translate-swap").unwrap();
    let text = "O banco fica junto ao rio.";
    journey.page.paste("translate-input", text).unwrap();
    journey.page.click("translate-run").unwrap();
    journey.translated(SLOW);
    let expected = natively(&journey, "pten", text, None).remove(0);
    assert_eq!(journey.translation(), expected.alternatives[0].target);
    journey.expect_quiet();
}

#[test]
fn the_encoder_and_the_decoder_are_looked_at() {
    let name = "the_encoder_and_the_decoder_are_looked_at";
    let fragment = "tab=attention&model=enpt&backend=cpu&layer=1&head=0";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    journey.page.fill("attention-input", OPENING).unwrap();
    journey.page.click("attention-run").unwrap();
    let tokens = "document.querySelectorAll('[data-testid=attention-tokens] li').length";
    journey.wait(&format!("{tokens} === 8"), LONG);
    // The encoder at "bank": a row of weights that sum to one.
    let row = |from: usize| {
        format!(
            "[...document.querySelectorAll('[data-testid=attention-cell][data-from=\"{from}\"]')]\
             .map(c => Number(c.dataset.weight))"
        )
    };
    journey.wait(&format!("{}.length === 8", row(1)), LONG);
    let sum = format!("{}.reduce((a, b) => a + b, 0)", row(1));
    let sum = journey.page.evaluate(&sum).unwrap().as_f64().unwrap();
    assert!((sum - 1.0).abs() < 1e-3, "{sum}");
    journey.picture("attention-encoder");

    // The decoder over the source: "margem" reads "bank", as the alignment says.
    journey.choose_value("attention-stack", "cross");
    journey.wait(&format!("{tokens} === 16"), LONG);
    journey.wait("location.hash.includes('stack=cross')", SHORT);
    let link = "tab=attention&model=enpt&backend=cpu&stack=cross&layer=1&head=0&run=1&text=";
    journey.open(&format!("{link}{}", OPENING.replace(' ', "%20")));
    let expected = natively(&journey, "enpt", OPENING, None).remove(0);
    let expected = f64::from(expected.alternatives[0].alignment[1][1]);
    let cell = "document.querySelector('[data-testid=attention-cell][data-layer=\"1\"][data-from=\"1\"][data-to=\"9\"]')";
    journey.wait(
        &format!("Math.abs(Number({cell}?.dataset.weight) - {expected}) < 1e-3"),
        LONG,
    );
    // What the translation does not read has no numbers.
    let cells = journey.values("attention-cell", "weight");
    assert_eq!(cells.len(), 64);
    journey.picture("attention-cross");
    journey.expect_quiet();
}
