//! The sampler's distribution after each of its steps, against the logits processors of PyTorch
//! transformers (`tests/golden/sampling/generate.py`).

use glassformer_tasks::GenerateSettings;
use serde::Deserialize;

use crate::golden;

/// The reference's probabilities are the f64 softmax of f32 scores, written with nine digits; ours
/// are f32 throughout. Sums over 51 tokens err by far less than this.
const TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    logits: Vec<f32>,
    history: Vec<u32>,
    settings: Settings,
    /// A cut ran through equal scores, so which ids stay is the sorting algorithm's accident.
    split_tie: bool,
    probs_after: Steps,
}

#[derive(Deserialize)]
struct Settings {
    repetition_penalty: f32,
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
}

/// f64, because a token that stays may have less than the smallest f32.
#[derive(Deserialize)]
struct Steps {
    penalty: Vec<f64>,
    temperature: Vec<f64>,
    top_k: Vec<f64>,
    top_p: Vec<f64>,
    min_p: Vec<f64>,
}

/// Checks one step; `settings` leaves the later ones neutral.
fn check(case: &Case, step: &str, settings: &GenerateSettings, reference: &[f64]) {
    let at = format!("{} after {step}", case.name);
    let kept = settings.distribution(&case.logits, &case.history);
    let ranked = kept.windows(2).all(|pair| pair[0].1 >= pair[1].1);
    assert!(ranked, "{at}: not likeliest first");

    let mut expected = reference.to_vec();
    let mut ours = vec![0.0; reference.len()];
    for (candidate, p) in &kept {
        ours[candidate.id as usize] = f64::from(*p);
    }
    if case.split_tie {
        expected.sort_by(f64::total_cmp);
        ours.sort_by(f64::total_cmp);
    }
    for (p, q) in ours.iter().zip(&expected) {
        assert!((p - q).abs() <= TOLERANCE, "{at}: {p} is not {q}");
    }
    // A removed token is not one with a small probability.
    let count = expected.iter().filter(|p| **p > 0.0).count();
    assert_eq!(kept.len(), count, "{at}");
    let same = case.split_tie || kept.iter().all(|(c, _)| reference[c.id as usize] > 0.0);
    assert!(same, "{at}: other tokens stay");
}

#[test]
fn every_step_gives_the_references_distribution() {
    let golden: Golden = golden::json("sampling/sampling.json");
    assert!(golden.cases.len() >= 100);
    for case in &golden.cases {
        let mut settings = GenerateSettings {
            repetition_penalty: case.settings.repetition_penalty,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            ..GenerateSettings::default()
        };
        check(case, "penalty", &settings, &case.probs_after.penalty);
        settings.temperature = case.settings.temperature;
        check(
            case,
            "temperature",
            &settings,
            &case.probs_after.temperature,
        );
        settings.top_k = case.settings.top_k;
        check(case, "top-k", &settings, &case.probs_after.top_k);
        settings.top_p = case.settings.top_p;
        check(case, "top-p", &settings, &case.probs_after.top_p);
        settings.min_p = case.settings.min_p;
        check(case, "min-p", &settings, &case.probs_after.min_p);
    }
}
