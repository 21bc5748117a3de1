//! The engine on a tiny model: loading, cancelling, refusing, writing.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use futures::executor::block_on;
use glassformer_engine::protocol::{
    BackendChoice, Branch, Event, FinishReason, Forced, GenerateSettings, Kept, Origin,
    PrecisionChoice, Prompt,
};
use glassformer_engine::tasks::SHOWN;
use glassformer_engine::{
    Cancel, DEFAULT_CONTEXT, Engine, EngineError, Files, MemorySource, PathSource, Source, protocol,
};

fn golden(path: &str) -> PathBuf {
    Path::new("../../tests/golden/llama").join(path)
}

fn on_disk(paths: &[&str]) -> Result<Files, EngineError> {
    let source = |path: &&str| Box::new(PathSource::new(golden(path)).unwrap()) as Box<dyn Source>;
    Files::new(paths.iter().map(source).collect())
}

fn in_memory(files: &[(&str, &[u8])]) -> Result<Files, EngineError> {
    let source = |(name, bytes): &(&str, &[u8])| {
        let (name, bytes) = ((*name).into(), bytes.to_vec());
        Box::new(MemorySource { name, bytes }) as Box<dyn Source>
    };
    Files::new(files.iter().map(source).collect())
}

/// Loads one model more and says its handle.
fn add(engine: &mut Engine, files: &Files) -> Result<u32, EngineError> {
    let (backend, precision) = (BackendChoice::Cpu, PrecisionChoice::Exact);
    let (mut silent, cancel) = (|_, _, _| {}, Cancel::default());
    let info = engine.load(
        files,
        "tiny",
        None,
        backend,
        precision,
        64,
        &mut silent,
        &cancel,
    );
    Ok(block_on(info)?.handle)
}

#[test]
fn several_models_are_in_memory_and_the_least_used_makes_room() {
    let (q4, q8) = ("tiny-blocks/q4_1.gguf", "tiny-blocks/q8_0.gguf");
    let [small, large] = [q4, q8].map(|name| on_disk(&[name]).unwrap());
    let mut engine = Engine::with_budget(small.bytes() + large.bytes());
    let first = add(&mut engine, &small).unwrap();
    let second = add(&mut engine, &large).unwrap();
    assert_eq!(engine.held(), [first, second]);
    let settings = || greedy(4);
    let of_large = write(
        &mut engine,
        &plain("abc"),
        settings(),
        |_| {},
        &Cancel::default(),
    );
    assert_eq!(engine.choose(first).unwrap().encoding, "Q4_1");
    write(
        &mut engine,
        &plain("abc"),
        settings(),
        |_| {},
        &Cancel::default(),
    )
    .unwrap();
    assert_eq!(engine.choose(second).unwrap().encoding, "Q8_0");
    // What was written with one is not changed by the other.
    let again = write(
        &mut engine,
        &plain("abc"),
        settings(),
        |_| {},
        &Cancel::default(),
    );
    assert_eq!(again, of_large);

    // Chosen before the second, the first would stay; now it is the one that goes.
    let third = add(&mut engine, &small).unwrap();
    assert_eq!(engine.held(), [second, third]);
    assert_eq!(engine.choose(first).unwrap_err(), EngineError::Dropped);
    assert_eq!(engine.info().unwrap().handle, third);
    // A load that fails leaves the others.
    let cut = std::fs::read(golden(q4)).unwrap()[..2000].to_vec();
    let cut = in_memory(&[("cut.gguf", &cut)]);
    assert!(add(&mut engine, &cut.unwrap()).is_err());
    assert!(engine.held().contains(&third));
}

fn load(files: &Files, context: usize, cancel: &Cancel) -> Result<Engine, EngineError> {
    load_with(files, context, &mut |_, _, _| {}, cancel)
}

fn load_with(
    files: &Files,
    context: usize,
    progress: &mut dyn FnMut(u64, Option<u64>, Origin),
    cancel: &Cancel,
) -> Result<Engine, EngineError> {
    let mut engine = Engine::new();
    let (backend, precision) = (BackendChoice::Auto, PrecisionChoice::Exact);
    block_on(engine.load(
        files, "tiny", None, backend, precision, context, progress, cancel,
    ))?;
    Ok(engine)
}

fn tiny() -> Engine {
    let files = on_disk(&["tiny-blocks/q4_1.gguf"]).unwrap();
    load(&files, DEFAULT_CONTEXT, &Cancel::default()).unwrap()
}

fn plain(text: &str) -> Prompt {
    Prompt::Plain { text: text.into() }
}

fn greedy(max_tokens: u32) -> GenerateSettings {
    GenerateSettings {
        temperature: 0.0,
        max_tokens,
        ..GenerateSettings::default()
    }
}

