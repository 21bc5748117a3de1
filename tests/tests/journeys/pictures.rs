//! Pictures in the Attention tab, and models that see opened from disk.

use std::path::{Path, PathBuf};

use futures::executor::block_on;
use glassformer_engine::images::decode;
use glassformer_engine::protocol::attention::{AttentionSummary, MapOf};
use glassformer_engine::protocol::{BackendChoice, PrecisionChoice};
use glassformer_engine::tasks::matching::cosine;
use glassformer_engine::{Cancel, Engine, Files, PathSource, Source};
use glassformer_tests::TempDir;

use super::{Journey, LONG, SHORT};

/// Of a weight or a cosine, between the browser's decoder and kernels and those here.
const TOLERANCE: f64 = 2e-3;

fn golden(path: &str) -> PathBuf {
    let path = Path::new("golden").join(path);
    // Chromium opens no file by a path with `..` in it, or a relative one.
    path.canonicalize().unwrap()
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!("../web/assets/samples/{name}.png")).unwrap()
}

/// The same engine here, with a model of these files.
fn engine(files: &[PathBuf]) -> Engine {
    let source = |path: &PathBuf| -> Box<dyn Source> { Box::new(PathSource::new(path).unwrap()) };
    let files = Files::new(files.iter().map(source).collect()).unwrap();
    let mut engine = Engine::new();
    let (mut quiet, cancel) = (|_, _, _| {}, Cancel::default());
    let (cpu, exact) = (BackendChoice::Cpu, PrecisionChoice::Exact);
    block_on(engine.load(&files, "", None, cpu, exact, 512, &mut quiet, &cancel)).unwrap();
    engine
}

fn looked(engine: &mut Engine, picture: &[u8]) -> AttentionSummary {
    let preprocessing = engine.preprocessing().unwrap();
    let seen = decode("picture", picture).unwrap().seen(&preprocessing);
    block_on(engine.attend_picture(1, &seen, &mut |_| {}, &Cancel::default())).unwrap()
}

