//! Choosing tokens on the device: the same list and sums as the CPU keeps, the same token as the
//! sampler draws.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::rc::Rc;

use futures::executor::block_on;
use glassformer_gpu::{Gpu, GpuExecutor, Wanted};
use glassformer_graph::{
    Builder, Choice, Choosing, Encoding, Executor, Input, KeptLogits, Mask, Model, Precision, Run,
    Symbol, WeightId,
};
use glassformer_tasks::{GenerateSettings, Sampler};

use crate::golden::Worst;

const ENTRY: &str = "decode";

fn open(test: &str) -> Option<Rc<Gpu>> {
    match block_on(Gpu::open(Wanted::default())) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            glassformer_tests::cannot_run(test, &error.to_string());
            None
        }
    }
}

/// Numbers in `0..1` without a pattern.
fn noise(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 24) as f32
    }
}

/// Logits of many kinds.
fn kinds(vocab: usize) -> Vec<(&'static str, Vec<f32>)> {
    let mut noise = noise(vocab as u32);
    // Three sums of four are close to a normal distribution.
    let mut normal = || (0..12).map(|_| noise()).sum::<f32>() - 6.0;
    let mut of = |scale: f32| (0..vocab).map(|_| normal() * scale).collect::<Vec<_>>();
    let steps = |logits: Vec<f32>| {
        logits
            .iter()
            .map(|l| (l * 2.0).round() / 2.0 + 0.0)
            .collect()
    };
    vec![
        ("peaked", of(4.0)),
        ("usual", of(2.0)),
        ("flat", of(0.01)),
        (
            "far below zero",
            of(3.0).iter().map(|l| l - 300.0).collect(),
        ),
        ("tied", steps(of(1.0))),
        ("equal", vec![-1.5; vocab]),
    ]
}

/// A model whose logits behind token `t` are the `t`-th of these.
fn model(logits: &[(&str, Vec<f32>)]) -> (Rc<Model>, Vec<u8>) {
    let mut builder = Builder::new();
    let shape = [logits.len(), logits[0].1.len()];
    let table = builder.weight("logits", &shape).unwrap();
    let dims = [Symbol::Batch, Symbol::QueryLen];
    let ids = builder.input("ids", &dims).unwrap();
    let rows = builder.input("rows", &[Symbol::Rows]).unwrap();
    let x = builder.embedding("x", ids, table).unwrap();
    let logits_node = builder.select_rows("logits", x, rows).unwrap();
    builder.entry(ENTRY, &[logits_node]).unwrap();
    let numbers = logits.iter().flat_map(|(_, logits)| logits);
    let bytes = numbers.flat_map(|l| l.to_le_bytes()).collect();
    (Rc::new(builder.finish()), bytes)
}

fn settings() -> Vec<GenerateSettings> {
    let base = GenerateSettings {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        ..GenerateSettings::default()
    };
    let mut all = vec![
        GenerateSettings {
            temperature: 0.0,
            ..base.clone()
        },
        GenerateSettings {
            temperature: 0.0,
            repetition_penalty: 1.5,
            ..base.clone()
        },
        GenerateSettings {
            top_k: 300,
            ..base.clone()
        },
        GenerateSettings {
            top_k: 256,
            ..base.clone()
        },
        GenerateSettings {
            top_k: 1,
            ..base.clone()
        },
        GenerateSettings {
            temperature: 0.05,
            top_p: 0.5,
            ..base.clone()
        },
        GenerateSettings {
            temperature: 3.0,
            min_p: 0.2,
            ..base.clone()
        },
        GenerateSettings {
            top_k: 50,
            top_p: 0.95,
            min_p: 0.05,
            ..base.clone()
        },
    ];
    for (i, seed) in (1..=4).enumerate() {
        let penalty = [1.0, 1.3][i % 2];
        all.extend([
            GenerateSettings {
                seed,
                repetition_penalty: penalty,
                ..base.clone()
            },
            GenerateSettings {
                seed,
                temperature: 0.7,
                top_p: 0.9,
                repetition_penalty: penalty,
                ..base.clone()
            },
            GenerateSettings {
                seed,
                top_k: 40,
                repetition_penalty: penalty,
                ..base.clone()
            },
        ]);
    }
    all
}