/// Text, ids and reason of one generation.
fn write(
    engine: &mut Engine,
    prompt: &Prompt,
    settings: GenerateSettings,
    mut each: impl FnMut(&Event),
    cancel: &Cancel,
) -> Result<(String, Vec<u32>, FinishReason), EngineError> {
    let (mut all, mut ids, mut why) = (String::new(), Vec::new(), None);
    let mut emit = |event: Event| {
        each(&event);
        match event {
            Event::Token { id, text, .. } => {
                ids.push(id);
                all.push_str(&text);
            }
            Event::Finished { text, reason, .. } => {
                all.push_str(&text);
                why = Some(reason);
            }
            _ => {}
        }
    };
    block_on(engine.generate(prompt, Branch::default(), settings, &mut emit, cancel))?;
    Ok((all, ids, why.unwrap()))
}

#[test]
fn a_loaded_model_says_what_it_is() {
    let mut seen = Vec::new();
    let files = on_disk(&["tiny-blocks/q4_1.gguf"]).unwrap();
    let mut progress = |done, total: Option<u64>, from| seen.push((done, total.unwrap(), from));
    let engine = load_with(&files, 64, &mut progress, &Cancel::default()).unwrap();
    let size = std::fs::metadata(golden("tiny-blocks/q4_1.gguf"))
        .unwrap()
        .len();
    assert_eq!(seen.first(), Some(&(0, size, Origin::File)));
    assert_eq!(seen.last(), Some(&(size, size, Origin::File)));
    let info = engine.info().unwrap();
    assert_eq!(
        (info.backend.as_str(), info.precision.as_str()),
        ("cpu", "exact")
    );
    assert_eq!(
        (info.architecture.as_str(), info.context, info.bytes),
        ("llama", 64, size)
    );
    assert!(info.chat);
}

#[test]
fn generations_start_afresh_and_say_why_they_end() {
    let mut engine = tiny();
    let quiet = Cancel::default();
    let first = write(&mut engine, &plain("abc"), greedy(12), |_| {}, &quiet).unwrap();
    let again = write(&mut engine, &plain("abc"), greedy(12), |_| {}, &quiet).unwrap();
    assert_eq!(first, again);
    assert!(matches!(
        first.2,
        FinishReason::MaxTokens | FinishReason::End
    ));

    // A stop string ends the text before it; the text up to there is the same.
    let stop: String = first.0.chars().skip(2).take(1).collect();
    let settings = GenerateSettings {
        stop: vec![stop.clone()],
        ..greedy(12)
    };
    let stopped = write(&mut engine, &plain("abc"), settings, |_| {}, &quiet).unwrap();
    assert_eq!(stopped.2, FinishReason::StopString);
    assert_eq!(stopped.0, first.0[..first.0.find(&stop).unwrap()]);

    // Cancelling after the second token ends within the next.
    let cancel = Cancel::default();
    let mut count = 0;
    let each = |event: &Event| {
        if matches!(event, Event::Token { .. }) {
            count += 1;
            if count == 2 {
                cancel.cancel();
            }
        }
    };
    let (_, ids, reason) = write(&mut engine, &plain("abc"), greedy(12), each, &cancel).unwrap();
    assert_eq!((ids.len(), reason), (2, FinishReason::Stopped));
    assert_eq!(ids, first.1[..2]);
}

#[test]
fn the_context_is_a_limit_with_a_sentence() {
    let files = on_disk(&["tiny-blocks/q4_1.gguf"]).unwrap();
    let mut engine = load(&files, 16, &Cancel::default()).unwrap();
    let quiet = Cancel::default();
    let long = "a b c d e f g h i j k l m n o p q r s t";
    let error = write(&mut engine, &plain(long), greedy(5), |_| {}, &quiet).unwrap_err();
    assert!(
        error.sentence().contains("at most 16"),
        "{}",
        error.sentence()
    );
    let settings = GenerateSettings {
        temperature: 5.0,
        top_p: 1.0,
        ..greedy(500)
    };
    let (_, ids, reason) = write(&mut engine, &plain("a b"), settings, |_| {}, &quiet).unwrap();
    assert!(
        matches!(reason, FinishReason::Context | FinishReason::End),
        "{reason:?} {ids:?}"
    );
    assert!(ids.len() < 17);
}

#[test]
fn cancelling_a_load_leaves_nothing() {
    let files = on_disk(&["tiny-blocks/f32.gguf"]).unwrap();
    let cancel = Cancel::default();
    let heard = std::rc::Rc::new(std::cell::Cell::new(false));
    let listener = std::rc::Rc::clone(&heard);
    cancel.on_cancel(move || listener.set(true));
    let mut progress = |_, _, _| cancel.cancel();
    let error = load_with(&files, 64, &mut progress, &cancel).err();
    assert_eq!(error, Some(EngineError::Cancelled));
    assert!(heard.get());
}

