//! Sentences translated side by side say what each says alone: the same words, scores, alignments and
//! shortlists, in the order of reading, on both backends.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;

use futures::executor::block_on;
use glassformer_engine::protocol::{
    BackendChoice, Event, PrecisionChoice, TranslateRequest, TranslatedSentence,
};
use glassformer_engine::tasks::translation::{
    Decoding, Hypothesis, Search, SearchStep, TranslateSettings, Wanted,
};
use glassformer_engine::{Cancel, Engine};
use glassformer_graph::Precision;

use crate::golden::students::{answer, engine_on, engine_on_gpu, same_alternatives, student};
use crate::golden::{self, Runner, Target, max_diff};

/// Sentences of one word and of forty, with what stands between them.
const TEXT: &str = "No. The bank is by the river.\n\nIn 1997, after four years of negotiations in \
which neither side would give up anything it had won before, both governments signed the treaty that \
still decides who may fish in these waters, and nobody was happy about it. Why? She never came back. \
* The museum opens at nine in the morning and closes at five, except on Mondays. Thank you very much! \
The committee has not decided yet. He laughed. They found the old map under the stairs, where somebody \
had hidden it a hundred years ago.\n";

fn searched(
    model: &mut Runner,
    settings: &TranslateSettings,
    wanted: &[Wanted],
) -> Vec<Vec<Hypothesis>> {
    let rules = model.loaded.translation.as_ref().unwrap().rules.clone();
    let mut words: Vec<u32> = wanted.iter().flat_map(|w| &w.words).copied().collect();
    words.sort_unstable();
    words.dedup();
    let decoding = Decoding::new(&model.loaded.model, rules, words, None).unwrap();
    let exec = model.exec.as_mut();
    let mut search = Search::together(exec, decoding, settings, wanted.to_vec()).unwrap();
    while block_on(search.step(exec)).unwrap() != SearchStep::Done {}
    search.close(exec);
    let sentences = search.sentences().iter();
    sentences
        .map(|sentence| {
            assert!(sentence.is_done());
            sentence.hypotheses()
        })
        .collect()
}

/// A tiny full decoder, whose own keys and values go with its beams.
#[test]
fn searches_side_by_side_find_what_each_finds_alone() {
    const TEST: &str = "searches_side_by_side_find_what_each_finds_alone";
    let mut targets: Vec<Target> = vec![Precision::Exact.into()];
    targets.extend(golden::gpus(TEST));
    let sources: [&[u32]; 5] = [
        &[5, 9, 31, 0],
        &[0],
        &[7, 7, 12, 50, 2, 33, 41, 8, 19, 0],
        &[22, 0],
        &[40, 3, 3, 17, 28, 0],
    ];
    let wanted = sources.map(|source| Wanted {
        source: source.to_vec(),
        words: Vec::new(),
    });
    for target in targets {
        let mut model = golden::tiny_of("marian", "tiny-swish", target);
        for beams in [1, 4] {
            let settings = TranslateSettings {
                beams,
                best: beams,
                ..TranslateSettings::default()
            };
            let together = searched(&mut model, &settings, &wanted);
            let lengths: Vec<usize> = together.iter().map(|f| f[0].words.len()).collect();
            assert!(lengths.iter().any(|len| *len != lengths[0]), "{lengths:?}");
            for (wanted, together) in wanted.iter().zip(&together) {
                let alone = searched(&mut model, &settings, std::slice::from_ref(wanted));
                assert_eq!(alone[0].len(), together.len());
                for (a, b) in alone[0].iter().zip(together) {
                    let ids = |found: &Hypothesis| -> Vec<u32> {
                        found.words.iter().map(|word| word.id).collect()
                    };
                    assert_eq!(ids(a), ids(b), "{target:?}, {beams} beams");
                    assert!((a.score - b.score).abs() < 1e-4);
                    for (a, b) in a.alignment.iter().zip(&b.alignment) {
                        assert!(a.len() == wanted.source.len() && max_diff(a, b) < 1e-4);
                    }
                }
            }
        }
    }
}