/// What the device keeps and chooses of the logits behind a token, if it takes them.
fn choose(
    exec: &mut GpuExecutor,
    token: u32,
    settings: &GenerateSettings,
    history: &[u32],
) -> Option<Choice> {
    let session = exec.open(1, 8).unwrap();
    let logits = exec_logits();
    let inputs = [
        Input {
            name: "ids",
            data: &[token],
        },
        Input {
            name: "rows",
            data: &[0],
        },
    ];
    let run = Run {
        session,
        entry: ENTRY,
        inputs: &inputs,
        taps: &[],
    };
    exec.run(run).unwrap();
    let draw = Sampler::new(settings.clone()).draw(0) as f32;
    let choosing = Choosing {
        session,
        entry: ENTRY,
        logits,
        history,
        temperature: settings.temperature,
        top_k: settings.top_k,
        top_p: settings.top_p,
        min_p: settings.min_p,
        repetition_penalty: settings.repetition_penalty,
        draws: &[draw],
    };
    let takes = exec.begin_choosing(&choosing).unwrap();
    let choice = takes.then(|| block_on(exec.next_choice(session)).unwrap().unwrap());
    exec.close(session);
    choice
}

/// The last node of [`model`].
fn exec_logits() -> glassformer_graph::NodeId {
    glassformer_graph::NodeId(3)
}

/// How far a draw is outside the part of `0..1` that belongs to a token, in probability.
fn outside(settings: &GenerateSettings, logits: &[f32], history: &[u32], id: u32) -> f64 {
    let kept = settings.distribution(logits, history);
    let total: f64 = kept.iter().map(|(_, p)| f64::from(*p)).sum();
    let draw = Sampler::new(settings.clone()).draw(0);
    let mut before = 0.0;
    for (candidate, p) in &kept {
        let after = before + f64::from(*p) / total;
        if candidate.id == id {
            return (before - draw).max(draw - after).max(0.0);
        }
        before = after;
    }
    f64::INFINITY
}

#[test]
fn the_device_keeps_and_chooses_what_the_cpu_does() {
    const TEST: &str = "the_device_keeps_and_chooses_what_the_cpu_does";
    let Some(gpu) = open(TEST) else {
        return;
    };
    let mut sums = Worst::new("logarithms of the kept sums");
    let mut draws = Worst::new("draws on the other side of a limit between two tokens");
    let (mut decided, mut undecided) = (0, 0);
    for vocab in [7, 255, 256, 257, 5000, 49152] {
        let kinds = kinds(vocab);
        let (model, bytes) = model(&kinds);
        let mut exec = GpuExecutor::new(Rc::clone(&gpu), Precision::Exact);
        exec.load(model, &[Encoding::F32]).unwrap();
        exec.write_weight(WeightId(0), &bytes).unwrap();
        exec.finish_load().unwrap();
        for (token, (kind, logits)) in (0..).zip(&kinds) {
            let expected = KeptLogits::of(logits).unwrap();
            let likely: Vec<u32> = expected.top.iter().map(|(id, _)| *id).collect();
            for settings in settings() {
                let at = format!("{vocab} {kind} {settings:?}");
                // Tokens that the penalty moves within the list, out of it, and below it.
                let history: Vec<u32> = likely.iter().step_by(3).copied().chain([0, 5]).collect();
                // What the list cannot hold is not begun.
                let takes = vocab <= 256 || settings.top_k <= 256;
                let choice = choose(&mut exec, token, &settings, &history);
                assert_eq!(choice.is_some(), takes, "{at}");
                let Some(choice) = choice else {
                    continue;
                };
                assert_eq!(choice.kept.top, expected.top, "{at}");
                let pairs = choice.kept.log_sums.iter().zip(&expected.log_sums);
                for (a, b) in pairs {
                    // Sums of f32, in another order.
                    sums.check(f64::from((a - b).abs()), 5e-6, &at);
                }
                let chosen = Sampler::new(settings.clone())
                    .choose(logits, &history, 0)
                    .unwrap();
                let kept = settings.distribution(logits, &history);
                match choice.id {
                    None => {
                        undecided += 1;
                        // Only where the list may not suffice: too many are kept, the draw lies
                        // beyond it, or a penalty or tie reaches its end.
                        let least = expected.top[expected.top.len() - 1].1;
                        let reaches = kept.len() >= expected.top.len()
                            || !likely.contains(&chosen)
                            || settings.penalised_least(logits, &history, &kept) <= least;
                        assert!(vocab > likely.len() && reaches, "{at}");
                    }
                    Some(id) if settings.temperature == 0.0 => {
                        decided += 1;
                        assert_eq!(id, chosen, "{at}");
                    }
                    Some(id) if id == chosen => decided += 1,
                    Some(id) => {
                        decided += 1;
                        // The device's draw and sums have 24 bits.
                        let outside = outside(&settings, logits, &history, id);
                        draws.check(outside, 2e-6, &at);
                    }
                }
                if vocab <= 256 {
                    assert!(choice.id.is_some(), "{at}");
                }
                // A tie that reaches beyond the list is never decided.
                if *kind == "equal" && vocab > 256 && settings.top_k == 256 {
                    assert_eq!(choice.id, None, "{at}");
                }
                if vocab == 49152 && *kind == "flat" && settings.top_p == 0.9 {
                    assert_eq!(choice.id, None, "{at}");
                }
            }
        }
    }
    println!("{decided} decided, {undecided} not");
    assert!(decided > 500 && undecided > 50);
}