/// A tokenizer that knows one word.
const ONE_WORD: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "vocab": {"word": 0}, "unk_token": "word"}}"#;

#[test]
fn what_is_no_model_gets_one_sentence() {
    let whole = std::fs::read(golden("tiny-blocks/q8_0.gguf")).unwrap();
    let config = std::fs::read(golden("tiny-gqa/config.json")).unwrap();
    let folder = |files: &[(&str, &[u8])]| {
        in_memory(files).and_then(|files| load(&files, 64, &Cancel::default()).map(|_| ()))
    };
    let cases: [(&str, Result<(), EngineError>); 9] = [
        ("empty", folder(&[])),
        ("no model", folder(&[("a.txt", b"x"), ("b.txt", b"y")])),
        ("open one", folder(&[("a.gguf", b"x"), ("b.gguf", b"y")])),
        (
            "no weights",
            folder(&[("config.json", &config), ("tokenizer.json", b"{}")]),
        ),
        (
            "no tokenizer.json",
            folder(&[("config.json", &config), ("w.safetensors", b"")]),
        ),
        (
            "neither a GGUF",
            folder(&[("model.gguf", b"once upon a time, longer than a header")]),
        ),
        (
            "incomplete",
            folder(&[("model.gguf", &whole[..whole.len() - 100])]),
        ),
        (
            "config.json cannot be read",
            folder(&[
                ("config.json", b"{\"model_type\": \"llama\"}"),
                ("tokenizer.json", ONE_WORD.as_bytes()),
                ("model.safetensors", &safetensors()),
            ]),
        ),
        (
            "whole folder",
            folder(&[("one.safetensors", &safetensors())]),
        ),
    ];
    for (words, outcome) in cases {
        let sentence = outcome.unwrap_err().sentence();
        assert!(sentence.contains(words), "{words}: {sentence}");
        assert!(
            sentence.ends_with('.') && !sentence.contains('\n'),
            "{sentence}"
        );
    }
}

