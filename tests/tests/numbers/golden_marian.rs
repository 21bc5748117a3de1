//! Tiny random MarianMT models: their numbers and their beam searches, against PyTorch transformers
//! (`tests/golden/marian/tiny.py`).
#![allow(clippy::unwrap_used, reason = "tests")]

use std::rc::Rc;

use futures::executor::block_on;
use glassformer_engine::tasks::translation::{
    BeamNode, Decoding, Fate, Hypothesis, Search, SearchStep, TranslateSettings, forced_scores,
};
use glassformer_engine::text::SpecialTokens;
use glassformer_engine::{Cancel, Files, MemorySource, Source};
use glassformer_graph::{ExecError, Graph, Input, NodeId, Precision, Role, Run, Stack};
use serde::Deserialize;

use crate::golden::{self, Runner, Target, Worst, max_diff};

/// Absolute; states and logits of the tiny models are about 10. Sums are in another order than
/// PyTorch's.
const NUMBERS: f64 = 1e-4;

/// Of sums of log-probabilities, as the issue that asked for translation states it.
const SCORES: f64 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    source: Vec<u32>,
    target: Vec<u32>,
    /// `[source_len, hidden]`
    encoder: Vec<f32>,
    /// `[1 + target, vocab]`
    logits: Vec<f32>,
    /// `[layer][heads, 1 + target, source_len]`
    cross: Vec<Vec<f32>>,
    /// `[layer][heads, 1 + target, 1 + target]`
    #[serde(rename = "self")]
    own: Vec<Vec<f32>>,
    searches: Vec<Searched>,
}

#[derive(Deserialize)]
struct Searched {
    beams: u32,
    length_penalty: f32,
    hypotheses: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    ids: Vec<u32>,
    /// Not given for one beam.
    normalised: Option<f64>,
}

fn tiny(name: &str, target: Target) -> (Golden, Runner) {
    let golden = golden::json(&format!("marian/{name}/golden.json"));
    let model = golden::tiny_of("marian", name, target);
    (golden, model)
}

/// The CPU, and the GPU with and without its features, if there is one.
fn targets(test: &str) -> Vec<Target> {
    let mut targets = vec![Precision::Exact.into()];
    targets.extend(golden::gpus(test));
    targets
}

#[test]
fn tiny_models_give_the_numbers_of_pytorch() {
    for target in targets("tiny_models_give_the_numbers_of_pytorch") {
        for name in ["tiny-relu", "tiny-swish"] {
            numbers_of_pytorch(name, target);
        }
    }
}

fn numbers_of_pytorch(name: &str, target: Target) {
    let (golden, mut model) = tiny(name, target);
    let mut worst = Worst::new(format!("{name}, {target:?}: states, logits, attention"));
    for case in &golden.cases {
        let session = model.exec.open(1, 64).unwrap();
        let encode = &model.loaded.model.entries["encode"];
        let states = encode.role(Role::FinalHidden).unwrap();
        model.encode(session, &case.source, &[]);
        worst.check(
            max_diff(&model.read_entry(session, "encode", states), &case.encoder).into(),
            NUMBERS,
            name,
        );

        let decode = &model.loaded.model.entries["decode"];
        let probs = |stack, layer| decode.role(Role::AttentionProbs { stack, layer }).unwrap();
        let layers = case.cross.len();
        let cross: Vec<NodeId> = (0..layers).map(|l| probs(Stack::Cross, l)).collect();
        let own: Vec<NodeId> = (0..layers).map(|l| probs(Stack::Decoder, l)).collect();
        let logits = decode.role(Role::Logits).unwrap();
        let look: Vec<NodeId> = cross.iter().chain(&own).copied().collect();
        let mut ids = vec![60];
        ids.extend(&case.target);
        let rows: Vec<u32> = (0..ids.len() as u32).collect();
        model.run_entry(session, "decode", &[("ids", &ids), ("rows", &rows)], &look);
        worst.check(
            max_diff(&model.read_entry(session, "decode", logits), &case.logits).into(),
            NUMBERS,
            name,
        );
        for (nodes, expected) in [(&cross, &case.cross), (&own, &case.own)] {
            for (&node, expected) in nodes.iter().zip(expected) {
                worst.check(
                    max_diff(&model.read_entry(session, "decode", node), expected).into(),
                    NUMBERS,
                    name,
                );
            }
        }
        // Token by token it is the same.
        let single = model.exec.open(1, 64).unwrap();
        model.encode(single, &case.source, &[]);
        let width = case.logits.len() / ids.len();
        for (id, expected) in ids.iter().zip(case.logits.chunks(width)) {
            model.run_entry(single, "decode", &[("ids", &[*id]), ("rows", &[0])], &[]);
            worst.check(
                max_diff(&model.read_entry(single, "decode", logits), expected).into(),
                NUMBERS,
                name,
            );
        }
    }
}

