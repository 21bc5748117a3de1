//! Small random models of every variant and encoding: all their numbers, against PyTorch
//! transformers (`tests/golden/llama/tiny.py`).
#![allow(clippy::unwrap_used, reason = "tests")]

use glassformer_graph::{Precision, Role};
use serde::Deserialize;

use crate::golden::{self, Runner, Worst, max_abs, max_diff};

/// Relative to the largest of a vector. f32 has steps of 6e-8; two or three layers of sums in another
/// order than PyTorch's, with attention drawn to be sharp, make up to 5e-6 of them.
const HIDDEN: f32 = 2e-5;

/// Absolute; the largest logits are about 16.
const LOGITS: f32 = 1e-4;

/// Absolute; a weight is at most 1. Where attention is drawn to be sharp, PyTorch's f32 is up to 6.1e-6 away
/// from f64 itself, and ours in another order of sums as far: 1.05e-5 were seen between them.
const ATTENTION: f32 = 1.5e-5;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    ids: Vec<u32>,
    /// Of which logits and hidden states are given.
    positions: Vec<u32>,
    /// `[positions][vocab]`
    logits: Vec<Vec<f32>>,
    hidden: Hidden,
    /// `[layer][head][query][key]`
    attention: Vec<Vec<Vec<Vec<f32>>>>,
}

#[derive(Deserialize)]
struct Hidden {
    /// `[positions][hidden]`
    embed: Vec<Vec<f32>>,
    /// `[layer][positions][hidden]`
    layers: Vec<Vec<Vec<f32>>>,
    /// `[positions][hidden]`
    norm: Vec<Vec<f32>>,
}

fn check(name: &str, golden: &str, mut model: Runner) {
    let golden: Golden = golden::json(&format!("llama/{golden}"));
    let lengths: Vec<usize> = golden.cases.iter().map(|case| case.ids.len()).collect();
    assert_eq!(lengths, [1, 5, 37], "{name}");
    let mut logits = Worst::new(format!("{name}: logits"));
    let mut hidden = Worst::new(format!("{name}: hidden states, relative"));
    let mut attention = Worst::new(format!("{name}: attention"));

    for case in &golden.cases {
        let layers = case.attention.len();
        assert_eq!(case.hidden.layers.len(), layers, "{name}");
        assert!(!case.positions.is_empty(), "{name}");
        let residuals: Vec<_> = (0..=layers).map(|layer| model.residual(layer)).collect();
        let probs: Vec<_> = (0..layers).map(|layer| model.probs(layer)).collect();
        let norm = model.role(Role::FinalHidden);
        let taps = golden::taps(&[&residuals[..], &probs, &[norm]].concat());
        let session = model.open(1);
        let got = model
            .run(session, &case.ids, &case.positions, &taps)
            .unwrap();

        let mut close = |reference: &[f32], got: Option<&[f32]>, at: &str| {
            let scale = max_abs(reference).max(f32::MIN_POSITIVE);
            let diff = max_diff(got.unwrap_or(&[]), reference) / scale;
            hidden.check(diff.into(), HIDDEN.into(), at);
        };
        let final_hidden = model.last(session, norm, &[0]);
        for (i, &position) in case.positions.iter().enumerate() {
            let at = format!("position {position} of {}", case.ids.len());
            let diff = max_diff(got.row(i).unwrap_or(&[]), &case.logits[i]);
            logits.check(diff.into(), LOGITS.into(), &at);
            let embed = std::iter::once(&case.hidden.embed[i]);
            let layers = case.hidden.layers.iter().map(|layer| &layer[i]);
            for (layer, reference) in embed.chain(layers).enumerate() {
                let stream = model.last(session, residuals[layer], &[0]);
                let row = stream.row(position as usize);
                close(reference, row, &format!("{at}, after {layer} layers"));
            }
            close(
                &case.hidden.norm[i],
                final_hidden.row(i),
                &format!("{at}, norm"),
            );
        }
        for (layer, heads) in case.attention.iter().enumerate() {
            for (head, rows) in heads.iter().enumerate() {
                let got = model.last(session, probs[layer], &[0, head]);
                let diff = max_diff(&got.data, &rows.concat());
                attention.check(
                    diff.into(),
                    ATTENTION.into(),
                    format!("layer {layer}, head {head}"),
                );
            }
        }
    }
}

fn folder(name: &str) {
    let model = golden::tiny_folder(name, Precision::Exact);
    check(name, &format!("{name}/golden.json"), model);
}

fn blocks(encoding: &str) {
    let model = golden::tiny_blocks(encoding, Precision::Exact);
    check(encoding, &format!("tiny-blocks/{encoding}.json"), model);
}

#[test]
fn grouped_heads_f32() {
    folder("tiny-gqa");
}

#[test]
fn biases_and_odd_head_dim_f16() {
    folder("tiny-bias");
}

#[test]
fn one_key_head_bf16() {
    folder("tiny-bf16");
}

#[test]
fn two_shards_f32() {
    folder("tiny-sharded");
}

#[test]
fn gguf_f32() {
    blocks("f32");
}

#[test]
fn gguf_f16() {
    blocks("f16");
}

#[test]
fn gguf_q8_0() {
    blocks("q8_0");
}

#[test]
fn gguf_q4_0() {
    blocks("q4_0");
}

#[test]
fn gguf_q4_1() {
    blocks("q4_1");
}