/// A folder with a tiny checkpoint that sees, what prepares its pictures, and a tokenizer of whole words
/// if it reads.
fn folder(model: &str, side: u32, reads: bool) -> (TempDir, Vec<PathBuf>) {
    let folder = TempDir::new("seeing-folder").unwrap();
    let mut names = vec![
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ];
    for file in &names[..2] {
        let from = golden(&format!("vision/{model}/{file}"));
        std::fs::copy(from, folder.path().join(file)).unwrap();
    }
    let preprocessor = serde_json::json!({
        "image_processor_type": "ViTImageProcessor",
        "do_resize": true, "size": {"height": side, "width": side}, "resample": 3,
        "do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    });
    std::fs::write(folder.path().join(names[2]), preprocessor.to_string()).unwrap();
    if reads {
        names.push("tokenizer.json");
        let words = ["[UNK]", "a", "dog", "cat", "sailboat", "photo", "of"];
        let mut vocab: serde_json::Map<String, serde_json::Value> = (0..)
            .zip(words)
            .map(|(id, word)| (word.into(), id.into()))
            .collect();
        vocab.insert("<|startoftext|>".into(), 48.into());
        vocab.insert("<|endoftext|>".into(), 49.into());
        let special = |id: u32, text: &str| {
            serde_json::json!({
                "id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            })
        };
        let piece = |id: &str| serde_json::json!({"SpecialToken": {"id": id, "type_id": 0}});
        let named =
            |id: u32, text: &str| serde_json::json!({"id": text, "ids": [id], "tokens": [text]});
        let (begin, end) = ("<|startoftext|>", "<|endoftext|>");
        let text = serde_json::json!({"Sequence": {"id": "A", "type_id": 0}});
        let tokenizer = serde_json::json!({
            "version": "1.0",
            "added_tokens": [special(48, begin), special(49, end)],
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [piece(begin), text, piece(end)],
                "pair": [piece(begin), text, piece(end)],
                "special_tokens": {begin: named(48, begin), end: named(49, end)},
            },
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"},
        });
        std::fs::write(folder.path().join(names[3]), tokenizer.to_string()).unwrap();
    }
    let files = names.iter().map(|name| folder.path().join(name)).collect();
    (folder, files)
}

impl Journey {
    fn pictured(&mut self, places: usize) {
        let done = format!(
            "document.querySelector('[data-testid=attention-status]').textContent.startsWith('{places} places')"
        );
        self.wait(&done, LONG);
        self.wait(
            "!document.querySelector('[data-testid=attention-recorded]') && \
             document.querySelector('[data-testid=attention-cell]')",
            LONG,
        );
    }

    /// The table's weights beside the engine's own here, of whatever head is shown.
    fn assert_map(&mut self, engine: &mut Engine, n: usize) {
        let script = "[...document.querySelectorAll('[data-testid=attention-cell]')].map(c => \
            [c.dataset.layer, c.dataset.head, c.dataset.from, c.dataset.to, c.dataset.weight].map(Number))";
        let cells = self.page.evaluate(script).unwrap();
        let cells = cells.as_array().unwrap();
        assert_eq!(cells.len(), n * n);
        let number = |cell: &serde_json::Value, i: usize| cell[i].as_f64().unwrap();
        let [layer, head] = [0, 1].map(|i| number(&cells[0], i) as u32);
        let map = block_on(engine.attention_map(1, MapOf::Head { layer, head })).unwrap();
        for cell in cells {
            let (from, to) = (number(cell, 2) as usize, number(cell, 3) as usize);
            let (theirs, ours) = (number(cell, 4), f64::from(map[from * n + to]));
            assert!(
                (theirs - ours).abs() < TOLERANCE,
                "{from} → {to}: {theirs} {ours}"
            );
        }
    }

    fn place(&mut self) -> String {
        self.page.text("attention-place").unwrap()
    }

    /// Gives a picture to the page as if it was pasted.
    fn paste_picture(&mut self, bytes: &[u8]) {
        let script = format!(
            "(() => {{ const data = new DataTransfer(); \
             data.items.add(new File([new Uint8Array({bytes:?})], 'pasted.png', {{type: 'image/png'}})); \
             document.body.dispatchEvent(new ClipboardEvent('paste', {{clipboardData: data, bubbles: true, cancelable: true}})) }})()"
        );
        self.page.evaluate(&script).unwrap();
    }
}

#[test]
fn heads_over_a_picture_are_the_engines_own() {
    let name = "heads_over_a_picture_are_the_engines_own";
    let fragment = "tab=attention&model=mini-clip&backend=cpu&precision=exact&picture=cat";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    journey.wait(
        "document.querySelectorAll('[data-testid=attention-sample]').length === 8",
        SHORT,
    );
    let pressed =
        "document.querySelector('[data-testid=attention-sample][aria-pressed=true]').dataset.name";
    assert_eq!(journey.string(pressed), "cat");
    journey.page.click("attention-run").unwrap();
    journey.pictured(37);
    let mut here = engine(&[journey
        .prepared
        .models
        .join("mini-clip/mini-clip.Q8_0.gguf")]);
    looked(&mut here, &sample("cat"));
    journey.assert_map(&mut here, 37);

    // What the class token looks at is there at once; a patch says so once it is pointed at.
    assert!(journey.place().starts_with("The class token reads"));
    journey.page.hover("attention-picture").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=attention-place]').textContent.startsWith('Row ')",
        SHORT,
    );
    // A tap keeps it, and the lens has every number of its strongest weight.
    journey.page.click("attention-picture").unwrap();
    journey.wait("document.querySelector('[data-testid=cell-weight]')", LONG);
    journey.picture("attention-patch");
    // Arrows move on from there, Home is the class token.
    let before = journey.place();
    journey.page.press("ArrowRight").unwrap();
    journey.wait(
        &format!(
            "document.querySelector('[data-testid=attention-place]').textContent !== {before:?}"
        ),
        SHORT,
    );
    journey.page.press("Home").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=attention-place]').textContent.startsWith('The class token')",
        SHORT,
    );
    journey.page.press("Escape").unwrap();

    // Another head, the rollout, the matrix.
    journey
        .page
        .evaluate("document.querySelector('[data-testid=attention-wall]').focus()")
        .unwrap();
    let head = "document.querySelector('[data-testid=attention-cell]')?.dataset";
    let was = journey.string(&format!("JSON.stringify([{head}.layer, {head}.head])"));
    for key in ["Home", "End"] {
        journey.page.press(key).unwrap();
    }
    journey.wait(
        &format!("{head} && JSON.stringify([{head}.layer, {head}.head]) !== {was:?}"),
        SHORT,
    );
    journey.assert_map(&mut here, 37);
    journey
        .page
        .evaluate("document.querySelector('.filters').open = true")
        .unwrap();
    journey.page.click("attention-rollout").unwrap();
    journey.wait(&format!("{head} && 'derived' in {head}"), LONG);
    journey.page.click("attention-rollout").unwrap();

    // A picture of the person's takes the sample's place; the link says that it was one.
    let picture = golden("images/odd-sides.png");
    journey
        .page
        .choose_files("attention-file", &[&picture])
        .unwrap();
    journey.wait("location.hash.includes('picture=own')", SHORT);
    journey.pictured(37);
    looked(&mut here, &std::fs::read(&picture).unwrap());
    journey.assert_map(&mut here, 37);
    journey.paste_picture(&std::fs::read(golden("images/palette.png")).unwrap());
    journey.wait(
        "document.querySelector('[data-testid=attention-own]').textContent === 'pasted.png'",
        SHORT,
    );

    // The tower that reads.
    journey.page.click("attention-tower-text").unwrap();
    journey
        .page
        .fill("attention-input", "a dog on the grass")
        .unwrap();
    journey.page.click("attention-run").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=attention-status]').textContent.includes('token')",
        LONG,
    );
    journey.wait(
        "document.querySelectorAll('.token-strip li').length > 4",
        SHORT,
    );
    journey.expect_quiet();
}

