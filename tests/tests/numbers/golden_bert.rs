//! Small random models of BERT and its relatives: all their numbers, against PyTorch transformers
//! (`tests/golden/bert/tiny.py`), and the default model (`minilm.py`), on the CPU and on this machine's
//! GPU.
#![allow(clippy::unwrap_used, reason = "tests")]

use futures::executor::block_on;
use glassformer_engine::{PathSource, registry};
use glassformer_graph::{Input, NodeId, Precision, Role, Run, SessionId, Stack, Tap, Tensor};
use serde::Deserialize;

use crate::golden::{self, Runner, Target, Worst, max_abs, max_diff};

const ENTRY: &str = "encode";
const STACK: Stack = Stack::Encoder;

/// Relative to the largest of a vector. f32 has steps of 6e-8; layer norms of a few layers and sharp
/// attention, summed in another order than PyTorch's, make up to 1.2e-6 of them.
const HIDDEN: f32 = 5e-6;

/// Absolute; the largest logits are about 10, the largest differences 1.1e-5.
const LOGITS: f32 = 4e-5;

/// Absolute; a weight is at most 1. The largest differences are 1.2e-6.
const ATTENTION: f32 = 5e-6;

/// Of a row's sum from one.
const SUM: f32 = 2e-6;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

/// A batch; see the docstring of `tiny.py`.
#[derive(Deserialize)]
struct Case {
    ids: Vec<Vec<u32>>,
    types: Vec<Vec<u32>>,
    lengths: Vec<u32>,
    layers: Vec<usize>,
    hidden: Vec<Vec<Vec<Vec<f32>>>>,
    logits: Option<Vec<Vec<Vec<f32>>>>,
    attention: Vec<Vec<Vec<Vec<Vec<f32>>>>>,
}

fn role(model: &Runner, role: Role) -> NodeId {
    let graph = &model.loaded.model.entries[ENTRY];
    graph
        .role(role)
        .unwrap_or_else(|| panic!("no node is {role:?}"))
}

fn read(model: &Runner, session: SessionId, node: NodeId, select: &[usize]) -> Tensor {
    let read = model.exec.read(session, ENTRY, node, select);
    block_on(read).unwrap().pop().unwrap()
}

