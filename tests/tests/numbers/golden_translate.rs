//! The default translation models: against a PyTorch twin and against Bergamot
//! (`tests/golden/translate/`), and what people may throw at them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use futures::executor::block_on;
use glassformer_engine::protocol::{
    BackendChoice, PrecisionChoice, TranslateRequest, TranslatedSentence,
};
use glassformer_engine::tasks::translation::TranslateSettings;
use glassformer_engine::{Cancel, Engine, Files, MemorySource, Source};
use glassformer_graph::{Precision, Role};
use serde::Deserialize;

use crate::golden::students::{
    answer, engine_on, engine_on_gpu, same_alternatives, sources, student,
};
use crate::golden::{self, Runner, Target, Worst, max_diff};

/// Absolute; states are up to 3, logits up to 20. Sums are in another order than PyTorch's.
const NUMBERS: f64 = 1e-4;

fn engine(paths: &[PathBuf], precision: PrecisionChoice) -> Engine {
    engine_on(BackendChoice::Cpu, paths, precision)
}

fn translate(engine: &mut Engine, from: &str, text: &str) -> (String, Vec<TranslatedSentence>) {
    let request = TranslateRequest {
        text: text.into(),
        from: from.into(),
        ..TranslateRequest::default()
    };
    answer(engine, &request)
}

#[derive(Deserialize)]
struct Sentences {
    en: Vec<String>,
    pt: Vec<String>,
}

#[derive(Deserialize)]
struct Twin {
    en: Vec<String>,
    pt: Vec<String>,
    en_looked_at: LookedAt,
    pt_looked_at: LookedAt,
}

#[derive(Deserialize)]
struct LookedAt {
    text: String,
    source: Vec<u32>,
    target: Vec<u32>,
    /// Every 16th of `[source_len, hidden]`.
    states: Vec<f32>,
    /// Every 512th of `[target, vocab]`.
    logits: Vec<f32>,
}

/// How many of the sentences are translated alike; differences are printed.
fn alike(from: &str, engine: &mut Engine, texts: &[String], expected: &[String]) -> usize {
    assert_eq!(texts.len(), expected.len());
    let same = |(text, expected): &(&String, &String)| {
        let (found, _) = translate(engine, from, text);
        if found != **expected {
            println!("{text}\n  {expected}\n  {found}");
        }
        found == **expected
    };
    texts.iter().zip(expected).filter(same).count()
}

#[test]
fn students_say_what_their_twin_says() {
    let sentences: Sentences = golden::json("translate/sentences.json");
    let twin: Twin = golden::json("translate/twin.json");
    for (id, from, texts, expected) in [
        ("enpt", "en", &sentences.en, &twin.en),
        ("pten", "pt", &sentences.pt, &twin.pt),
    ] {
        let Some(paths) = student(id) else { return };
        let mut engine = engine(&paths, PrecisionChoice::Exact);
        let same = alike(from, &mut engine, texts, expected);
        println!("{id}: {same} of {} as PyTorch's twin", texts.len());
        assert!(
            same * 100 >= texts.len() * 99,
            "{id}: {same} of {}",
            texts.len()
        );
    }
}

#[test]
fn students_compute_what_their_twin_computes() {
    const TEST: &str = "students_compute_what_their_twin_computes";
    let twin: Twin = golden::json("translate/twin.json");
    let mut targets: Vec<Target> = vec![Precision::Exact.into()];
    targets.extend(golden::gpus(TEST));
    for target in targets {
        for (id, seen) in [("enpt", &twin.en_looked_at), ("pten", &twin.pt_looked_at)] {
            let Some(paths) = student(id) else { return };
            let model = Runner::load(sources(&paths), target);
            numbers_of_the_twin(&format!("{id}, {target:?}"), model, seen);
        }
    }
}

