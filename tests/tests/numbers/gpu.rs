//! The default model on the GPU, beside the CPU in `exact`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use futures::executor::block_on;
use glassformer_graph::{Choosing, Precision, Role};
use glassformer_text::SpecialTokens;

use crate::golden::{self, DECODE, Runner, Worst, max_diff, top_two};

/// A prompt of two chunks, in English and code.
const PROMPT: &str = "The lighthouse keeper wrote in her diary every evening. On the last page she said: \
    fn main() { let x = 42; println!(\"{x}\"); } and then, after a long silence,";

fn encode(runner: &Runner) -> Vec<u32> {
    let tokenizer = &runner.loaded.tokenizer;
    tokenizer.encode(PROMPT, SpecialTokens::Add).unwrap()
}

/// Tokens a device chooses by itself after `prompt`, with temperature 0.
fn chosen(gpu: &mut Runner, prompt: &[u32], n: usize) -> Vec<u32> {
    let session = gpu.open(1);
    let last = prompt.len() as u32 - 1;
    gpu.run(session, prompt, &[last], &[]).unwrap();
    let choosing = Choosing {
        session,
        entry: DECODE,
        logits: gpu.role(Role::Logits),
        history: prompt,
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        draws: &vec![0.0; n],
    };
    assert!(gpu.exec.begin_choosing(&choosing).unwrap());
    let mut ids = Vec::new();
    while let Some(choice) = block_on(gpu.exec.next_choice(session)).unwrap() {
        ids.push(choice.id.unwrap());
        assert_eq!(gpu.exec.len(session).unwrap(), prompt.len() + ids.len() - 1);
    }
    gpu.exec.close(session);
    ids
}

#[test]
fn logits_of_the_default_model() {
    const TEST: &str = "logits_of_the_default_model";
    let Some(mut cpu) = golden::smollm2(TEST, Precision::Exact) else {
        return;
    };
    let ids = encode(&cpu);
    let positions: Vec<u32> = (0..ids.len() as u32).step_by(7).collect();
    let expected = cpu.prompt(&ids, &positions, 32);
    // Token by token once with every feature, in chunks with and without.
    for (target, chunk) in golden::gpus(TEST).into_iter().zip([1, 32]) {
        let mut gpu = golden::smollm2(TEST, target).unwrap();
        for chunk in BTreeSet::from([chunk, 32]) {
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
fn a_token_takes_few_dispatches() {
    const TEST: &str = "a_token_takes_few_dispatches";
    for target in golden::gpus(TEST) {
        let Some(mut gpu) = golden::smollm2(TEST, target) else {
            return;
        };
        // Five a layer, the embedding, the chosen rows and the head; then one that chooses.
        let steps = gpu.exec.steps(DECODE, &[]).unwrap();
        let layers = gpu.loaded.model.states.len() / 2;
        assert_eq!((layers, steps.len()), (30, 30 * 5 + 3), "{target:?}");
    }
}

#[test]
fn greedy_text_of_the_default_model() {
    const TEST: &str = "greedy_text_of_the_default_model";
    let Some(mut cpu) = golden::smollm2(TEST, Precision::Exact) else {
        return;
    };
    let prompt = encode(&cpu);
    let expected = cpu.greedy(&prompt, 64);
    for target in golden::gpus(TEST) {
        let mut gpu = golden::smollm2(TEST, target).unwrap();
        assert_eq!(chosen(&mut gpu, &prompt, 64), expected, "{target:?}");
    }
}
