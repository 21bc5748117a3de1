//! Attention as the page and the shell show it, beside PyTorch transformers' eager attention, on
//! both backends; and one cell explained from taps that agree with it.
#![allow(
    clippy::unwrap_used,
    reason = "a comparison that cannot go on has failed"
)]

use futures::executor::block_on;
use glassformer_engine::protocol::attention::{AttentionSummary, MapOf, floats};
use glassformer_engine::protocol::{BackendChoice, PrecisionChoice};
use glassformer_engine::tasks::TaskError;
use glassformer_engine::tasks::attention::{AttentionRun, AttentionText};
use glassformer_engine::{Cancel, DEFAULT_CONTEXT, Engine, EngineError, Files, PathSource};
use glassformer_graph::Precision;
use serde::Deserialize;

use crate::golden;

/// Between our weights and the reference's, and between a row's sum and one.
const WEIGHT: f32 = 1e-4;
const ROW_SUM: f32 = 1e-5;

#[derive(Deserialize)]
struct Golden {
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Prompt {
    text: String,
    ids: Vec<u32>,
    #[serde(default)]
    attention: Vec<Map>,
}

#[derive(Deserialize)]
struct Map {
    layer: u32,
    head: u32,
    weights: Vec<Vec<f32>>,
}

fn engine(test: &str, backend: BackendChoice) -> Option<Engine> {
    let file = golden::smollm2_file(test)?;
    let files = Files::new(vec![Box::new(PathSource::new(file).unwrap())]).unwrap();
    let mut engine = Engine::new();
    block_on(engine.load(
        &files,
        "smollm2",
        None,
        backend,
        PrecisionChoice::Exact,
        DEFAULT_CONTEXT,
        &mut |_, _, _| {},
        &Cancel::default(),
    ))
    .unwrap();
    Some(engine)
}

fn attend(engine: &mut Engine, run: u32, text: &str) -> Result<AttentionSummary, EngineError> {
    block_on(engine.attend(run, text, None, &mut |_| {}, &Cancel::default()))
}

fn map(engine: &mut Engine, run: u32, layer: u32, head: u32) -> Vec<f32> {
    block_on(engine.attention_map(run, MapOf::Head { layer, head })).unwrap()
}

fn agrees(engine: &mut Engine) {
    let golden: Golden = golden::json("llama/smollm2.json");
    let mut compared = 0;
    for prompt in golden.prompts.iter().filter(|p| !p.attention.is_empty()) {
        let summary = attend(engine, 1, &prompt.text).unwrap();
        let ids: Vec<u32> = summary.tokens.iter().map(|token| token.id).collect();
        assert_eq!(ids, prompt.ids);
        let n = ids.len();
        for Map {
            layer,
            head,
            weights,
        } in &prompt.attention
        {
            let ours = map(engine, 1, *layer, *head);
            let theirs: Vec<f32> = weights.concat();
            assert_eq!(ours.len(), n * n);
            let largest = ours
                .iter()
                .zip(&theirs)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(largest <= WEIGHT, "layer {layer} head {head}: {largest:e}");
            compared += 1;
        }
        // Every row of every head.
        let (layers, heads) = (summary.shape.layers, summary.shape.heads);
        for (layer, head) in (0..layers).flat_map(|l| (0..heads).map(move |h| (l, h))) {
            for row in map(engine, 1, layer, head).chunks(n) {
                let sum: f64 = row.iter().map(|&x| f64::from(x)).sum();
                assert!(
                    (sum - 1.0).abs() <= f64::from(ROW_SUM),
                    "{layer} {head}: {sum}"
                );
            }
        }
    }
    assert_eq!(compared, 18);
}

/// One query of a head, and the numbers between.
fn explained(engine: &mut Engine) {
    let text = "The animal didn't cross the street because it was too tired.";
    let summary = attend(engine, 2, text).unwrap();
    let (n, shape) = (summary.tokens.len(), summary.shape);
    for (layer, head, from) in [(0, 0, 0), (7, 4, 5), (29, 8, n - 1)] {
        let map = map(engine, 2, layer, head);
        let focus = block_on(engine.attention_focus(2, layer, head, from as u32)).unwrap();
        assert_eq!(focus.probs.len(), from + 1);
        assert_eq!(focus.output.len(), 576);
        let dim = shape.head_dim as usize;
        let own = &focus.context[head as usize * dim..][..dim];
        for to in 0..=from {
            let cell = focus.cell(to, shape.scale).unwrap();
            let near = |a: f32, b: f32| (a - b).abs() <= 1e-4 * b.abs().max(1.0);
            assert!(near(cell.scaled, focus.scores[to]), "{cell:?}");
            assert!((cell.weight - focus.probs[to]).abs() <= 1e-5);
            assert!((focus.probs[to] - map[from * n + to]).abs() <= WEIGHT);
            for (ours, tap) in cell.read.iter().zip(own) {
                assert!(near(*ours, *tap), "layer {layer} head {head}: {ours} {tap}");
            }
        }
        assert_eq!(focus.cell(from + 1, shape.scale), None);
    }
    // Thumbnails of short texts are the maps.
    let side = summary.side as usize;
    assert_eq!(side, n);
    let thumbnails = floats(&summary.thumbnails);
    let place = (7 * shape.heads as usize + 4) * n * n;
    assert_eq!(thumbnails[place..place + n * n], map(engine, 2, 7, 4));

    // A rollout's rows are shares of one, too.
    let rolled = block_on(engine.attention_map(2, MapOf::Rollout { layer: 29 })).unwrap();
    for row in rolled.chunks(n) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }
}