#[test]
fn a_picture_that_is_none_is_told() {
    let name = "a_picture_that_is_none_is_told";
    let fragment = "tab=attention&model=mini-clip&backend=cpu&run=1&picture=own";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    let said = "document.querySelector('[data-testid=attention-error] p')?.innerText";
    // A link cannot bring a person's picture; run=1 asks before it downloads.
    let asks =
        "document.querySelector('[data-testid=notices]').textContent.includes('asks to run')";
    journey.wait(asks, SHORT);
    journey.page.click("attention-run").unwrap();
    journey.wait(&format!("{said}?.includes('link cannot bring')"), SHORT);
    let folder = TempDir::new("no-picture").unwrap();
    let path = folder.path().join("notes.png");
    std::fs::write(&path, b"this is text").unwrap();
    journey
        .page
        .choose_files("attention-file", &[&path])
        .unwrap();
    journey.page.click("attention-run").unwrap();
    journey.wait(&format!("{said}?.includes('notes.png')"), LONG);
    let sentence = journey.string(said);
    assert!(
        sentence.contains("not a picture") && sentence.ends_with('.'),
        "{sentence}"
    );
    // The tab goes on.
    journey
        .page
        .evaluate("document.querySelector('[data-testid=attention-sample]').click()")
        .unwrap();
    journey.pictured(37);
    journey.expect_quiet();
}

