//! The model of the fill-mask tab as the repository carries it: how often it names the piece behind a
//! mask on held-out text, beside the figures of the f16 weights that it was rounded from
//! (`models/recipes/minilm-l6-mlm/evaluate.py` says which positions are masked and computed them).
#![allow(clippy::unwrap_used, reason = "tests")]

use glassformer_engine::{PathSource, registry};
use glassformer_graph::{Input, Precision, Role, Run};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::golden::Runner;

/// By how much rounding may lower the share of first guesses, and of the first five.
const MOST_LOST: f64 = 0.005;

/// Positions between the special tokens.
const LONGEST: usize = 510;

#[derive(Deserialize)]
struct Figures {
    top1: f64,
    top5: f64,
    positions: usize,
}

fn models() -> std::path::PathBuf {
    "../models".into()
}

/// As `is_chosen` of `evaluate.py`.
fn is_chosen(line: usize, position: usize) -> bool {
    let digest = Sha256::digest(format!("{line}/{position}"));
    let first = u64::from_be_bytes(digest[..8].try_into().unwrap());
    (first as f64) < 0.15 * 2f64.powi(64)
}

/// Shares of pieces named first and among the first five, and how many there were.
fn measure(precision: Precision) -> Figures {
    let entry = registry::find("minilm-l6-mlm").unwrap();
    let source = PathSource::new(models().join(&entry.files[0].path)).unwrap();
    let mut model = Runner::load(vec![Box::new(source)], precision);
    let tokenizer = model.loaded.tokenizer.clone();
    let mask = tokenizer.mask_id().unwrap();
    let logits = model.loaded.model.entries["encode"].role(Role::Logits);
    let logits = logits.unwrap();
    let session = model.open(1);
    let text = models().join("recipes/minilm-l6-mlm/validation.txt");
    let text = std::fs::read_to_string(text).unwrap();
    let (mut first, mut five, mut count) = (0, 0, 0);
    for (line, text) in text.lines().enumerate() {
        let pieces = tokenizer.pieces(text, None).unwrap();
        let mut ids: Vec<u32> = pieces.iter().map(|piece| piece.id).collect();
        if ids.len() > LONGEST + 2 {
            ids.drain(LONGEST + 1..ids.len() - 1);
        }
        let rows: Vec<u32> = (1..ids.len() - 1)
            .filter(|&position| is_chosen(line, position))
            .map(|position| position as u32)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let truth: Vec<u32> = rows.iter().map(|&row| ids[row as usize]).collect();
        for &row in &rows {
            ids[row as usize] = mask;
        }
        let (types, lengths) = (vec![0; ids.len()], [ids.len() as u32]);
        let inputs = [
            ("ids", &ids[..]),
            ("types", &types),
            ("lengths", &lengths),
            ("rows", &rows),
        ];
        let inputs = inputs.map(|(name, data)| Input { name, data });
        let run = Run {
            session,
            entry: "encode",
            inputs: &inputs,
            taps: &[],
        };
        model.exec.run(run).unwrap();
        let read = model.exec.read(session, "encode", logits, &[0]);
        let read = futures::executor::block_on(read).unwrap().pop().unwrap();
        for (i, &id) in truth.iter().enumerate() {
            let row = read.row(i).unwrap();
            let above = row.iter().filter(|l| **l > row[id as usize]).count();
            first += usize::from(above == 0);
            five += usize::from(above < 5);
            count += 1;
        }
    }
    let share = |n: usize| n as f64 / count as f64;
    Figures {
        top1: share(first),
        top5: share(five),
        positions: count,
    }
}

/// Measures the file in one precision, beside the weights it was rounded from.
fn costs_less_than_half_a_point(precision: Precision) {
    let figures = std::fs::read(models().join("minilm-l6-mlm/figures.json")).unwrap();
    let f16: Figures = serde_json::from_slice(&figures).unwrap();
    println!("f16: top-1 {:.4}, top-5 {:.4}", f16.top1, f16.top5);
    let ours = measure(precision);
    println!(
        "8 bits, {}: top-1 {:.4}, top-5 {:.4} of {}",
        precision.name(),
        ours.top1,
        ours.top5,
        ours.positions
    );
    assert_eq!(ours.positions, f16.positions);
    for (ours, f16) in [(ours.top1, f16.top1), (ours.top5, f16.top5)] {
        assert!((ours - f16).abs() <= MOST_LOST, "{ours} beside {f16}");
    }
}

// Two tests, so that they run side by side.

#[test]
fn rounding_weights_costs_less_than_half_a_point() {
    costs_less_than_half_a_point(Precision::Exact);
}

#[test]
fn rounding_activations_too_costs_less_than_half_a_point() {
    costs_less_than_half_a_point(Precision::Fast);
}
