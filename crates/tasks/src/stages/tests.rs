#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Probabilities may differ by what interpolating the kept sums costs, which `KeptLogits`'s own
/// tests bound, and by roundings to f32.
const TOLERANCE: f64 = 5e-5;

fn neutral() -> GenerateSettings {
    GenerateSettings {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        ..GenerateSettings::default()
    }
}

/// A bell of nonsense and some that fit, as a model's logits look.
fn logits(vocab: usize, spread: f32, lead: f32, seed: u32) -> Vec<f32> {
    let mut state = u64::from(seed) + 1;
    let mut uniform = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((state >> 40) as f32 + 0.5) / (1u64 << 24) as f32
    };
    let mut normal = || -> f32 { (0..12).map(|_| uniform()).sum::<f32>() - 6.0 };
    let mut logits: Vec<f32> = (0..vocab).map(|_| spread * normal()).collect();
    for at in 0..vocab.min(100) {
        logits[at * 7919 % vocab] = lead + 2.0 * normal();
    }
    logits
}

/// Of the softmax of raw logits.
fn probability(logits: &[f32], id: u32) -> f64 {
    let exp = |logit: f32| f64::from(logit).exp();
    exp(logits[id as usize]) / logits.iter().copied().map(exp).sum::<f64>()
}

/// The distribution after each step, by id, from the full logits.
fn reference(logits: &[f32], settings: &GenerateSettings, history: &[u32]) -> [Vec<f64>; 5] {
    let mut upto = GenerateSettings {
        repetition_penalty: settings.repetition_penalty,
        ..neutral()
    };
    SamplerStep::ALL.map(|step| {
        match step {
            SamplerStep::Penalty => {}
            SamplerStep::Temperature => upto.temperature = settings.temperature,
            SamplerStep::TopK => upto.top_k = settings.top_k,
            SamplerStep::TopP => upto.top_p = settings.top_p,
            SamplerStep::MinP => upto.min_p = settings.min_p,
        }
        let mut by_id = vec![0.0; logits.len()];
        for (candidate, p) in upto.distribution(logits, history) {
            by_id[candidate.id as usize] = f64::from(p);
        }
        by_id
    })
}

