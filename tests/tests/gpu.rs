//! The default model on the GPU, beside the CPU in `exact`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod golden;

use glassformer_graph::Precision;
use golden::{Worst, max_diff, top_two};

/// A prompt of two chunks, in English and code.
const PROMPT: &str = "The lighthouse keeper wrote in her diary every evening. On the last page she said: \
    fn main() { let x = 42; println!(\"{x}\"); } and then, after a long silence,";

#[test]
fn logits_of_the_default_model() {
    const TEST: &str = "logits_of_the_default_model";
    let Some(mut cpu) = golden::smollm2(TEST, Precision::Exact) else {
        return;
    };
    let ids = cpu.loaded.tokenizer.encode(PROMPT).unwrap();
    let positions: Vec<u32> = (0..ids.len() as u32).step_by(7).collect();
    let expected = cpu.prompt(&ids, &positions, 32);
    for target in golden::gpus(TEST) {
        let mut gpu = golden::smollm2(TEST, target).unwrap();
        for chunk in [32, 1] {
            let mut worst = Worst::new(format!("{target:?}, chunks of {chunk}: logits"));
            let logits = gpu.prompt(&ids, &positions, chunk);
            for ((position, a), b) in positions.iter().zip(&logits).zip(&expected) {
                let diff = max_diff(a, b);
                worst.check(f64::from(diff), 1e-3, format!("position {position}"));
                assert_eq!(top_two(a)[0], top_two(b)[0]);
            }
        }
    }
}

#[test]
fn greedy_text_of_the_default_model() {
    const TEST: &str = "greedy_text_of_the_default_model";
    let Some(mut cpu) = golden::smollm2(TEST, Precision::Exact) else {
        return;
    };
    let prompt = cpu.loaded.tokenizer.encode(PROMPT).unwrap();
    let expected = cpu.greedy(&prompt, 64);
    for target in golden::gpus(TEST) {
        let mut gpu = golden::smollm2(TEST, target).unwrap();
        assert_eq!(gpu.greedy(&prompt, 64), expected, "{target:?}");
    }
}
