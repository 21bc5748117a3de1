//! Small random models that see pictures: their embeddings, logits and attention against PyTorch
//! transformers (`tests/golden/vision/tiny.py`), on the CPU and on this machine's GPU.
#![allow(clippy::unwrap_used, reason = "tests")]

use futures::executor::block_on;
use glassformer_engine::tasks::attention::{AttentionRun, AttentionText};
use glassformer_engine::tasks::matching::Sight;
use glassformer_graph::{Input, NodeId, Precision, Role, Run, SessionId, Stack, Tensor};
use serde::Deserialize;

use crate::golden::{self, Runner, Target, Worst, max_abs, max_diff};

/// Relative to the largest number of a vector; the largest difference is 1.1e-6.
const OUTPUT: f32 = 4e-6;

/// Absolute; a weight is at most 1. The largest difference is 1e-6.
const ATTENTION: f32 = 4e-6;

/// Of a row's sum from one.
const SUM: f32 = 2e-6;

#[derive(Deserialize)]
struct Golden {
    image: Image,
    text: Option<Text>,
    scale: Option<f32>,
}

/// See the docstring of `tiny.py`.
#[derive(Deserialize)]
struct Image {
    pixels: Vec<Vec<Vec<f32>>>,
    output: Vec<Vec<f32>>,
    attention: Vec<Vec<Vec<Vec<Vec<f32>>>>>,
}

#[derive(Deserialize)]
struct Text {
    ids: Vec<Vec<u32>>,
    types: Vec<Vec<u32>>,
    lengths: Vec<u32>,
    output: Vec<Vec<f32>>,
    attention: Vec<Vec<Vec<Vec<Vec<f32>>>>>,
}

fn probs(model: &Runner, entry: &str, layers: usize) -> Vec<NodeId> {
    let graph = &model.loaded.model.entries[entry];
    let stack = Stack::Encoder;
    (0..layers)
        .map(|layer| graph.role(Role::AttentionProbs { stack, layer }).unwrap())
        .collect()
}

