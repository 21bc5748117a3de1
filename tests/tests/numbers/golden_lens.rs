//! The probabilities that the token lens shows, recomputed from the reference's logits by PyTorch
//! transformers' own logits processors (`tests/golden/llama/lens.py`).
//!
//! `--nocapture` shows the measured figures.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use glassformer_engine::protocol;
use glassformer_graph::{KeptLogits, Precision};
use glassformer_tasks::{GenerateSettings, SHOWN, SamplerStep, stages};
use serde::Deserialize;

use crate::golden::{self, Worst};

/// Absolute, of a probability. The model's own logits agree within far less than 1e-3 (measured
/// 3e-5), and so do probabilities; the kept sums are interpolated within 2e-5.
const PROBABILITY: f64 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Prompt {
    name: String,
    ids: Vec<u32>,
    /// The likeliest under the raw logits.
    top: Vec<u32>,
    raw: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    settings: Changes,
    /// The likeliest after the penalty, where they differ.
    ids: Option<Vec<u32>>,
    /// Of each of them, after each step that is switched on.
    after: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
#[serde(default)]
struct Changes {
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
        }
    }
}

impl Changes {
    fn settings(&self) -> GenerateSettings {
        GenerateSettings {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            ..GenerateSettings::default()
        }
    }
}

const NAMES: [(&str, SamplerStep); 5] = [
    ("penalty", SamplerStep::Penalty),
    ("temperature", SamplerStep::Temperature),
    ("top_k", SamplerStep::TopK),
    ("top_p", SamplerStep::TopP),
    ("min_p", SamplerStep::MinP),
];

#[test]
fn the_lens_shows_the_references_probabilities() {
    let name = "the_lens_shows_the_references_probabilities";
    let Some(mut model) = golden::smollm2(name, Precision::Exact) else {
        return;
    };
    let golden: Golden = golden::json("llama/lens.json");
    let mut worst = Worst::new("probability in the lens");
    let mut bounded = Worst::new("probability behind a cut beyond the kept logits");
    let (mut compared, mut doubted) = (0, 0);
    for prompt in &golden.prompts {
        let session = model.open(1);
        let last = [prompt.ids.len() as u32 - 1];
        let logits = model.run(session, &prompt.ids, &last, &[]).unwrap().data;
        model.exec.close(session);
        // As the page gets them: through the bytes of a message.
        let kept = KeptLogits::of(&logits).unwrap();
        let kept = protocol::unpack(&protocol::pack(&kept)).unwrap();
        for case in &prompt.cases {
            let told = stages(&kept, &case.settings.settings(), &prompt.ids, None).unwrap();
            // Where the lens says that it cannot be sure, it says how unsure.
            let doubt = told.doubt > PROBABILITY;
            doubted += usize::from(doubt);
            let expected = case.ids.as_ref().unwrap_or(&prompt.top);
            assert_eq!(told.candidates.len(), SHOWN);
            for stage in &told.candidates {
                // Two that are equally likely within rounding may change places, also at the end.
                let Some(at) = expected.iter().position(|id| *id == stage.id) else {
                    let last = &told.candidates[SHOWN - 2];
                    assert!((last.raw - stage.raw).abs() < 1e-4, "{}", prompt.name);
                    continue;
                };
                if let Some(raw) = prompt.top.iter().position(|id| *id == stage.id) {
                    let error = (stage.raw - prompt.raw[raw]).abs();
                    worst.check(error, PROBABILITY, &prompt.name);
                }
                for (name, step) in NAMES {
                    if let Some(after) = case.after.get(name) {
                        let ours = stage.after[step as usize].unwrap();
                        let error = (ours - after[at]).abs();
                        let place = format!("{} {name}", prompt.name);
                        if doubt {
                            bounded.check(error, PROBABILITY + told.doubt, place);
                        } else {
                            worst.check(error, PROBABILITY, place);
                        }
                        assert_eq!(ours == 0.0, after[at] == 0.0, "{} {name}", prompt.name);
                        compared += 1;
                    }
                }
            }
        }
    }
    println!("{compared} probabilities, {doubted} of 60 cases in doubt");
    assert!(compared > 1500, "{compared}");
    assert!(doubted <= 10, "{doubted}");
}
