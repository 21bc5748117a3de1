//! The attention of translators, as the Attention tab asks for it: the encoder's over the text, and what
//! the words of the translation read in it, which is the alignment that translations come with.
#![allow(clippy::unwrap_used, reason = "tests")]

use futures::executor::block_on;
use glassformer_engine::protocol::attention::{AttendTo, MapOf};
use glassformer_engine::protocol::{BackendChoice, Event, PrecisionChoice, TranslateRequest};
use glassformer_engine::{Cancel, Engine, Files, PathSource, Source};

use crate::golden;
use crate::golden::students::{engine_on, student};

const TEXT: &str = "The bank is by the river.";

/// Absolute: one run of all words at once, and one run a word.
const CLOSE: f32 = 1e-5;

fn engine(backend: BackendChoice) -> Option<Engine> {
    let paths = student("enpt")?;
    Some(engine_on(backend, &paths, PrecisionChoice::Exact))
}

fn check(mut engine: Engine, close: f32) {
    let (mut quiet, never) = (|_| {}, Cancel::default());
    let shape = engine.info().unwrap().translator.unwrap();
    assert_eq!((shape.layers, shape.heads, shape.own), (2, 8, false));

    let mut found = None;
    let mut emit = |event| {
        if let Event::Sentence { sentence, .. } = event {
            found = Some(sentence);
        }
    };
    let request = TranslateRequest {
        text: TEXT.into(),
        from: "en".into(),
        ..TranslateRequest::default()
    };
    block_on(engine.translate(&request, &mut emit, &never)).unwrap();
    let sentence = found.unwrap();
    let best = &sentence.alternatives[0];

    // The encoder reads the text itself.
    let own = block_on(engine.attend(1, TEXT, None, &mut quiet, &never)).unwrap();
    assert_eq!(
        (own.shape.layers, own.shape.causal, own.second),
        (6, false, None)
    );
    let ids = |tokens: &[glassformer_engine::protocol::PromptToken]| -> Vec<u32> {
        tokens.iter().map(|token| token.id).collect()
    };
    let source: Vec<u32> = sentence.tokens.iter().map(|token| token.id).collect();
    assert_eq!(ids(&own.tokens), source);
    let head = |layer, head| MapOf::Head { layer, head };
    let map = block_on(engine.attention_map(1, head(3, 2))).unwrap();
    for row in map.chunks(source.len()) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    // The decoder reads the source: the head that was taught to align is the alignment.
    let cross = AttendTo::Source;
    let summary = block_on(engine.attend_to(2, cross, TEXT, None, &mut quiet, &never)).unwrap();
    let written: Vec<u32> = best.tokens.iter().map(|token| token.id).collect();
    assert_eq!(ids(&summary.tokens), [&written[..], &source].concat());
    assert_eq!(summary.second, Some(written.len() as u32));
    let n = summary.tokens.len();
    let map = block_on(engine.attention_map(2, head(1, 0))).unwrap();
    for (i, row) in map.chunks(n).enumerate() {
        let (own, read) = row.split_at(written.len());
        assert!(own.iter().all(|weight| *weight == 0.0));
        match best.alignment.get(i) {
            Some(expected) => {
                for (a, b) in read.iter().zip(expected) {
                    assert!((a - b).abs() < close, "{i}: {a} {b}");
                }
            }
            None => assert!(read.iter().all(|weight| *weight == 0.0)),
        }
    }
    // One weight, all the way.
    let (from, to) = (1, written.len() + 1);
    let focus = block_on(engine.attention_focus(2, 1, 0, from as u32)).unwrap();
    let cell = focus.cell(to, summary.shape.scale).unwrap();
    assert!((cell.weight - map[from * n + to]).abs() < close);
    assert!((cell.scaled - focus.scores[to]).abs() < 1e-3);

    // A translation that is given; a rollout there is not.
    let given = Some("O banco está junto ao rio.");
    let summary = block_on(engine.attend_to(3, cross, TEXT, given, &mut quiet, &never)).unwrap();
    assert_eq!(summary.tokens[1].text, " banco");
    let refused = block_on(engine.attention_map(3, MapOf::Rollout { layer: 1 })).unwrap_err();
    assert!(refused.sentence().contains("there is none"), "{refused}");
    let own = AttendTo::Written;
    let refused = block_on(engine.attend_to(4, own, TEXT, None, &mut quiet, &never)).unwrap_err();
    assert!(refused.sentence().contains("no attention"), "{refused}");
}

