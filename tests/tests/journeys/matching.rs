//! The Match tab: its numbers are the engine's, on both backends, and bad pictures are told one by one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use glassformer_engine::images::decode;
use glassformer_engine::protocol::{BackendChoice, PrecisionChoice};
use glassformer_engine::tasks::matching::cosine;
use glassformer_engine::{Cancel, Engine, Files, PathSource, registry};
use glassformer_tests::TempDir;
use glassformer_tests::server::Fault;

use super::{Journey, LONG, SHORT};

/// Long enough for the software adapter, beside other journeys.
const SLOW: Duration = Duration::from_secs(300);

const SAMPLES: [&str; 8] = [
    "dog", "cat", "sailboat", "bicycle", "guitar", "coffee", "mushroom", "rocket",
];
const TEXTS: [&str; 8] = [
    "dog",
    "cat",
    "sailboat",
    "bicycle",
    "guitar",
    "hot drink",
    "mushroom",
    "rocket",
];

/// Of a cosine, between the browser's decoder and kernels and those here.
const TOLERANCE: f64 = 2e-3;

fn project() -> PathBuf {
    PathBuf::from("..").canonicalize().unwrap()
}

/// What the same engine computes natively on the CPU, in `exact`: rows are the samples.
fn natively(journey: &Journey, texts: &[&str]) -> Vec<Vec<f32>> {
    let file = &registry::find("mini-clip").unwrap().files[0];
    let path = journey.prepared.models.join(&file.path);
    let files = Files::new(vec![Box::new(PathSource::new(path).unwrap())]).unwrap();
    let mut engine = Engine::new();
    let (mut quiet, cancel) = (|_, _, _| {}, Cancel::default());
    let (cpu, exact) = (BackendChoice::Cpu, PrecisionChoice::Exact);
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    futures::executor::block_on(async {
        let load = engine.load(&files, "", None, cpu, exact, 512, &mut quiet, &cancel);
        load.await.unwrap();
        let preprocessing = engine.preprocessing().unwrap();
        let seen = SAMPLES.map(|name| {
            let path = project().join(format!("web/assets/samples/{name}.png"));
            let picture = decode(name, &std::fs::read(path).unwrap()).unwrap();
            picture.seen(&preprocessing)
        });
        let images = engine.see(&seen, &mut |_| {}, &cancel).await.unwrap();
        let read = engine
            .read_texts(&texts, &mut |_| {}, &cancel)
            .await
            .unwrap();
        let row = |image: &Vec<f32>| {
            let texts = read.texts.iter();
            texts.map(|text| cosine(image, &text.embedding)).collect()
        };
        images.iter().map(row).collect()
    })
}

impl Journey {
    /// Picture, text and cosine of every cell.
    fn match_cells(&mut self, testid: &str) -> Vec<(String, String, f64)> {
        let script = format!(
            "[...document.querySelectorAll('[data-testid={testid}]')]\
             .map(c => [c.dataset.image, c.dataset.text, Number(c.dataset.score)])"
        );
        let found = self.page.evaluate(&script).unwrap();
        let one = |c: &serde_json::Value| {
            Some((
                c[0].as_str()?.to_owned(),
                c[1].as_str()?.to_owned(),
                c[2].as_f64()?,
            ))
        };
        found.as_array().unwrap().iter().filter_map(one).collect()
    }

    fn matched(&mut self, cells: usize, limit: Duration) {
        self.wait(
            &format!(
                "document.querySelectorAll('[data-testid=match-cell]').length === {cells} \
                 && /ms|\\bs$/.test(document.querySelector('[data-testid=match-status]').innerText)"
            ),
            limit,
        );
    }

    fn assert_scores(&mut self, testid: &str, expected: &[Vec<f32>], texts: &[&str]) {
        let cells = self.match_cells(testid);
        assert_eq!(cells.len(), expected.len() * texts.len());
        for (k, (image, text, score)) in cells.iter().enumerate() {
            let (i, j) = (k / texts.len(), k % texts.len());
            assert_eq!(
                (image.as_str(), text.as_str()),
                (&*format!("{}.png", SAMPLES[i]), texts[j])
            );
            let own = f64::from(expected[i][j]);
            assert!(
                (score - own).abs() < TOLERANCE,
                "{image}, {text}: {score} {own}"
            );
        }
    }

    /// Clicks the cell of a picture and a text.
    fn click_cell(&mut self, image: &str, text: &str) {
        let script = format!(
            "[...document.querySelectorAll('[data-testid=match-cell]')]\
             .find(c => c.dataset.image === '{image}' && c.dataset.text === '{text}').click()"
        );
        self.page.evaluate(&script).unwrap();
    }
}