#[test]
fn a_classifier_from_disk_names_what_it_sees() {
    let name = "a_classifier_from_disk_names_what_it_sees";
    let Some(mut journey) = Journey::begin(name, "tab=attention&backend=cpu&precision=exact")
    else {
        return;
    };
    let (_folder, files) = folder("tiny-vit", 15, false);
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    journey.page.drop_files("attention-output", &paths).unwrap();
    journey.wait(
        "document.querySelector('[data-testid=model-state]').innerText.includes('ready')",
        LONG,
    );
    journey.wait(
        "document.querySelector('[data-testid=attention-sample]')",
        SHORT,
    );
    journey.page.click("attention-run").unwrap();
    journey.pictured(10);
    let mut here = engine(&files);
    let summary = looked(&mut here, &sample("dog"));
    journey.assert_map(&mut here, 10);
    let labels = "[...document.querySelectorAll('[data-testid=attention-label]')]\
                  .map(l => [l.dataset.text, Number(l.dataset.score)])";
    let shown = journey.page.evaluate(labels).unwrap();
    let ours = summary.picture.unwrap().labels;
    assert_eq!((shown.as_array().unwrap().len(), ours.len()), (5, 5));
    for (shown, (name, share)) in shown.as_array().unwrap().iter().zip(&ours) {
        assert_eq!(shown[0].as_str(), Some(&**name));
        assert!((shown[1].as_f64().unwrap() - f64::from(*share)).abs() < TOLERANCE);
    }
    journey.picture("attention-classifier");
    journey.expect_quiet();
}

#[test]
fn a_clip_folder_matches_and_its_heads_can_be_looked_at() {
    let name = "a_clip_folder_matches_and_its_heads_can_be_looked_at";
    let fragment = "tab=match&backend=cpu&precision=exact&text=a%20dog%0Aa%20photo%20of%20a%20cat";
    let Some(mut journey) = Journey::begin(name, fragment) else {
        return;
    };
    let (_folder, files) = folder("tiny-clip", 24, true);
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    journey.page.drop_files("match-output", &paths).unwrap();
    journey.wait(
        "document.querySelector('[data-testid=model-state]').innerText.includes('ready')",
        LONG,
    );
    journey.page.click("match-run").unwrap();
    let cells = "document.querySelectorAll('[data-testid=match-cell]').length";
    journey.wait(&format!("{cells} === 16"), LONG);
    // A pasted picture joins as a row.
    let bytes = std::fs::read(golden("images/palette.png")).unwrap();
    journey.paste_picture(&bytes);
    journey.wait(&format!("{cells} === 18"), LONG);

    let mut here = engine(&files);
    let cancel = Cancel::default();
    let preprocessing = here.preprocessing().unwrap();
    let seen =
        [sample("dog"), bytes].map(|bytes| decode("p", &bytes).unwrap().seen(&preprocessing));
    let images = block_on(here.see(&seen, &mut |_| {}, &cancel)).unwrap();
    let texts = ["a dog", "a photo of a cat"].map(str::to_owned);
    let read = block_on(here.read_texts(&texts, &mut |_| {}, &cancel)).unwrap();
    for (file, image) in ["dog.png", "pasted.png"].iter().zip(&images) {
        for (text, read) in texts.iter().zip(&read.texts) {
            let score = format!(
                "[...document.querySelectorAll('[data-testid=match-cell]')]\
                 .find(c => c.dataset.image === '{file}' && c.dataset.text === '{text}').dataset.score"
            );
            let theirs: f64 = journey.string(&score).parse().unwrap();
            let ours = f64::from(cosine(image, &read.embedding));
            assert!(
                (theirs - ours).abs() < TOLERANCE,
                "{file}, {text}: {theirs} {ours}"
            );
        }
    }
    // From a picture's ranked texts to its heads, in the other tab, with the same model.
    journey.page.click("match-picture").unwrap();
    journey.page.click("match-look").unwrap();
    journey.wait("location.hash.includes('tab=attention')", SHORT);
    journey.pictured(10);
    looked(&mut here, &sample("dog"));
    journey.assert_map(&mut here, 10);
    journey.expect_quiet();
}