fn request(beams: u32, together: Option<u32>) -> TranslateRequest {
    TranslateRequest {
        text: TEXT.into(),
        from: "en".into(),
        settings: TranslateSettings {
            beams,
            best: beams,
            ..TranslateSettings::default()
        },
        together,
        ..TranslateRequest::default()
    }
}

fn told(engine: &mut Engine, beams: u32, together: Option<u32>) -> Vec<TranslatedSentence> {
    let (text, sentences) = answer(engine, &request(beams, together));
    let order: Vec<u32> = sentences.iter().map(|sentence| sentence.index).collect();
    assert_eq!(order, (0..10).collect::<Vec<u32>>());
    // Nothing of the text is lost, and all is in its place.
    let parts: Vec<&str> = sentences
        .iter()
        .flat_map(|s| [s.before.as_str(), &s.alternatives[0].target])
        .collect();
    assert_eq!(text, parts.concat() + "\n");
    sentences
}

fn same(engine: &mut Engine, beams: u32, close: [f64; 2]) {
    let alone = told(engine, beams, Some(1));
    for together in [Some(8), Some(3), None] {
        let together = told(engine, beams, together);
        for (a, b) in alone.iter().zip(&together) {
            assert_eq!((&a.source, a.candidates), (&b.source, b.candidates));
            same_alternatives(a, b, close);
        }
    }
}

/// On the CPU the sums are the same sums, in the same order.
#[test]
fn students_say_side_by_side_what_they_say_alone() {
    let Some(paths) = student("enpt") else { return };
    for precision in [PrecisionChoice::Fast, PrecisionChoice::Exact] {
        let mut engine = engine_on(BackendChoice::Cpu, &paths, precision);
        for beams in [1, 4] {
            same(&mut engine, beams, [0.0, 0.0]);
        }
    }
}

/// On a GPU few rows and many go through other shaders, which add in another order.
#[test]
fn students_say_side_by_side_what_they_say_alone_on_the_gpu() {
    const TEST: &str = "students_say_side_by_side_what_they_say_alone_on_the_gpu";
    let Some(paths) = student("enpt") else { return };
    let Some(mut engine) = engine_on_gpu(TEST, &paths, PrecisionChoice::Exact) else {
        return;
    };
    for beams in [1, 4] {
        same(&mut engine, beams, [1e-4, 1e-5]);
    }
}

/// The first sentence is not kept waiting by those behind it, and Stop is heard in the middle of several.
#[test]
fn sentences_come_as_soon_as_they_are_done() {
    let Some(paths) = student("enpt") else { return };
    let mut engine = engine_on(BackendChoice::Cpu, &paths, PrecisionChoice::Exact);
    let (cancel, heard) = (Cancel::default(), Cell::new(0));
    let mut emit = |event| {
        if let Event::Sentence { .. } = event {
            heard.set(heard.get() + 1);
            // The first comes alone, the second of the next two.
            if heard.get() == 2 {
                cancel.cancel();
            }
        }
    };
    let stopped = block_on(engine.translate(&request(1, Some(8)), &mut emit, &cancel));
    let stopped = stopped.unwrap_err();
    assert_eq!(stopped, glassformer_engine::EngineError::Cancelled);
    assert_eq!(heard.get(), 2);
}

#[test]
fn too_many_side_by_side_are_refused() {
    let Some(paths) = student("enpt") else { return };
    let mut engine = engine_on(BackendChoice::Cpu, &paths, PrecisionChoice::Exact);
    for many in [0, 33] {
        let refused =
            block_on(engine.translate(&request(1, Some(many)), &mut |_| {}, &Cancel::default()));
        assert!(refused.unwrap_err().sentence().contains("1 to 32"));
    }
}
