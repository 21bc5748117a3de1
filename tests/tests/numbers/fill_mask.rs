//! Masks filled by the default model as the shell and the page ask for them, and a folder rounded to
//! 8 bits.
#![allow(clippy::unwrap_used, reason = "tests")]

use futures::executor::block_on;
use glassformer_engine::protocol::{BackendChoice, MaskRequest, MaskResult, PrecisionChoice};
use glassformer_engine::{
    Cancel, Engine, EngineError, Files, MemorySource, PathSource, Source, registry,
};
use glassformer_graph::Precision;

use crate::golden::{self, Runner, max_abs, max_diff};

fn engine(backend: BackendChoice) -> Engine {
    let entry = registry::find("minilm-l6-mlm").unwrap();
    let path = golden::path("../../models").join(&entry.files[0].path);
    let files = Files::new(vec![Box::new(PathSource::new(path).unwrap())]).unwrap();
    let mut engine = Engine::new();
    let (mut silent, never) = (|_, _, _| {}, Cancel::default());
    let exact = PrecisionChoice::Exact;
    let load = engine.load(
        &files,
        "",
        None,
        backend,
        exact,
        1 << 14,
        &mut silent,
        &never,
    );
    block_on(load).unwrap();
    engine
}

fn request(text: &str) -> MaskRequest {
    MaskRequest {
        text: text.into(),
        pair: None,
        top: 5,
        fill: false,
        attention: false,
        words: vec!["mouse".into(), "antidisestablishment".into()],
    }
}

fn fill(engine: &mut Engine, request: &MaskRequest) -> Result<MaskResult, EngineError> {
    block_on(engine.fill_mask(request, &mut |_| {}, &Cancel::default()))
}

#[test]
fn both_backends_name_the_same_words() {
    let mut results = Vec::new();
    let gpus = golden::gpus("both_backends_name_the_same_words");
    let backends = [BackendChoice::Cpu, BackendChoice::WebGpu];
    for backend in &backends[..if gpus.is_empty() { 1 } else { 2 }] {
        let mut engine = engine(*backend);
        let info = engine.info().unwrap();
        assert_eq!(info.mask.as_deref(), Some("[MASK]"));
        assert_eq!(info.backend == "cpu", *backend == BackendChoice::Cpu);
        let asked = MaskRequest {
            fill: true,
            attention: true,
            ..request("The capital of [MASK] is [MASK].")
        };
        results.push(fill(&mut engine, &asked).unwrap());
    }
    for result in &results {
        assert_eq!(result.sentences, ["The capital of [MASK] is [MASK]."]);
        let positions: Vec<u32> = result.masks.iter().map(|mask| mask.position).collect();
        assert_eq!(positions, [4, 6]);
        for mask in &result.masks {
            assert_eq!(mask.predictions.len(), 5);
            let scores: Vec<f32> = mask.predictions.iter().map(|p| p.score).collect();
            assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
            assert!(scores[0] < 1.0 && scores[4] > 0.0);
        }
        assert_eq!(result.pieces[0], 1);
        assert!(result.pieces[1] > 3);
        // The surest is filled first, with what it was surest of.
        assert_eq!(result.filled.len(), 2);
        let first = &result.filled[0];
        let surest = result.masks.iter().map(|mask| mask.predictions[0].score);
        assert_eq!(first.with.score, surest.fold(0.0, f32::max));
        assert_ne!(first.mask, result.filled[1].mask);

        let attention = result.attention.as_ref().unwrap();
        assert_eq!((attention.layers, attention.heads), (6, 12));
        let (masks, tokens) = (result.masks.len(), result.tokens.len());
        for layer in 0..6 {
            for head in 0..12 {
                for mask in 0..masks {
                    let row = attention.row([layer, head, mask], masks, tokens).unwrap();
                    assert_eq!(row.len(), tokens);
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                }
            }
        }
        assert_eq!(attention.row([6, 0, 0], masks, tokens), None);
    }
    if let [cpu, gpu] = &results[..] {
        for (a, b) in cpu.masks.iter().zip(&gpu.masks) {
            for (a, b) in a.predictions.iter().zip(&b.predictions) {
                assert_eq!(a.id, b.id);
                assert!((a.score - b.score).abs() < 1e-5, "{} {}", a.score, b.score);
            }
        }
    }
}