fn numbers_of_the_twin(name: &str, mut model: Runner, seen: &LookedAt) {
    let ids = model
        .loaded
        .tokenizer
        .encode(&seen.text, glassformer_engine::text::SpecialTokens::Add);
    assert_eq!(ids.unwrap(), seen.source);
    let session = model.exec.open(1, 512).unwrap();
    let states = model.loaded.model.entries["encode"]
        .role(Role::FinalHidden)
        .unwrap();
    model.encode(session, &seen.source, &[]);
    let every =
        |numbers: Vec<f32>, n: usize| -> Vec<f32> { numbers.into_iter().step_by(n).collect() };
    let mut worst = Worst::new(format!("{name}: encoder's states and logits"));
    let found = every(model.read_entry(session, "encode", states), 16);
    worst.check(max_diff(&found, &seen.states).into(), NUMBERS, "states");

    // At once, and step by step.
    let logits = model.loaded.model.entries["decode"]
        .role(Role::Logits)
        .unwrap();
    let mut ids = vec![0];
    ids.extend(&seen.target[..seen.target.len() - 1]);
    let rows: Vec<u32> = (0..ids.len() as u32).collect();
    model.run_entry(session, "decode", &[("ids", &ids), ("rows", &rows)], &[]);
    let found = every(model.read_entry(session, "decode", logits), 512);
    worst.check(max_diff(&found, &seen.logits).into(), NUMBERS, "logits");
    model.exec.truncate(session, 0).unwrap();
    let mut found = Vec::new();
    for id in ids {
        model.run_entry(session, "decode", &[("ids", &[id]), ("rows", &[0])], &[]);
        found.extend(model.read_entry(session, "decode", logits));
    }
    worst.check(
        max_diff(&every(found, 512), &seen.logits).into(),
        NUMBERS,
        "steps",
    );
}

#[test]
fn a_word_of_a_student_takes_few_dispatches() {
    let Some(paths) = student("enpt") else { return };
    for target in golden::gpus("a_word_of_a_student_takes_few_dispatches") {
        let mut model = Runner::load(sources(&paths), target);
        let mut count = |entry: &str| model.exec.steps(entry, &[]).unwrap().len();
        // Eleven a layer of the decoder, nine of the encoder. Around them an embedding, the chosen row and
        // the logits; behind the encoder two products for each layer of the decoder.
        assert_eq!(count("decode_listed"), 1 + 2 * 11 + 2, "{target:?}");
        assert_eq!(count("encode"), 1 + 6 * 9 + 2 * 2, "{target:?}");
    }
}