#[test]
fn the_grid_has_the_engines_own_numbers() {
    let name = "the_grid_has_the_engines_own_numbers";
    let Some(mut journey) = Journey::begin(name, "tab=match&precision=exact&backend=cpu") else {
        return;
    };
    // Something true is on screen before any weights are there.
    journey.wait(
        "document.querySelector('[data-testid=match-recorded]')",
        SHORT,
    );
    let expected = natively(&journey, &TEXTS);
    journey.assert_scores("recorded-cell", &expected, &TEXTS);
    assert_eq!(journey.match_cells("match-cell"), []);
    let button = journey.page.text("match-run").unwrap();
    assert!(button.contains("MB"), "{button}");
    journey.picture("match-recorded");

    journey.page.click("match-input").unwrap();
    journey.page.press("Control+Enter").unwrap();
    journey.matched(64, LONG);
    journey.assert_scores("match-cell", &expected, &TEXTS);
    // The default model knows its samples.
    for (i, row) in expected.iter().enumerate() {
        let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        if best != Some(i) {
            println!("{} is taken for {}", SAMPLES[i], TEXTS[best.unwrap()]);
        }
    }

    // One text changed: the others keep their numbers, and only it is read.
    let before = journey.match_cells("match-cell");
    let changed: Vec<&str> = TEXTS
        .iter()
        .map(|t| if *t == "hot drink" { "cup of tea" } else { t })
        .collect();
    journey
        .page
        .paste("match-input", &changed.join("\n"))
        .unwrap();
    journey.wait(
        "[...document.querySelectorAll('[data-testid=match-cell]')].filter(c => c.dataset.text === 'cup of tea').length === 8",
        LONG,
    );
    let status = journey.page.text("match-status").unwrap();
    assert!(
        status.contains("1 text") && !status.contains("picture"),
        "{status}"
    );
    for (old, new) in before.iter().zip(journey.match_cells("match-cell")) {
        assert!(new.1 == "cup of tea" || *old == new);
    }

    // Shares of a row sum to one, and are marked as derived.
    let choose = "(s => { s.value = 'texts'; s.dispatchEvent(new Event('change', {bubbles: true})) })\
                  (document.querySelector('[data-testid=match-softmax]'))";
    journey.page.evaluate(choose).unwrap();
    journey.wait(
        "document.querySelector('[data-testid=match-cell][data-derived=softmax]')",
        SHORT,
    );
    journey.wait("location.hash.includes('softmax=texts')", SHORT);

    // Why: parts of the picture, words of the text, and the test of both.
    journey.click_cell("dog.png", "dog");
    journey.wait("document.querySelector('[data-testid=match-why]')", LONG);
    let sum = "[...document.querySelectorAll('[data-testid=match-occlusion] [data-value]')].length";
    let parts = journey.page.evaluate(sum).unwrap();
    assert_eq!(parts.as_u64(), Some(36));
    let rollout = "[...document.querySelectorAll('[data-testid=match-rollout] [data-value]')]\
                   .reduce((sum, p) => sum + Number(p.dataset.value), 0)";
    let rollout = journey.page.evaluate(rollout).unwrap().as_f64().unwrap();
    assert!(rollout > 0.1 && rollout <= 1.00001, "{rollout}");
    journey.picture("match-why");

    // The texts ranked for one picture.
    journey.page.press("Escape").unwrap();
    journey.page.click("match-picture").unwrap();
    journey.wait(
        "document.querySelectorAll('[data-testid=match-label]').length === 8",
        SHORT,
    );
    let first = journey.string("document.querySelector('[data-testid=match-label]').dataset.text");
    assert_eq!(first, "dog");
    journey.picture("match-ranked");

    // A cell that is kept is let go when its column becomes another text's.
    journey.click_cell("cat.png", "cat");
    journey.wait(
        "document.querySelector('.lens').dataset.locked === 'true'",
        SHORT,
    );
    journey
        .page
        .paste("match-input", &changed[1..].join("\n"))
        .unwrap();
    journey.wait(
        "document.querySelector('.lens').dataset.locked === 'false'",
        SHORT,
    );

    // Without the first picture Tab still goes to a cell, and the keyboard stays in the grid.
    let remove = "(remove => { remove.focus(); remove.click() })\
                  (document.querySelector('.match-remove'))";
    journey.page.evaluate(remove).unwrap();
    journey.wait(
        "document.querySelectorAll('.match-cell').length === 7 * 7 \
         && document.activeElement.title === 'Remove cat.png'",
        SHORT,
    );
    let entries = "[...document.querySelectorAll('.match-cell[tabindex=\"0\"]')]\
                   .map(cell => cell.dataset.image + ' ' + cell.dataset.at).join()";
    assert_eq!(journey.string(entries), "cat.png 0,0");
    journey.expect_quiet();
}