#[test]
fn what_cannot_be_filled_is_one_sentence() {
    let mut engine = engine(BackendChoice::Cpu);
    for (text, part) in [
        ("", "no mask"),
        ("Nothing is hidden here.", "no mask"),
        ("[MASK]", "nothing but masks"),
        ("[MASK] [MASK]", "nothing but masks"),
        ("[MASK] \u{1f980}\u{1f980}", "none of these characters"),
    ] {
        let error = fill(&mut engine, &request(text)).unwrap_err();
        let sentence = error.sentence();
        assert!(sentence.contains(part), "{text}: {sentence}");
        assert!(sentence.ends_with('.') && !sentence.contains('\n'));
    }
    let cancelled = Cancel::default();
    cancelled.cancel();
    let asked = request("The [MASK] chased the mouse.");
    let answer = block_on(engine.fill_mask(&asked, &mut |_| {}, &cancelled));
    assert_eq!(answer, Err(EngineError::Cancelled));
    // And it goes on being of use.
    assert!(fill(&mut engine, &asked).is_ok());
    let error = block_on(Engine::new().fill_mask(&asked, &mut |_| {}, &Cancel::default()));
    assert_eq!(error, Err(EngineError::NoModel));
}

#[test]
fn ten_thousand_words_are_cut_and_said_so() {
    let mut engine = engine(BackendChoice::Cpu);
    let text = format!("The [MASK] is long. {}", "word ".repeat(10_000));
    let result = fill(&mut engine, &request(&text)).unwrap();
    assert_eq!(result.tokens.len(), 512);
    assert_eq!(result.shortened.len(), 1);
    assert_eq!(
        result.shortened[0].bytes as usize,
        result.sentences[0].len()
    );
    assert!(text.starts_with(&result.sentences[0]));
    let hidden = format!("{} [MASK]", "word ".repeat(10_000));
    let error = fill(&mut engine, &request(&hidden)).unwrap_err();
    assert!(
        error.sentence().contains("too long"),
        "{}",
        error.sentence()
    );
}

#[test]
fn a_model_that_writes_fills_no_masks() {
    let model = golden::tiny_blocks("f16", Precision::Exact);
    assert_eq!(model.loaded.mask(), None);
    let bare = golden::tiny_of("bert", "tiny-bert-bare", Precision::Exact);
    assert_eq!(bare.loaded.mask(), None);
}

#[test]
fn nodes_can_be_read_by_name() {
    let mut engine = engine(BackendChoice::Cpu);
    let seen = engine.look("I love it", None, "encoder.layer.5.attention.probs");
    let seen = block_on(seen).unwrap();
    assert_eq!(
        (seen.entry, &seen.value.shape[..]),
        ("encode", &[1, 12, 5, 5][..])
    );
    for row in seen.value.data.chunks(5) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let error = block_on(engine.look("I love it", None, "encoder.layer.6")).unwrap_err();
    assert!(error.sentence().contains("encoder.layer.6"));
}

/// Logits of a model for a few tokens.
fn logits(model: &mut Runner) -> Vec<f32> {
    let session = model.open(1);
    model.all(session, &[&[1, 5, 9, 40, 96]]).data
}

#[test]
fn a_folder_rounded_to_8_bits_is_read_like_the_folder() {
    const TOKENIZER: &str = r#"{"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": null, "model": {"type": "WordLevel", "vocab": {"one word": 0}, "unk_token": "one word"}}"#;
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for name in ["config.json", "model.safetensors"] {
        sources.push(golden::source(&format!("tiny-gqa/{name}")));
    }
    sources.push(Box::new(MemorySource {
        name: "tokenizer.json".into(),
        bytes: TOKENIZER.into(),
    }));
    let folder = Files::new(sources).unwrap();
    let mut file = Vec::new();
    let written = block_on(folder.quantize("tiny", "made for a test", &mut file)).unwrap();
    assert_eq!(written.bytes, file.len() as u64);
    // Rows of 32 are whole blocks, those of 56 are not.
    assert_eq!((written.tensors, written.rounded), (20, 13));
    assert!(
        (1e-3..1e-2).contains(&written.relative_error),
        "{written:?}"
    );

    let source = |bytes: &[u8]| MemorySource {
        name: "tiny.gguf".into(),
        bytes: bytes.to_vec(),
    };
    let mut rounded = Runner::load(vec![Box::new(source(&file))], Precision::Exact);
    assert_eq!(rounded.loaded.name.as_deref(), Some("tiny"));
    assert_eq!(rounded.loaded.tokenizer.token_text(0), "one word");
    let mut whole = golden::tiny_folder("tiny-gqa", Precision::Exact);
    let (ours, theirs) = (logits(&mut rounded), logits(&mut whole));
    let diff = max_diff(&ours, &theirs) / max_abs(&theirs);
    assert!(
        (1e-5..0.05).contains(&diff),
        "rounding changed logits by {diff}"
    );

    // One file is no folder.
    let one = Files::new(vec![Box::new(source(&file))]).unwrap();
    let error = block_on(one.quantize("tiny", "", &mut Vec::new())).unwrap_err();
    assert!(error.sentence().contains("folder"), "{}", error.sentence());
}