#[test]
fn what_translations_read_is_their_alignment() {
    if let Some(engine) = engine(BackendChoice::Cpu) {
        check(engine, CLOSE);
    }
}

#[test]
fn what_translations_read_is_the_same_on_the_gpu() {
    let Some(engine) = engine(BackendChoice::WebGpu) else {
        return;
    };
    if engine.info().unwrap().backend != "webgpu" {
        glassformer_tests::cannot_run("translator_attention", "it needs a GPU");
        return;
    }
    check(engine, CLOSE);
}

/// A MarianMT checkpoint of the hub, tiny and random.
fn hub() -> Engine {
    let folder = std::path::Path::new("golden/marian/hub");
    let names = [
        "config.json",
        "generation_config.json",
        "pytorch_model.bin",
        "source.spm",
        "target.spm",
        "vocab.json",
    ];
    let source = |name: &&str| {
        let path = PathSource::new(folder.join(name)).unwrap();
        Box::new(path) as Box<dyn Source>
    };
    let files = Files::new(names.iter().map(source).collect()).unwrap();
    let mut engine = Engine::new();
    let (mut silent, never) = (|_, _, _| {}, Cancel::default());
    let (cpu, exact) = (BackendChoice::Cpu, PrecisionChoice::Exact);
    let load = engine.load(&files, "", None, cpu, exact, 64, &mut silent, &never);
    block_on(load).unwrap();
    engine
}

/// A translation that is given is cut as the target language is, as `MarianTokenizer` does
/// (`tests/golden/marian/hub.py`).
#[test]
fn given_translations_are_cut_as_translations() {
    #[derive(serde::Deserialize)]
    struct Given {
        text: String,
        ids: Vec<u32>,
    }
    #[derive(serde::Deserialize)]
    struct Hub {
        given: Vec<Given>,
    }
    let expected: Hub = golden::json("marian/hub.json");
    assert_eq!(expected.given.len(), 3);
    let (mut engine, mut quiet, never) = (hub(), |_| {}, Cancel::default());
    for Given { text, ids } in &expected.given {
        let to = AttendTo::Source;
        let given = Some(text.as_str());
        let attend = engine.attend_to(1, to, "Nobody knows.", given, &mut quiet, &never);
        let summary = block_on(attend).unwrap();
        let written = summary.second.unwrap() as usize;
        let found: Vec<u32> = summary.tokens[..written].iter().map(|t| t.id).collect();
        assert_eq!(found, ids[..], "{text}");
    }
}

/// Its decoder also reads what it has written.
#[test]
fn a_full_decoder_reads_what_it_has_written() {
    let (mut engine, mut quiet, never) = (hub(), |_| {}, Cancel::default());
    assert!(engine.info().unwrap().translator.unwrap().own);
    let text = "the cat sat";
    for (run, to) in [
        (1, AttendTo::Own),
        (2, AttendTo::Source),
        (3, AttendTo::Written),
    ] {
        let summary = block_on(engine.attend_to(run, to, text, None, &mut quiet, &never)).unwrap();
        let n = summary.tokens.len();
        let readers = if summary.to_source {
            summary.second.unwrap() as usize
        } else {
            n
        };
        assert_eq!(summary.shape.causal, to == AttendTo::Written);
        let of = MapOf::Head { layer: 0, head: 1 };
        let map = block_on(engine.attention_map(run, of)).unwrap();
        for (from, row) in map.chunks(n).enumerate().take(readers) {
            assert!(
                (row.iter().sum::<f32>() - 1.0).abs() < 1e-5,
                "{to:?} {from}"
            );
            // Every row is the one that a cell is explained from.
            let focus = block_on(engine.attention_focus(run, 0, 1, from as u32)).unwrap();
            for (a, b) in focus.probs.iter().zip(row) {
                assert!((a - b).abs() < CLOSE, "{to:?} {from}: {a} {b}");
            }
        }
    }
}