/// A GGUF whose u32 entry `key` says something else.
fn with_entry(key: &str, value: u32) -> Vec<u8> {
    let mut bytes = std::fs::read(golden("tiny-blocks/q8_0.gguf")).unwrap();
    let key = key.as_bytes();
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    // The type, 4 for u32, then the value.
    assert_eq!(bytes[at..at + 4], 4u32.to_le_bytes());
    bytes[at + 4..at + 8].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[test]
fn numbers_that_no_model_has_are_refused_at_once() {
    let entries = [
        ("llama.block_count", 16_000_000),
        ("llama.attention.head_count_kv", 1 << 30),
        ("llama.feed_forward_length", 0),
    ];
    for (key, value) in entries {
        let files = in_memory(&[("model.gguf", &with_entry(key, value))]).unwrap();
        let error = load(&files, DEFAULT_CONTEXT, &Cancel::default())
            .err()
            .unwrap();
        assert!(
            error.sentence().contains(&value.to_string()),
            "{key}: {}",
            error.sentence()
        );
    }
}

#[test]
fn texts_that_cannot_fit_or_leave_nothing_are_refused() {
    let engine = tiny();
    let error = block_on(engine.encode(&plain(&"x".repeat(1 << 20)))).unwrap_err();
    assert!(
        error.sentence().contains("1048576 bytes"),
        "{}",
        error.sentence()
    );
}

fn safetensors() -> Vec<u8> {
    std::fs::read(golden("tiny-gqa/model.safetensors")).unwrap()
}

#[test]
fn requests_without_a_model_or_prompt_are_errors() {
    let mut engine = Engine::new();
    let error = block_on(engine.top_logits(&plain("a"), 3)).unwrap_err();
    assert_eq!(error, EngineError::NoModel);
    let mut engine = tiny();
    let error = block_on(engine.top_logits(&plain(""), 3)).unwrap_err();
    assert!(error.sentence().contains("empty"));
    let top = block_on(engine.top_logits(&plain("abc"), 3)).unwrap();
    assert!(top.top.len() == 3 && top.top[0].1 >= top.top[1].1);
}

/// Tokens with their log-probabilities and kept logits.
type Told = Vec<(u32, u32, f32, Kept)>;

/// Runs a branch: its tokens, and how many tokens of the prompt were read before the first.
fn branch(engine: &mut Engine, settings: &GenerateSettings, branch: Branch) -> (Told, usize) {
    let (mut told, mut read) = (Vec::new(), 0);
    let mut emit = |event: Event| match event {
        Event::Token {
            index,
            id,
            logprob,
            kept,
            ..
        } => told.push((index, id, logprob, kept)),
        Event::Prefill { .. } => read += 1,
        _ => {}
    };
    let prompt = plain(&"a text that is longer than one chunk ".repeat(3));
    let (settings, cancel) = (settings.clone(), Cancel::default());
    block_on(engine.generate(&prompt, branch, settings, &mut emit, &cancel)).unwrap();
    (told, read)
}

#[test]
fn a_branch_is_the_same_however_it_is_reached() {
    let settings = GenerateSettings {
        temperature: 1.2,
        repetition_penalty: 1.1,
        max_tokens: 14,
        ..GenerateSettings::default()
    };
    let mut engine = tiny();
    let (trunk, chunks) = branch(&mut engine, &settings, Branch::default());
    assert!(trunk.len() > 9 && chunks > 0, "{} {chunks}", trunk.len());
    let ids: Vec<u32> = trunk.iter().map(|(_, id, ..)| *id).collect();

    // Another candidate at the sixth place: only the token before it is run again.
    let kept = protocol::unpack(&trunk[6].3.logits).unwrap();
    let shown = kept.top.iter().map(|(id, _)| *id);
    let other = shown.take(9).find(|id| *id != ids[6] && *id > 10).unwrap();
    let forced = vec![Forced {
        position: 6,
        id: other,
    }];
    let behind = Branch {
        written: ids[..6].to_vec(),
        forced: forced.clone(),
    };
    let (grown, chunks) = branch(&mut engine, &settings, behind.clone());
    assert_eq!(chunks, 0);
    assert_eq!((grown[0].0, grown[0].1), (6, other));
    // The same distribution stood behind both tokens.
    assert_eq!(grown[0].3, trunk[6].3);
    let expected = kept.log_prob(kept.logit(other).unwrap());
    assert!((f64::from(grown[0].2) - expected).abs() < 1e-5);

    // From nothing, as a link restores it; and replayed by an engine that was started again.
    let (restored, _) = branch(
        &mut tiny(),
        &settings,
        Branch {
            written: Vec::new(),
            forced,
        },
    );
    assert_eq!(restored[..6], trunk[..6]);
    assert_eq!(restored[6..], grown);
    let (replayed, chunks) = branch(&mut tiny(), &settings, behind);
    assert!(chunks > 0);
    let ids = |told: &Told| told.iter().map(|(_, id, ..)| *id).collect::<Vec<_>>();
    assert_eq!(ids(&replayed), ids(&grown));

    // Without a forced token it goes on as it would have.
    let behind = Branch {
        written: ids(&trunk)[..5].to_vec(),
        forced: Vec::new(),
    };
    assert_eq!(branch(&mut engine, &settings, behind).0, trunk[5..]);
}

#[test]
fn the_page_gets_what_the_engine_kept() {
    let mut engine = tiny();
    let (told, _) = branch(&mut engine, &greedy(3), Branch::default());
    let loaded = engine.loaded().unwrap();
    for (_, id, logprob, kept) in &told {
        let logits = protocol::unpack(&kept.logits).unwrap();
        assert_eq!(protocol::pack(&logits), kept.logits);
        assert_eq!(logits.top[0].0, *id, "greedy");
        assert!((logits.log_prob(logits.max()) - f64::from(*logprob)).abs() < 1e-6);
        assert_eq!(kept.texts[0], loaded.tokenizer.token_text(*id));
        assert_eq!(kept.texts.len(), SHOWN.min(logits.top.len()));
    }
    for bad in [&[][..], &[0; 3], &[0; 68], &[0; 72]] {
        assert_eq!(protocol::unpack(bad), None);
    }
}

#[test]
fn branches_that_make_no_sense_are_refused() {
    let mut engine = tiny();
    let refused = |engine: &mut Engine, branch: Branch| {
        let (mut quiet, cancel, prompt) = (|_| {}, Cancel::default(), plain("abc"));
        let answer = engine.generate(&prompt, branch, greedy(4), &mut quiet, &cancel);
        block_on(answer).unwrap_err().sentence()
    };
    let unknown = Branch {
        written: vec![4_000_000],
        forced: Vec::new(),
    };
    assert!(refused(&mut engine, unknown).contains("4000000"));
    let long = Branch {
        written: vec![20; DEFAULT_CONTEXT],
        forced: Vec::new(),
    };
    assert!(refused(&mut engine, long).contains("tokens"));
    assert!(
        write(
            &mut engine,
            &plain("abc"),
            greedy(4),
            |_| {},
            &Cancel::default()
        )
        .is_ok()
    );
}