fn check(name: &str, model: &mut Runner, case: &Case, on: &str) {
    let mut logits = Worst::new(format!("{name} on {on}: logits"));
    let mut hidden = Worst::new(format!("{name} on {on}: hidden states, relative"));
    let mut attention = Worst::new(format!("{name} on {on}: attention"));
    let mut sums = Worst::new(format!("{name} on {on}: sums of attention from one"));
    let (batch, longest) = (case.ids.len(), case.ids[0].len());
    let stack = STACK;
    let residual = |layer: &usize| {
        role(
            model,
            Role::Residual {
                stack,
                layer: *layer,
            },
        )
    };
    let residuals: Vec<_> = case.layers.iter().map(residual).collect();
    let layers = 0..case.attention.len();
    let probs: Vec<_> = layers
        .map(|layer| role(model, Role::AttentionProbs { stack, layer }))
        .collect();
    let rows: Vec<u32> = (0..longest as u32).collect();
    let (ids, types) = (case.ids.concat(), case.types.concat());
    let named = [
        ("ids", &ids),
        ("types", &types),
        ("lengths", &case.lengths),
        ("rows", &rows),
    ];
    let inputs = named.map(|(name, data)| Input { name, data });
    let session = model.open(batch);
    let run = |model: &mut Runner, taps: &[Tap]| {
        let run = Run {
            session,
            entry: ENTRY,
            inputs: &inputs,
            taps,
        };
        model.exec.run(run).unwrap();
    };
    run(model, &golden::taps(&[&residuals[..], &probs].concat()));
    let tapped = case.logits.as_ref().map(|_| {
        let node = role(model, Role::Logits);
        (node, read(model, session, node, &[]))
    });

    for b in 0..batch {
        let len = case.lengths[b] as usize;
        for (i, layer) in case.layers.iter().enumerate() {
            let stream = read(model, session, residuals[i], &[b]);
            for (position, reference) in case.hidden[i][b].iter().enumerate() {
                let diff = max_diff(stream.row(position).unwrap(), reference);
                let at =
                    format!("sequence {b} of {len}, position {position}, after {layer} layers");
                hidden.check((diff / max_abs(reference)).into(), HIDDEN.into(), at);
            }
        }
        if let (Some(reference), Some((_, got))) = (&case.logits, &tapped) {
            for (position, reference) in reference[b].iter().enumerate() {
                let got = got.row(b * longest + position).unwrap();
                let at = format!("sequence {b} of {len}, position {position}");
                logits.check(max_diff(got, reference).into(), LOGITS.into(), at);
            }
        }
        for (layer, reference) in case.attention.iter().enumerate() {
            for (head, reference) in reference[b].iter().enumerate() {
                let got = read(model, session, probs[layer], &[b, head]);
                let at = format!("layer {layer}, head {head}, sequence {b}");
                assert_eq!(got.shape, [longest, longest], "{at}");
                for (query, reference) in reference.iter().enumerate() {
                    let (seen, padding) = got.row(query).unwrap().split_at(len);
                    attention.check(max_diff(seen, reference).into(), ATTENTION.into(), &at);
                    sums.check(
                        (seen.iter().sum::<f32>() - 1.0).abs().into(),
                        SUM.into(),
                        &at,
                    );
                    assert!(padding.iter().all(|p| *p == 0.0), "{at}: padding is seen");
                }
            }
        }
    }
    // Computed at once, without anybody looking, the answer is the same to the last digits.
    if let Some((node, looked)) = tapped {
        run(model, &[]);
        let alone = read(model, session, node, &[]);
        let diff = max_diff(&alone.data, &looked.data);
        assert!(
            diff < LOGITS,
            "{name} on {on}: taps change logits by {diff}"
        );
    }
    model.exec.close(session);
}

fn compare(name: &str) {
    let golden: Golden = golden::json(&format!("bert/{name}/golden.json"));
    assert_eq!(golden.cases.len(), 3, "{name}");
    let mut targets = vec![("the CPU", Target::Cpu(Precision::Exact))];
    let gpus = golden::gpus(name);
    targets.extend(["the GPU", "a plain GPU"].into_iter().zip(gpus));
    for (on, target) in targets {
        let mut model = golden::tiny_of("bert", name, target);
        for case in &golden.cases {
            check(name, &mut model, case, on);
        }
    }
}

/// What is compared of the default model; see the docstring of `minilm.py`.
#[derive(Deserialize)]
struct Default {
    sha256: String,
    cases: Vec<DefaultCase>,
}

#[derive(Deserialize)]
struct DefaultCase {
    text: String,
    pair: Option<String>,
    ids: Vec<u32>,
    types: Vec<u32>,
    hidden: DefaultHidden,
    logits: Vec<Logits>,
    attention: Vec<Vec<Vec<Vec<f32>>>>,
}

#[derive(Deserialize)]
struct DefaultHidden {
    positions: Vec<usize>,
    layers: Vec<Vec<Vec<f32>>>,
}

#[derive(Deserialize)]
struct Logits {
    logsumexp: f64,
    top: Vec<(usize, f32)>,
}

/// The default model's tolerances, each a few times the largest difference; attention is given in five
/// digits.
const DEFAULT: [f32; 3] = [5e-6, 5e-5, 2e-5];