fn decoding(model: &Runner) -> Decoding {
    let rules = model.loaded.translation.as_ref().unwrap().rules.clone();
    Decoding::new(&model.loaded.model, rules, Vec::new(), None).unwrap()
}

fn search(
    model: &mut Runner,
    settings: TranslateSettings,
    source: &[u32],
    prefix: &[u32],
) -> (Vec<Hypothesis>, Vec<BeamNode>) {
    let decoding = decoding(model);
    let exec = model.exec.as_mut();
    let mut search =
        Search::start(exec, decoding, &settings, source.to_vec(), prefix.to_vec()).unwrap();
    while block_on(search.step(exec)).unwrap() != SearchStep::Done {}
    search.close(exec);
    let [sentence] = search.sentences() else {
        panic!("one sentence")
    };
    (sentence.hypotheses(), sentence.nodes().to_vec())
}

fn settings(beams: u32, length_penalty: f32) -> TranslateSettings {
    TranslateSettings {
        beams,
        best: beams,
        length_penalty,
        max_tokens: 12,
        ..TranslateSettings::default()
    }
}

#[test]
fn beam_search_finds_what_pytorch_finds() {
    for target in targets("beam_search_finds_what_pytorch_finds") {
        searches_of_pytorch(target);
    }
}

fn searches_of_pytorch(target: Target) {
    let mut compared = 0;
    for name in ["tiny-relu", "tiny-swish"] {
        let (golden, mut model) = tiny(name, target);
        for case in &golden.cases {
            for expected in &case.searches {
                let settings = settings(expected.beams, expected.length_penalty);
                let (found, _) = search(&mut model, settings, &case.source, &[]);
                let at = format!(
                    "{name}, {target:?}, {} beams, {:?}",
                    expected.beams, case.source
                );
                assert_eq!(found.len(), expected.hypotheses.len(), "{at}");
                for (found, expected) in found.iter().zip(&expected.hypotheses) {
                    let ids: Vec<u32> = found.words.iter().map(|word| word.id).collect();
                    assert_eq!(ids, expected.ids, "{at}");
                    if let Some(normalised) = expected.normalised {
                        assert!((found.normalised - normalised).abs() < SCORES, "{at}");
                    }
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 2 * 3 * 19);
}

#[test]
fn every_hypothesis_has_the_score_of_forced_decoding() {
    for target in targets("every_hypothesis_has_the_score_of_forced_decoding") {
        scores_of_forced_decoding(target);
    }
}

fn scores_of_forced_decoding(target: Target) {
    let (golden, mut model) = tiny("tiny-relu", target);
    for case in &golden.cases {
        let (found, nodes) = search(&mut model, settings(4, 1.0), &case.source, &[]);
        for found in &found {
            let ids: Vec<u32> = found.words.iter().map(|word| word.id).collect();
            let decoding = decoding(&model);
            let forced = forced_scores(model.exec.as_mut(), decoding, case.source.clone(), &ids);
            let forced: f64 = block_on(forced).unwrap().iter().sum();
            assert!(
                (forced - found.score).abs() < SCORES,
                "{forced} and {}",
                found.score
            );
        }
        // The tree: scores add up, and every step keeps as many as there are beams at most.
        for node in &nodes {
            let before = node.parent.map_or(0.0, |parent| nodes[parent].score);
            assert!((before + node.log_prob - node.score).abs() < 1e-9);
            let parent = node.parent.map(|parent| &nodes[parent]);
            assert!(
                parent
                    .is_none_or(|parent| parent.step + 1 == node.step && parent.fate == Fate::Kept)
            );
        }
    }
}

#[test]
fn a_forced_start_is_gone_on_from() {
    for target in targets("a_forced_start_is_gone_on_from") {
        forced_start(target);
    }
}

fn forced_start(target: Target) {
    let (golden, mut model) = tiny("tiny-relu", target);
    let case = &golden.cases[1];
    let prefix = &case.target[..3];
    let (found, nodes) = search(&mut model, settings(4, 1.0), &case.source, prefix);
    assert_eq!(
        nodes
            .iter()
            .filter(|node| node.fate == Fate::Forced)
            .count(),
        3
    );
    for found in &found {
        let ids: Vec<u32> = found.words.iter().map(|word| word.id).collect();
        assert_eq!(&ids[..3], prefix);
        let decoding = decoding(&model);
        let forced = forced_scores(model.exec.as_mut(), decoding, case.source.clone(), &ids);
        let forced: f64 = block_on(forced).unwrap().iter().sum();
        assert!((forced - found.score).abs() < SCORES);
    }
}

#[test]
fn nothing_is_written_before_something_is_read() {
    for target in targets("nothing_is_written_before_something_is_read") {
        let (_, mut model) = tiny("tiny-relu", target);
        let session = model.exec.open(1, 64).unwrap();
        let input = |name, data| Input { name, data };
        let refused = model.exec.run(Run {
            session,
            entry: "decode",
            inputs: &[input("ids", &[60]), input("rows", &[0])],
            taps: &[],
        });
        assert_eq!(refused, Err(ExecError::NoSource), "{target:?}");
    }
}

#[derive(Deserialize)]
struct Hub {
    texts: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    text: String,
    ids: Vec<u32>,
    beams: u32,
    target: String,
}

/// The files of the hub's checkpoint, some of them replaced; `weights` is the file that is called
/// `pytorch_model.bin`.
fn hub(weights: &str, replaced: &[(&str, Vec<u8>)]) -> Vec<Box<dyn Source>> {
    let names = [
        "config.json",
        "generation_config.json",
        "source.spm",
        "target.spm",
        "vocab.json",
    ];
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
    files.push(("pytorch_model.bin", weights));
    let source = |(name, file): (&str, &str)| {
        let given = replaced.iter().find(|(replaced, _)| *replaced == name);
        let read = || std::fs::read(golden::path("marian/hub").join(file)).unwrap();
        let bytes = given.map_or_else(read, |(_, bytes)| bytes.clone());
        let name = name.into();
        Box::new(MemorySource { name, bytes }) as Box<dyn Source>
    };
    files.into_iter().map(source).collect()
}

#[test]
fn folders_of_the_hub_translate_as_pytorch() {
    let expected: Hub = golden::json("marian/hub.json");
    assert_eq!(expected.texts.len(), 14);
    for target in targets("folders_of_the_hub_translate_as_pytorch") {
        for weights in ["pytorch_model.bin", "before-1.6.bin"] {
            let mut model = Runner::load(hub(weights, &[]), target);
            let tokenizer = model.loaded.tokenizer.clone();
            let end = model.loaded.translation.as_ref().unwrap().rules.end;
            for told in &expected.texts {
                let at = format!("{target:?}, {weights}, {} beams: {}", told.beams, told.text);
                let mut ids = tokenizer.encode(&told.text, SpecialTokens::Parse).unwrap();
                ids.push(end);
                assert_eq!(ids, told.ids, "{at}");
                let settings = TranslateSettings {
                    beams: told.beams,
                    ..TranslateSettings::default()
                };
                let (found, _) = search(&mut model, settings, &ids, &[]);
                let ids: Vec<u32> = found[0].words.iter().map(|word| word.id).collect();
                assert_eq!(tokenizer.decode(&ids), told.target, "{at}");
            }
        }
    }
}

#[test]
fn damaged_folders_are_refused() {
    let refused = |replaced: &[(&str, Vec<u8>)]| {
        let files = Files::new(hub("pytorch_model.bin", replaced)).unwrap();
        let mut exec = Target::Cpu(Precision::Exact).executor();
        let (mut silent, never) = (|_, _, _| {}, Cancel::default());
        let loading = files.load(exec.as_mut(), 64, &mut silent, &never);
        block_on(loading).err().unwrap().sentence()
    };
    let file = |name: &str| std::fs::read(golden::path("marian/hub").join(name)).unwrap();
    let half = |name: &str| {
        let bytes = file(name);
        bytes[..bytes.len() / 2].to_vec()
    };
    for (name, said) in [
        ("pytorch_model.bin", "incomplete or damaged"),
        ("vocab.json", "vocabulary (vocab.json) cannot be read"),
        ("source.spm", "vocabulary cannot be read"),
    ] {
        let sentence = refused(&[(name, half(name))]);
        assert!(sentence.contains(said), "{name}: {sentence}");
    }
    // A token fewer, and one more.
    let vocabulary = String::from_utf8(file("vocab.json")).unwrap();
    let fewer = vocabulary.replace(",\n\"<pad>\": 287", "");
    let more = vocabulary.replace("\n}", ",\n\"<more>\": 288\n}");
    let other = vocabulary
        .replace("\"</s>\": 0", "\"</s>\": 1")
        .replace("\"<unk>\": 1", "\"<unk>\": 0");
    for wrong in [fewer, more, other] {
        assert_ne!(wrong, vocabulary);
        let sentence = refused(&[("vocab.json", wrong.into_bytes())]);
        assert!(sentence.contains("belong together"), "{sentence}");
    }
    // A program that would run something.
    let evil = [
        &file("before-1.6.bin")[..15],
        b"\x80\x02M\xe9\x03.\x80\x02}.\x80\x02cposix\nsystem\n.",
    ];
    let sentence = refused(&[("pytorch_model.bin", evil.concat())]);
    assert!(sentence.contains("posix.system"), "{sentence}");
}

/// Attention of encoder, decoder and from decoder to source, of every layer, by its role.
fn every_attention(graph: &Graph) -> Vec<NodeId> {
    let stacks = [Stack::Encoder, Stack::Decoder, Stack::Cross];
    let of =
        |stack| (0..).map_while(move |layer| graph.role(Role::AttentionProbs { stack, layer }));
    stacks.into_iter().flat_map(of).collect()
}

#[test]
fn every_attention_can_be_looked_at() {
    let mut all = targets("every_attention_can_be_looked_at")
        .into_iter()
        .map(|target| {
            let (golden, mut model) = tiny("tiny-swish", target);
            let case = &golden.cases[2];
            let graphs = Rc::clone(&model.loaded.model);
            let session = model.exec.open(1, 64).unwrap();
            let mut seen = Vec::new();
            let read = every_attention(&graphs.entries["encode"]);
            let written = every_attention(&graphs.entries["decode"]);
            // One layer of the encoder; three of the decoder, each with its own and its source's.
            assert_eq!((read.len(), written.len()), (1, 6));
            model.encode(session, &case.source, &read);
            seen.extend(
                read.iter()
                    .map(|&node| model.read_entry(session, "encode", node)),
            );
            let rows = [case.target.len() as u32 - 1];
            let inputs: [(&str, &[u32]); 2] = [("ids", &case.target), ("rows", &rows)];
            model.run_entry(session, "decode", &inputs, &written);
            seen.extend(
                written
                    .iter()
                    .map(|&node| model.read_entry(session, "decode", node)),
            );
            seen
        });
    let expected = all.next().unwrap();
    let mut worst = Worst::new("probabilities on the GPU");
    for found in all {
        for (found, expected) in found.iter().zip(&expected) {
            assert!(!expected.is_empty());
            worst.check(max_diff(found, expected).into(), 1e-5, "tiny-swish");
        }
    }
}