/// The least penalised logit among what may be drawn.
trait Least {
    fn penalised_least(
        &self,
        logits: &[f32],
        history: &[u32],
        kept: &[(glassformer_tasks::Candidate, f32)],
    ) -> f32;
}

impl Least for GenerateSettings {
    fn penalised_least(
        &self,
        logits: &[f32],
        history: &[u32],
        kept: &[(glassformer_tasks::Candidate, f32)],
    ) -> f32 {
        let logit = |id: u32| {
            let logit = logits[id as usize];
            match (history.contains(&id), logit < 0.0) {
                (false, _) => logit,
                (true, true) => logit * self.repetition_penalty,
                (true, false) => logit / self.repetition_penalty,
            }
        };
        kept.iter()
            .map(|(c, _)| logit(c.id))
            .fold(f32::INFINITY, f32::min)
    }
}

#[test]
fn attention_that_grows_is_not_chosen_ahead() {
    let Some(gpu) = open("attention_that_grows_is_not_chosen_ahead") else {
        return;
    };
    for (width, ahead) in [(6, false), (8, true)] {
        let mut b = Builder::new();
        let table = b.weight("table", &[3, width]).unwrap();
        let dims = [Symbol::Batch, Symbol::QueryLen];
        let ids = b.input("ids", &dims).unwrap();
        let rows = b.input("rows", &[Symbol::Rows]).unwrap();
        let states = ["k", "v"].map(|name| b.state(name, &[1, width], 600));
        let x = b.embedding("x", ids, table).unwrap();
        let heads = b.split("heads", x, 1).unwrap();
        let k = b.append("k", heads, states[0]).unwrap();
        let v = b.append("v", heads, states[1]).unwrap();
        let scores = b.attention_scores("scores", heads, k, None, 1.0, Mask::Causal);
        let probs = b.softmax("probs", scores.unwrap()).unwrap();
        let context = b.attention_context("context", probs, v).unwrap();
        let joined = b.join("joined", context).unwrap();
        let logits = b.select_rows("logits", joined, rows).unwrap();
        b.entry(ENTRY, &[logits]).unwrap();
        let mut exec = GpuExecutor::new(Rc::clone(&gpu), Precision::Exact);
        exec.load(Rc::new(b.finish()), &[Encoding::F32]).unwrap();
        exec.write_weight(WeightId(0), &vec![0; 12 * width])
            .unwrap();
        exec.finish_load().unwrap();
        let session = exec.open(1, 600).unwrap();
        let inputs = [
            Input {
                name: "ids",
                data: &[1],
            },
            Input {
                name: "rows",
                data: &[0],
            },
        ];
        let run = Run {
            session,
            entry: ENTRY,
            inputs: &inputs,
            taps: &[],
        };
        exec.run(run).unwrap();
        let choosing = Choosing {
            session,
            entry: ENTRY,
            logits,
            history: &[],
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            draws: &[0.0; 4],
        };
        assert_eq!(exec.begin_choosing(&choosing).unwrap(), ahead);
    }
}