fn check_default(model: &mut Runner, case: &DefaultCase, on: &str) {
    let [most_hidden, most_logits, most_attention] = DEFAULT.map(f64::from);
    let mut logits = Worst::new(format!("{} on {on}: logits", case.text));
    let mut hidden = Worst::new(format!("{} on {on}: hidden states, relative", case.text));
    let mut attention = Worst::new(format!("{} on {on}: attention", case.text));
    let pieces = model
        .loaded
        .tokenizer
        .pieces(&case.text, case.pair.as_deref());
    let pieces = pieces.unwrap();
    let ids: Vec<u32> = pieces.iter().map(|piece| piece.id).collect();
    let types: Vec<u32> = pieces.iter().map(|piece| piece.type_id).collect();
    assert_eq!((&ids, &types), (&case.ids, &case.types));
    let stack = STACK;
    let layers = 0..case.hidden.layers.len();
    let residuals = layers.map(|layer| role(model, Role::Residual { stack, layer }));
    let residuals: Vec<_> = residuals.collect();
    let probs = 0..case.attention.len();
    let probs = probs.map(|layer| role(model, Role::AttentionProbs { stack, layer }));
    let probs: Vec<_> = probs.collect();
    let rows: Vec<u32> = (0..ids.len() as u32).collect();
    let lengths = vec![ids.len() as u32];
    let named = [
        ("ids", &ids),
        ("types", &types),
        ("lengths", &lengths),
        ("rows", &rows),
    ];
    let inputs = named.map(|(name, data)| Input { name, data });
    let session = model.open(1);
    let run = Run {
        session,
        entry: ENTRY,
        inputs: &inputs,
        taps: &golden::taps(&[&residuals[..], &probs].concat()),
    };
    model.exec.run(run).unwrap();
    for (layer, reference) in case.hidden.layers.iter().enumerate() {
        let stream = read(model, session, residuals[layer], &[0]);
        for (position, reference) in case.hidden.positions.iter().zip(reference) {
            let diff = max_diff(stream.row(*position).unwrap(), reference);
            let at = format!("position {position} after {layer} layers");
            hidden.check((diff / max_abs(reference)).into(), most_hidden, at);
        }
    }
    let got = read(model, session, role(model, Role::Logits), &[0]);
    assert_eq!(case.logits.len(), ids.len());
    for (position, reference) in case.logits.iter().enumerate() {
        let row = got.row(position).unwrap();
        let at = format!("position {position}");
        for (id, logit) in &reference.top {
            logits.check((row[*id] - logit).abs().into(), most_logits, &at);
        }
        let diff = golden::logsumexp(row) - reference.logsumexp;
        logits.check(diff.abs(), most_logits, &at);
    }
    for (layer, heads) in case.attention.iter().enumerate() {
        for (head, reference) in heads.iter().enumerate() {
            let got = read(model, session, probs[layer], &[0, head]);
            let diff = max_diff(&got.data, &reference.concat());
            attention.check(
                diff.into(),
                most_attention,
                format!("layer {layer}, head {head}"),
            );
        }
    }
    model.exec.close(session);
}

#[test]
fn the_default_model() {
    let golden: Default = golden::json("bert/minilm.json");
    assert_eq!(golden.cases.len(), 3);
    let entry = registry::find("minilm-l6-mlm").unwrap();
    let file = &entry.files[0];
    assert_eq!(
        golden.sha256, file.sha256,
        "these are values of another file: run tests/golden/bert/minilm.py"
    );
    let path = golden::path("../../models").join(&file.path);
    let mut targets = vec![("the CPU", Target::Cpu(Precision::Exact))];
    let gpus = golden::gpus("the_default_model");
    targets.extend(["the GPU", "a plain GPU"].into_iter().zip(gpus));
    for (on, target) in targets {
        let source = PathSource::new(&path).unwrap();
        let mut model = Runner::load(vec![Box::new(source)], target);
        for case in &golden.cases {
            check_default(&mut model, case, on);
        }
    }
}

#[test]
fn bert_f32() {
    compare("tiny-bert");
}

#[test]
fn bert_under_old_names_f16() {
    compare("tiny-bert-old");
}

#[test]
fn bert_untied_in_shards_f32() {
    compare("tiny-bert-untied");
}

#[test]
fn bert_without_a_head_bf16() {
    compare("tiny-bert-bare");
}

#[test]
fn roberta_f32() {
    compare("tiny-roberta");
}

#[test]
fn distilbert_f16() {
    compare("tiny-distilbert");
}

#[test]
fn albert_in_groups_f32() {
    compare("tiny-albert");
}

#[test]
fn albert_with_inner_layers_f32() {
    compare("tiny-albert-inner");
}

#[test]
fn electra_generator_f32() {
    compare("tiny-electra");
}