fn run(
    model: &mut Runner,
    entry: &str,
    batch: usize,
    inputs: &[Input<'_>],
    nodes: &[NodeId],
) -> (SessionId, Tensor) {
    let session = model.open(batch);
    let run = Run {
        session,
        entry,
        inputs,
        taps: &golden::taps(nodes),
    };
    model.exec.run(run).unwrap();
    let output = model.loaded.model.entries[entry].outputs()[0];
    let value = read(model, session, entry, output, &[]);
    (session, value)
}

fn read(model: &Runner, session: SessionId, entry: &str, node: NodeId, select: &[usize]) -> Tensor {
    let read = model.exec.read(session, entry, node, select);
    block_on(read).unwrap().pop().unwrap()
}

fn check_output(worst: &mut Worst, actual: &Tensor, expected: &[Vec<f32>]) {
    assert_eq!(actual.shape, [expected.len(), expected[0].len()]);
    for (i, expected) in expected.iter().enumerate() {
        let diff = max_diff(actual.row(i).unwrap(), expected) / max_abs(expected);
        worst.check(diff.into(), OUTPUT.into(), format_args!("row {i}"));
    }
}

/// Attention `[layer][batch][head][query][key]`, cut to what each sequence has.
fn check_attention(
    model: &Runner,
    session: SessionId,
    entry: &str,
    expected: &[Vec<Vec<Vec<Vec<f32>>>>],
    name: &str,
) {
    let mut worst = Worst::new(format!("{name}: attention"));
    let mut sums = Worst::new(format!("{name}: sums of attention from one"));
    let nodes = probs(model, entry, expected.len());
    for (layer, (node, expected)) in nodes.into_iter().zip(expected).enumerate() {
        for (b, expected) in expected.iter().enumerate() {
            for (head, expected) in expected.iter().enumerate() {
                let actual = read(model, session, entry, node, &[b, head]);
                for (query, expected) in expected.iter().enumerate() {
                    let at = format!("layer {layer}, {b}, head {head}, query {query}");
                    let row = &actual.row(query).unwrap()[..expected.len()];
                    worst.check(max_diff(row, expected).into(), ATTENTION.into(), &at);
                    let sum: f32 = row.iter().sum();
                    sums.check((sum - 1.0).abs().into(), SUM.into(), &at);
                }
            }
        }
    }
}

fn check(name: &str, target: Target, on: &str) {
    let golden: Golden = golden::json(&format!("vision/{name}/golden.json"));
    let mut model = golden::tiny_of("vision", name, target);
    let image = &golden.image;
    let pixels: Vec<f32> = image.pixels.iter().flatten().flatten().copied().collect();
    let nodes = probs(&model, "image", image.attention.len());
    let given = [Input::values("pixels", &pixels)];
    let batch = image.pixels.len();
    let (session, output) = run(&mut model, "image", batch, &given, &nodes);
    let mut worst = Worst::new(format!("{name} on {on}: pictures, relative"));
    check_output(&mut worst, &output, &image.output);
    let what = format!("{name} on {on}, pictures");
    check_attention(&model, session, "image", &image.attention, &what);
    // Without taps nothing else comes out.
    let (_, again) = run(&mut model, "image", batch, &given, &[]);
    check_output(&mut worst, &again, &image.output);

    let Some(text) = &golden.text else {
        assert!(!model.loaded.model.entries.contains_key("text"));
        return;
    };
    let (ids, types) = (text.ids.concat(), text.types.concat());
    let given = [("ids", &ids), ("types", &types), ("lengths", &text.lengths)];
    let given = given.map(|(name, data)| Input { name, data });
    let nodes = probs(&model, "text", text.attention.len());
    let (session, output) = run(&mut model, "text", text.lengths.len(), &given, &nodes);
    let mut worst = Worst::new(format!("{name} on {on}: texts, relative"));
    check_output(&mut worst, &output, &text.output);
    let what = format!("{name} on {on}, texts");
    check_attention(&model, session, "text", &text.attention, &what);

    let (_, scale) = run(&mut model, "scale", 1, &[], &[]);
    assert_eq!(
        (scale.shape, scale.data),
        (vec![1], vec![golden.scale.unwrap()])
    );
}

/// Every head as the Attention tab shows it, and one query of each layer all the way.
fn look(model: &mut Runner, text: AttentionText, expected: &[Vec<Vec<Vec<f32>>>], name: &str) {
    let (exec, n) = (model.exec.as_mut(), text.ids.len());
    let mut run = AttentionRun::start(&model.loaded.model, exec, None, text).unwrap();
    block_on(run.step(exec)).unwrap();
    assert_eq!(run.progress(), (n, n));
    let (scale, dim) = (run.layout().scale, run.layout().head_dim);
    let mut worst = Worst::new(format!("{name}: maps of the tab"));
    for (layer, expected) in expected.iter().enumerate() {
        for (head, expected) in expected.iter().enumerate() {
            let map = block_on(run.map(exec, layer, head)).unwrap();
            let diff = max_diff(&map, &expected.concat());
            let at = format!("layer {layer}, head {head}");
            worst.check(diff.into(), ATTENTION.into(), at);
            // Every focus is a run of its own.
            if head > 0 {
                continue;
            }
            let (from, to) = (n - 1, n / 2);
            let focus = block_on(run.focus(exec, layer, head, from)).unwrap();
            let cell = focus.cell(to, scale).unwrap();
            assert!((cell.weight - map[from * n + to]).abs() < 1e-5);
            let own = &focus.context[head * dim..][..dim];
            assert!(max_diff(&cell.read, own) < 1e-4);
        }
    }
    let rolled = block_on(run.rollout(exec, expected.len() - 1)).unwrap();
    for row in rolled.chunks(n) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    assert_eq!(run.stats().len(), expected.len() * expected[0].len());
    run.close(exec);
}

/// What of a batch belongs to one of its pictures or texts: `[layer][head][query][key]`.
fn of_one(all: &[Vec<Vec<Vec<Vec<f32>>>>], which: usize) -> Vec<Vec<Vec<Vec<f32>>>> {
    all.iter().map(|layer| layer[which].clone()).collect()
}

/// The first `most` pictures and texts of a model.
fn check_looking(name: &str, target: Target, on: &str, most: usize) {
    let golden: Golden = golden::json(&format!("vision/{name}/golden.json"));
    let mut model = golden::tiny_of("vision", name, target);
    let sight = Sight::find(&model.loaded.model).unwrap();
    for (i, pixels) in golden.image.pixels.iter().enumerate().take(most) {
        let text = AttentionText::of_picture(&sight, pixels.concat());
        assert_eq!(text.special.iter().filter(|s| **s).count(), sight.first);
        let expected = of_one(&golden.image.attention, i);
        look(
            &mut model,
            text,
            &expected,
            &format!("{name} on {on}, picture {i}"),
        );
    }
    let Some(read) = &golden.text else { return };
    for (i, &length) in read.lengths.iter().enumerate().take(most) {
        let n = length as usize;
        let text = AttentionText {
            ids: read.ids[i][..n].to_vec(),
            types: read.types[i][..n].to_vec(),
            special: vec![false; n],
            ..AttentionText::default()
        };
        let expected = of_one(&read.attention, i);
        look(
            &mut model,
            text,
            &expected,
            &format!("{name} on {on}, text {i}"),
        );
    }
}

const MODELS: [&str; 6] = [
    "tiny-clip",
    "tiny-clip-gelu",
    "tiny-vit",
    "tiny-deit",
    "tiny-dual",
    "tiny-dual-stem",
];

#[test]
fn pictures_and_captions_on_the_cpu() {
    for name in MODELS {
        check(name, Target::Cpu(Precision::Exact), "the CPU");
    }
}

#[test]
fn pictures_and_captions_on_the_gpu() {
    let gpus = golden::gpus("pictures_and_captions_on_the_gpu");
    for (i, target) in gpus.into_iter().enumerate() {
        for name in MODELS {
            check(name, target, &format!("GPU {i}"));
        }
    }
}

#[test]
fn heads_over_pictures_and_captions_on_the_cpu() {
    for name in MODELS {
        check_looking(name, Target::Cpu(Precision::Exact), "the CPU", usize::MAX);
    }
}

#[test]
fn heads_over_pictures_and_captions_on_the_gpu() {
    let gpus = golden::gpus("heads_over_pictures_and_captions_on_the_gpu");
    for (i, target) in gpus.into_iter().enumerate() {
        for name in MODELS {
            check_looking(name, target, &format!("GPU {i}"), 1);
        }
    }
}