#[test]
fn the_grid_on_webgpu() {
    let name = "the_grid_on_webgpu";
    let fragment = "tab=match&backend=webgpu&precision=exact";
    let Some(mut journey) = Journey::begin_gpu(name, fragment) else {
        return;
    };
    journey.page.click("match-run").unwrap();
    journey.matched(64, SLOW);
    let badge =
        journey.string("document.querySelector('[data-testid=backend-badge]').dataset.backend");
    assert_eq!(badge, "webgpu");
    let expected = natively(&journey, &TEXTS);
    journey.assert_scores("match-cell", &expected, &TEXTS);
    journey.click_cell("cat.png", "cat");
    journey.wait("document.querySelector('[data-testid=match-why]')", SLOW);
    journey.expect_quiet();
}

#[test]
fn bad_pictures_get_one_sentence_each_and_the_others_stay() {
    let name = "bad_pictures_get_one_sentence_each_and_the_others_stay";
    let Some(mut journey) = Journey::begin(name, "tab=match&backend=cpu&text=a%20dog%0Aa%20cat")
    else {
        return;
    };
    let folder = TempDir::new("bad-pictures").unwrap();
    // Chromium opens no file by a path with `..` in it.
    let golden = project()
        .join("tests/golden/images")
        .canonicalize()
        .unwrap();
    let whole = std::fs::read(golden.join("odd-sides.png")).unwrap();
    // A PNG's width and height stand behind its first sixteen bytes.
    let sized = |width: u32, height: u32| {
        let mut bytes = whole.clone();
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        bytes
    };
    let cases = [
        ("notes.png", b"this is text".to_vec(), "not a picture"),
        (
            "cut.png",
            whole[..whole.len() / 2].to_vec(),
            "ends in the middle",
        ),
        ("dot.png", sized(1, 1), "1 × 1"),
        ("line.png", sized(30_000, 2), "30000 × 2"),
        ("huge.png", sized(12_000, 9_000), "50 million"),
    ];
    let mut files: Vec<PathBuf> = Vec::new();
    for (file, bytes, _) in &cases {
        let path = folder.path().join(file);
        std::fs::write(&path, bytes).unwrap();
        files.push(path);
    }
    for file in [
        "animated.gif",
        "cmyk.jpg",
        "turned.jpg",
        "alpha.png",
        "sixteen-bits.png",
        "lossy.webp",
    ] {
        files.push(golden.join(file));
    }
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    // They come while the model is on its way, which it stays.
    let slow = Fault {
        bytes_per_second: Some(12_000_000),
        ..Fault::default()
    };
    let weights = &registry::find("mini-clip").unwrap().files[0].path;
    journey
        .server
        .set_fault(&format!("/models/{weights}"), slow);
    journey.page.click("match-run").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=model-progress]')?.getAttribute('value') > 0",
        LONG,
    );
    journey.page.choose_files("match-files", &files).unwrap();
    journey.matched(6 * 2, LONG);
    let said =
        "[...document.querySelectorAll('[data-testid=match-refused]')].map(c => c.innerText)";
    let said = journey.page.evaluate(said).unwrap();
    let said: Vec<&str> = said
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|s| s.as_str())
        .collect();
    assert_eq!(said.len(), cases.len(), "{said:?}");
    for ((file, _, part), sentence) in cases.iter().zip(&said) {
        assert!(
            sentence.contains(file) && sentence.contains(part),
            "{sentence}"
        );
        assert!(
            sentence.ends_with('.') && !sentence.contains('\n'),
            "{sentence}"
        );
    }
    journey.picture("match-bad-pictures");

    // What is kept of a cell follows the pictures that come.
    let choose = "(s => { s.value = 'pictures'; s.dispatchEvent(new Event('change', {bubbles: true})) })\
                  (document.querySelector('[data-testid=match-softmax]'))";
    journey.page.evaluate(choose).unwrap();
    journey.wait("document.querySelector('.match-cell[data-derived]')", SHORT);
    journey.click_cell("animated.gif", "a dog");
    journey.wait("document.querySelector('[data-testid=match-why]')", LONG);

    // Dropped pictures join; an empty field and too many texts are told.
    journey
        .page
        .drop_files("match-output", &[&golden.join("wide.png")])
        .unwrap();
    journey.matched(7 * 2, LONG);
    journey.wait(
        "[...document.querySelectorAll('.lens .fact .value')].at(-1).innerText \
         === document.querySelector('.match-cell[data-locked]').title",
        SHORT,
    );
    let many: Vec<String> = (0..200).map(|i| format!("thing {i}")).collect();
    journey.page.paste("match-input", &many.join("\n")).unwrap();
    journey.wait(
        "document.querySelector('[data-testid=match-count]').innerText.includes('first 100')",
        SHORT,
    );
    journey.matched(7 * 100, LONG);
    journey.page.paste("match-input", " ").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=match-count]').innerText.includes('No text')",
        SHORT,
    );
    journey.expect_quiet();
}