fn agree(logits: &[f32], settings: &GenerateSettings, history: &[u32], chosen: u32) -> Stages {
    let kept = KeptLogits::of(logits).unwrap();
    let raw = logits[chosen as usize];
    let told = stages(&kept, settings, history, Some((chosen, raw))).unwrap();
    let expected = reference(logits, settings, history);
    let slack = TOLERANCE + told.doubt;
    for (at, stage) in told.candidates.iter().enumerate() {
        for (step, (got, expected)) in stage.after.iter().zip(&expected).enumerate() {
            let exact = expected[stage.id as usize];
            // What cannot be told is not compared.
            if let Some(got) = got {
                assert!(
                    (got - exact).abs() < slack,
                    "{at} {step}: {stage:?} {exact} {:?} {}",
                    told.cuts,
                    told.doubt
                );
            }
        }
        let stays = expected[4][stage.id as usize] > 0.0;
        match stage.fate {
            Fate::Kept => assert!(
                stays || stage.last().unwrap() < 1e-30,
                "{stage:?} {:?}",
                told.cuts
            ),
            Fate::Dropped(_) => assert!(!stays, "{stage:?} {:?}", told.cuts),
            Fate::Unknown(_) => {}
        }
        let raw = probability(logits, stage.id);
        assert!((stage.raw - raw).abs() < 1e-6);
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn kept_logits_tell_what_the_full_ones_do(
        vocab in prop::sample::select(vec![1usize, 2, 40, 256, 257, 300, 5000]),
        shape in (0.5f32..4.0, -2.0f32..14.0, 0u32..1000),
        temperature in prop::sample::select(vec![0.0f32, 0.05, 0.2, 0.3, 0.7, 1.0, 1.5, 3.0, 5.0]),
        top_k in prop::sample::select(vec![0u32, 1, 5, 40, 255, 256, 257, 1000, 100_000]),
        top_p in prop::sample::select(vec![1.0f32, 0.999, 0.9, 0.5, 0.05]),
        min_p in prop::sample::select(vec![0.0f32, 1e-6, 0.01, 0.3, 0.9]),
        penalty in prop::sample::select(vec![1.0f32, 1.3, 0.8]),
        history in prop::collection::vec(0u32..400, 0..40),
        chosen in 0usize..5000,
    ) {
        let (spread, lead, seed) = shape;
        let logits = logits(vocab, spread, lead, seed);
        let settings = GenerateSettings {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty: penalty,
            ..neutral()
        };
        // A threshold within rounding of a sum or a probability may fall to either side.
        let near = reference(&logits, &settings, &history);
        let mut sum = 0.0;
        let mut before: Vec<f64> = near[2].iter().copied().filter(|p| *p > 0.0).collect();
        before.sort_by(|a, b| b.total_cmp(a));
        for p in &before {
            sum += p;
            prop_assume!((sum - f64::from(top_p)).abs() > 1e-4 || top_p == 1.0);
            prop_assume!((p / before[0] - f64::from(min_p)).abs() > 1e-5 * f64::from(min_p));
        }
        agree(&logits, &settings, &history, (chosen % vocab) as u32);
    }
}

#[test]
fn cuts_are_where_the_last_kept_is_or_beyond_the_list() {
    let logits = logits(5000, 2.0, 6.0, 3);
    let told = agree(
        &logits,
        &GenerateSettings {
            top_k: 5,
            ..neutral()
        },
        &[],
        0,
    );
    assert_eq!(told.cuts, [Cut::After(5), Cut::None, Cut::None]);
    assert_eq!(told.candidates[4].fate, Fate::Kept);
    assert_eq!(told.candidates[5].fate, Fate::Dropped(SamplerStep::TopK));
    assert_eq!(told.doubt, 0.0);
    assert_eq!(told.candidates[5].after[2..], [Some(0.0); 3]);

    let told = agree(
        &logits,
        &GenerateSettings {
            top_k: 1000,
            ..neutral()
        },
        &[],
        0,
    );
    assert_eq!(told.cuts, [Cut::Beyond, Cut::None, Cut::None]);
    assert!(told.doubt > 0.0 && told.doubt < 1e-2, "{}", told.doubt);

    let flat = GenerateSettings {
        temperature: 5.0,
        top_p: 0.9,
        ..neutral()
    };
    let told = agree(&logits, &flat, &[], 0);
    assert_eq!(told.cuts, [Cut::None, Cut::Beyond, Cut::None]);
    // The kept probabilities reach 0.9 within one small token, so hardly a doubt is left.
    assert!(told.doubt < 1e-4, "{}", told.doubt);

    let greedy = agree(
        &logits,
        &GenerateSettings {
            temperature: 0.0,
            ..neutral()
        },
        &[],
        17,
    );
    assert_eq!(greedy.candidates[0].after[1..], [Some(1.0); 4]);
    assert_eq!(greedy.cuts, [Cut::None; 3]);
}

#[test]
fn the_chosen_one_is_told_wherever_it_ranks() {
    let logits = logits(5000, 2.0, 6.0, 3);
    let mut order: Vec<u32> = (0..5000).collect();
    order.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
    for (place, known) in [(3, true), (100, true), (4000, false)] {
        let told = agree(&logits, &neutral(), &[], order[place]);
        let stage = told
            .candidates
            .iter()
            .find(|s| s.id == order[place])
            .unwrap();
        assert_eq!(stage.rank, known.then_some(place));
        assert_eq!(stage.fate, Fate::Kept);
        assert_eq!(told.candidates.len(), SHOWN + usize::from(place >= SHOWN));
    }
    let cut = GenerateSettings {
        top_k: 300,
        ..neutral()
    };
    let told = agree(&logits, &cut, &[], order[4000]);
    assert_eq!(
        told.candidates[SHOWN].fate,
        Fate::Unknown(SamplerStep::TopK)
    );
}

#[test]
fn what_is_shown_depends_on_the_penalty_alone() {
    let logits = logits(5000, 2.0, 6.0, 9);
    let kept = KeptLogits::of(&logits).unwrap();
    let first = kept.top[0].0;
    let penalised = GenerateSettings {
        repetition_penalty: 3.0,
        top_k: 2,
        ..neutral()
    };
    let plain = shown_ids(&kept, &neutral(), &[first]);
    let pushed = shown_ids(&kept, &penalised, &[first]);
    assert_eq!(plain[0], first);
    assert_ne!(pushed[0], first);
    let told = stages(&kept, &penalised, &[first], None).unwrap();
    assert_eq!(
        told.candidates.iter().map(|s| s.id).collect::<Vec<_>>(),
        pushed
    );
}
