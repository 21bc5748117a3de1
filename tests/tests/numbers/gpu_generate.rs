//! Whole generations with tokens chosen on the device are those of the CPU.
#![allow(clippy::unwrap_used, reason = "tests")]

use futures::executor::block_on;
use glassformer_graph::Precision;
use glassformer_tasks::{Branch, Forced, GenerateSettings, Generation, Held, Step};

use crate::golden::{self, Target, Worst};
use crate::small;

/// What a generation wrote: steps with their texts, ids, and the rounded log-probabilities apart.
fn generate(
    target: Target,
    prompt: &[u32],
    context: usize,
    settings: &GenerateSettings,
    branch: &Branch,
) -> (Vec<u32>, String, Vec<f32>) {
    thread_local! {
        /// Loading compiles: one model for each target.
        static MODELS: std::cell::RefCell<Vec<(Target, golden::Runner)>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    MODELS.with_borrow_mut(|models| {
        if !models.iter().any(|(known, _)| *known == target) {
            models.push((target, small::model(target)));
        }
        let runner = &mut models
            .iter_mut()
            .find(|(known, _)| *known == target)
            .unwrap()
            .1;
        let id = runner.exec.open(1, context).unwrap();
        let held = Held { id, tokens: 0 };
        let (model, tokenizer) = (&runner.loaded.model, &runner.loaded.tokenizer);
        let mut generation = Generation::start(
            model,
            held,
            context,
            tokenizer,
            prompt.to_vec(),
            branch.clone(),
            settings.clone(),
        )
        .unwrap();
        let mut logprobs = Vec::new();
        let reason = loop {
            match block_on(generation.step(runner.exec.as_mut())).unwrap() {
                Step::Prefill { .. } => {}
                Step::Token(token) | Step::LastToken(token) => {
                    assert_eq!(generation.written().last(), Some(&token.id));
                    logprobs.push(token.logprob);
                }
                Step::Finished { reason, .. } => break format!("{reason:?}"),
            }
        };
        let written = generation.written().to_vec();
        runner.exec.close(id);
        (written, reason, logprobs)
    })
}

#[test]
fn generations_are_those_of_the_cpu() {
    const TEST: &str = "generations_are_those_of_the_cpu";
    let base = GenerateSettings {
        max_tokens: 24,
        ..GenerateSettings::default()
    };
    let with = |temperature, top_k, top_p, repetition_penalty| GenerateSettings {
        temperature,
        top_k,
        top_p,
        repetition_penalty,
        ..base.clone()
    };
    let forced = |position, id| Forced { position, id };
    let branch = Branch {
        written: vec![9, 8],
        forced: vec![forced(3, 17), forced(4, 18), forced(9, 200)],
    };
    let none = Branch::default();
    let long = GenerateSettings {
        max_tokens: 40,
        ..with(0.0, 0, 1.0, 1.0)
    };
    let cases = [
        ("greedy", 5, 600, with(0.0, 0, 1.0, 1.0), &none),
        ("usual", 5, 600, base.clone(), &none),
        ("top-k", 40, 600, with(1.0, 40, 1.0, 1.0), &none),
        (
            "a top-k beyond the list",
            5,
            600,
            with(1.0, 300, 1.0, 1.0),
            &none,
        ),
        ("flat", 5, 600, with(20.0, 0, 1.0, 1.0), &none),
        ("penalty", 5, 600, with(0.8, 0, 0.95, 1.3), &none),
        ("reward", 5, 600, with(0.8, 0, 0.95, 0.8), &none),
        ("forced tokens", 5, 600, with(0.7, 0, 0.9, 1.0), &branch),
        (
            "forced tokens, flat",
            5,
            600,
            with(20.0, 0, 1.0, 1.0),
            &branch,
        ),
        // The last token needs no room.
        ("a full context", 30, 40, long.clone(), &none),
        ("a growing cache", 240, 600, long.clone(), &none),
        // Beyond 768 keys another plan goes on.
        ("many keys", 755, 900, long.clone(), &none),
        (
            "a growing cache, often undecided",
            240,
            600,
            GenerateSettings {
                temperature: 20.0,
                ..long
            },
            &none,
        ),
    ];
    let mut worst = Worst::new("log-probabilities");
    let mut tokens = 0;
    for target in golden::gpus(TEST) {
        for (name, prompt, context, settings, branch) in &cases {
            let prompt = small::ids(*prompt, *prompt as usize);
            let run = |target| generate(target, &prompt, *context, settings, branch);
            let expected = run(Precision::Exact.into());
            let actual = run(target);
            assert_eq!(actual.0, expected.0, "{target:?}: {name}");
            assert_eq!(actual.1, expected.1, "{target:?}: {name}");
            for (a, b) in actual.2.iter().zip(&expected.2) {
                worst.check(f64::from((a - b).abs()), 1e-4, name);
            }
            tokens += actual.0.len();
        }
    }
    println!("{tokens} tokens");
}