fn refuses(engine: &mut Engine) {
    let empty = attend(engine, 3, "  ").unwrap_err();
    assert_eq!(empty, EngineError::Task(TaskError::EmptyPrompt));
    // What was run before is still there, until a third text takes its place.
    let outside = block_on(engine.attention_map(2, MapOf::Head { layer: 30, head: 0 }));
    let sentence = outside.unwrap_err().sentence();
    assert_eq!(
        sentence,
        "There is no head 0 in layer 30: this model has layers 0 to 29 and heads 0 to 8."
    );
    let outside = block_on(engine.attention_focus(2, 0, 0, 999)).unwrap_err();
    assert!(outside.sentence().starts_with("There is no token 999"));
    attend(engine, 4, "One").unwrap();
    attend(engine, 5, "Two").unwrap();
    let dropped = block_on(engine.attention_map(2, MapOf::Head { layer: 0, head: 0 }));
    assert_eq!(dropped.unwrap_err(), EngineError::RunDropped);
}

#[test]
fn smollm2_on_the_cpu() {
    let Some(mut engine) = engine("smollm2_on_the_cpu", BackendChoice::Cpu) else {
        return;
    };
    agrees(&mut engine);
    explained(&mut engine);
    refuses(&mut engine);
}

#[test]
fn smollm2_on_the_gpu() {
    let test = "smollm2_on_the_gpu";
    if golden::gpus(test).is_empty() {
        return;
    }
    let Some(mut engine) = engine(test, BackendChoice::WebGpu) else {
        return;
    };
    assert_eq!(engine.info().unwrap().backend, "webgpu");
    agrees(&mut engine);
    explained(&mut engine);
}

/// A batch of `tests/golden/bert/tiny.py`.
#[derive(Deserialize)]
struct Batch {
    ids: Vec<Vec<u32>>,
    types: Vec<Vec<u32>>,
    lengths: Vec<usize>,
    /// `[layer, batch, head, query, key]`, without padding.
    attention: Vec<Vec<Vec<Vec<Vec<f32>>>>>,
}

#[derive(Deserialize)]
struct Tiny {
    cases: Vec<Batch>,
}

/// Every head of a model that reads both ways, and a cell of each layer.
fn both_ways(name: &str, target: golden::Target) {
    let tiny: Tiny = golden::json(&format!("bert/{name}/golden.json"));
    let mut model = golden::tiny_of("bert", name, target);
    let exec = model.exec.as_mut();
    let mut compared = 0;
    for case in &tiny.cases {
        for (b, &n) in case.lengths.iter().enumerate() {
            let text = AttentionText {
                ids: case.ids[b][..n].to_vec(),
                types: case.types[b][..n].to_vec(),
                special: vec![false; n],
                source: None,
                picture: None,
            };
            let mut run = AttentionRun::start(&model.loaded.model, exec, None, text).unwrap();
            block_on(run.step(exec)).unwrap();
            assert_eq!(run.progress(), (n, n));
            assert!(!run.layout().causal);
            let scale = run.layout().scale;
            for (layer, reference) in case.attention.iter().enumerate() {
                for (head, reference) in reference[b].iter().enumerate() {
                    let map = block_on(run.map(exec, layer, head)).unwrap();
                    assert_eq!(map.len(), n * n);
                    for (i, reference) in reference.iter().enumerate() {
                        let row = &map[i * n..(i + 1) * n];
                        assert!(golden::max_diff(row, &reference[..n]) <= 1e-5, "{name}");
                        assert!((row.iter().sum::<f32>() - 1.0).abs() <= ROW_SUM);
                        compared += 1;
                    }
                }
                let from = n - 1;
                let focus = block_on(run.focus(exec, layer, 0, from)).unwrap();
                let map = block_on(run.map(exec, layer, 0)).unwrap();
                for to in 0..n {
                    let cell = focus.cell(to, scale).unwrap();
                    assert!((cell.scaled - focus.scores[to]).abs() <= 1e-4);
                    assert!((cell.weight - focus.probs[to]).abs() <= 1e-5);
                    assert!((focus.probs[to] - map[from * n + to]).abs() <= 1e-5);
                    let dim = run.layout().head_dim;
                    assert!(golden::max_diff(&cell.read, &focus.context[..dim]) <= 1e-4);
                }
            }
            run.close(exec);
        }
    }
    assert!(compared > 0);
}

#[test]
fn bert_and_its_relatives() {
    let mut targets = vec![golden::Target::Cpu(Precision::Exact)];
    targets.extend(golden::gpus("bert_and_its_relatives"));
    for name in [
        "tiny-bert",
        "tiny-roberta",
        "tiny-distilbert",
        "tiny-albert",
        "tiny-electra",
    ] {
        for target in &targets {
            both_ways(name, *target);
        }
    }
}

#[test]
fn a_long_text_is_cut_and_said_to_be() {
    let Some(mut engine) = engine("a_long_text_is_cut_and_said_to_be", BackendChoice::Cpu) else {
        return;
    };
    let text = "word ".repeat(10_000);
    let summary = attend(&mut engine, 1, &text).unwrap();
    assert_eq!(summary.tokens.len(), 512);
    assert!(summary.of > 9_000 && !summary.more, "{}", summary.of);
    // All layers of 512 tokens fit; a map of the last has rows that sum to one.
    let map = map(&mut engine, 1, 29, 8);
    let last: f32 = map[511 * 512..].iter().sum();
    assert!((last - 1.0).abs() <= 1e-4);
}