/// Every 23rd sentence is translated on the GPU too, greedily and with beams.
#[test]
fn students_say_the_same_on_the_gpu() {
    const TEST: &str = "students_say_the_same_on_the_gpu";
    let sentences: Sentences = golden::json("translate/sentences.json");
    let mut compared = 0;
    for (id, from, texts) in [("enpt", "en", &sentences.en), ("pten", "pt", &sentences.pt)] {
        let Some(paths) = student(id) else { return };
        let exact = PrecisionChoice::Exact;
        let mut cpu = engine(&paths, exact);
        let Some(mut gpu) = engine_on_gpu(TEST, &paths, exact) else {
            return;
        };
        for text in texts.iter().step_by(23).take(5) {
            for beams in [1, 4] {
                let request = TranslateRequest {
                    text: text.clone(),
                    from: from.into(),
                    settings: TranslateSettings {
                        beams,
                        best: beams,
                        ..TranslateSettings::default()
                    },
                    ..TranslateRequest::default()
                };
                let [a, b] = [&mut cpu, &mut gpu].map(|engine| answer(engine, &request).1);
                assert_eq!(a.len(), b.len());
                for (a, b) in a.iter().zip(&b) {
                    same_alternatives(a, b, [1e-3, 1e-4]);
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 20);
}

#[test]
fn students_say_what_bergamot_says() {
    let sentences: Sentences = golden::json("translate/sentences.json");
    let bergamot: Sentences = golden::json("translate/bergamot.json");
    for (id, from, texts, expected) in [
        ("enpt", "en", &sentences.en, &bergamot.en),
        ("pten", "pt", &sentences.pt, &bergamot.pt),
    ] {
        let Some(paths) = student(id) else { return };
        for (precision, name, least) in [
            (PrecisionChoice::Fast, "fast", 99),
            (PrecisionChoice::Exact, "exact", 68),
        ] {
            let mut engine = engine(&paths, precision);
            let same = alike(from, &mut engine, texts, expected);
            println!("{id}, {name}: {same} of {} as Bergamot", texts.len());
            // See tests/golden/translate/README.md; `exact` has no bytes to agree on.
            assert!(same * 100 >= texts.len() * least, "{id}, {name}: {same}");
        }
    }
}

#[test]
fn the_bank_is_by_the_river() {
    const TEST: &str = "the_bank_is_by_the_river";
    let Some(paths) = student("enpt") else { return };
    for precision in [PrecisionChoice::Exact, PrecisionChoice::Fast] {
        let gpu = engine_on_gpu(TEST, &paths, precision);
        for mut engine in [Some(engine(&paths, precision)), gpu].into_iter().flatten() {
            by_the_river(&mut engine);
        }
    }
}

fn by_the_river(engine: &mut Engine) {
    let (text, sentences) = translate(engine, "en", "The bank is by the river.");
    assert_eq!(text, "A margem está junto ao rio.");
    let [sentence] = &sentences[..] else {
        panic!("one sentence")
    };
    let best = &sentence.alternatives[0];
    // "margem" comes from "bank", "rio" from "river".
    for (target, source) in [(1, 1), (5, 5)] {
        let row = &best.alignment[target];
        assert!(
            row[source] > 0.9,
            "{} ← {}: {row:?}",
            best.tokens[target].text,
            sentence.tokens[source].text
        );
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn text_of_any_kind_is_translated_or_refused_in_one_sentence() {
    let Some(paths) = student("enpt") else { return };
    let mut engine = engine(&paths, PrecisionChoice::Fast);
    for text in ["", " \n", "?!… 👍"] {
        let request = TranslateRequest {
            text: text.into(),
            from: "en".into(),
            ..TranslateRequest::default()
        };
        let refused = block_on(engine.translate(&request, &mut |_| {}, &Cancel::default()));
        assert_eq!(
            refused.unwrap_err().sentence(),
            "There is nothing to translate: type a sentence."
        );
    }
    let kept = "First line.\n\n  * * *\n\tSecond line.\r\n";
    let (text, sentences) = translate(&mut engine, "en", kept);
    assert_eq!(sentences.len(), 2);
    assert!(
        text.contains("\n\n  * * *\n\t") && text.ends_with("\r\n"),
        "{text:?}"
    );
    for strange in [
        "Das ist ein deutscher Satz.",
        "emoji 👍🏽 here",
        "a\u{0}b\u{7}c",
        "<b>bold</b> &amp; text",
        "日本語です。",
    ] {
        let (text, _) = translate(&mut engine, "en", strange);
        assert!(!text.contains('\u{ffff}'), "{text:?}");
    }
    // Longer than any sentence: cut between words.
    let long = "word ".repeat(300);
    let (_, sentences) = translate(&mut engine, "en", &long);
    assert!(sentences.len() >= 3 && sentences.iter().all(|s| s.tokens.len() <= 129));
}

#[test]
fn damaged_models_are_refused() {
    let Some(paths) = student("enpt") else { return };
    let of = |end: &str| {
        paths
            .iter()
            .find(|path| path.to_string_lossy().contains(end))
            .unwrap()
    };
    let bytes = |end: &str| std::fs::read(of(end)).unwrap();
    let file = |name: &str, bytes: Vec<u8>| {
        Box::new(MemorySource {
            name: name.into(),
            bytes,
        }) as Box<dyn Source>
    };
    let refused = |sources: Vec<Box<dyn Source>>| {
        let files = match Files::new(sources) {
            Ok(files) => files,
            Err(error) => return error.sentence(),
        };
        let mut engine = Engine::new();
        let (mut silent, never) = (|_, _, _| {}, Cancel::default());
        let (backend, precision) = (BackendChoice::Cpu, PrecisionChoice::Exact);
        let loading = engine.load(
            &files,
            "x",
            None,
            backend,
            precision,
            512,
            &mut silent,
            &never,
        );
        block_on(loading)
            .map(|info| info.name.clone())
            .unwrap_err()
            .sentence()
    };
    let model = bytes("model.");
    let mut cut = model.clone();
    cut.truncate(model.len() / 2);
    let spm = bytes(".spm");
    assert!(
        refused(vec![file("model.bin", cut), file("v.spm", spm.clone())])
            .contains("incomplete or damaged")
    );
    let half = spm[..spm.len() / 2].to_vec();
    assert!(
        refused(vec![file("model.bin", model.clone()), file("v.spm", half)]).contains("vocabulary")
    );
    assert!(refused(vec![file("model.bin", model.clone())]).contains("vocabulary is missing"));
    assert!(refused(vec![file("v.spm", spm.clone())]).contains("The model is missing"));
    let list = file("lex.bin", b"no shortlist".to_vec());
    assert!(
        refused(vec![file("model.bin", model), file("v.spm", spm), list]).contains("shortlist")
    );
}
