#![allow(clippy::unwrap_used)]

use super::*;

fn settings(change: impl FnOnce(&mut GenerateSettings)) -> GenerateSettings {
    let mut settings = GenerateSettings {
        temperature: 1.0,
        top_p: 1.0,
        ..GenerateSettings::default()
    };
    change(&mut settings);
    settings
}

fn ids(kept: &[(Candidate, f32)]) -> Vec<u32> {
    kept.iter().map(|(c, _)| c.id).collect()
}

/// A vocabulary large enough for the partial sort, with probabilities that fall slowly.
fn slope() -> Vec<f32> {
    (0..5000)
        .map(|i| ((i * 2654 + 17) % 5000) as f32 * -0.002)
        .collect()
}

#[test]
fn greedy_takes_the_first_of_the_likeliest() {
    let mut sampler = Sampler::new(settings(|s| s.temperature = 0.0));
    assert_eq!(sampler.choose(&[0.5, 2.0, 2.0, -1.0], &[], 0).unwrap(), 1);
}

#[test]
fn penalty_pushes_seen_tokens_down_whatever_their_sign() {
    let settings = settings(|s| {
        s.repetition_penalty = 2.0;
        s.temperature = 0.0;
    });
    let chosen = |logits: &[f32], history: &[u32]| {
        Sampler::new(settings.clone())
            .choose(logits, history, 0)
            .unwrap()
    };
    assert_eq!(chosen(&[3.0, 2.0], &[0, 0]), 1);
    assert_eq!(chosen(&[-1.0, -1.5], &[0]), 1);
    // A token outside the vocabulary is nobody's history.
    assert_eq!(chosen(&[3.0, 2.0], &[99]), 0);
}

#[test]
fn cuts_keep_what_the_reference_keeps() {
    let logits = [0.0, 1.0, 2.0, 2.0, 3.0];
    let kept = settings(|s| s.top_k = 2).distribution(&logits, &[]);
    assert_eq!(ids(&kept), [4, 2, 3], "a tie with the k-th stays");
    let kept = settings(|s| s.top_p = 1e-3).distribution(&logits, &[]);
    assert_eq!(ids(&kept), [4], "one always stays");
    let kept = settings(|s| s.min_p = 0.3).distribution(&logits, &[]);
    assert_eq!(ids(&kept), [4, 2, 3]);
    let sum: f32 = kept.iter().map(|(_, p)| p).sum();
    assert!((sum - 1.0).abs() < 1e-6);
}

#[test]
fn the_partial_sort_gives_what_a_full_sort_gives() {
    let logits = slope();
    for top_p in [0.05, 0.3, 0.9, 0.999] {
        let kept = settings(|s| s.top_p = top_p).distribution(&logits, &[]);
        let full = settings(|_| ()).distribution(&logits, &[]);
        let mut before = 0.0;
        let expected = full.iter().take_while(|(_, p)| {
            let stays = before < f64::from(top_p);
            before += f64::from(*p);
            stays
        });
        let count = expected.count();
        assert!(
            kept.len().abs_diff(count) <= 1,
            "{top_p}: {} {count}",
            kept.len()
        );
        assert_eq!(ids(&kept)[..], ids(&full)[..kept.len()]);
    }
}

#[test]
fn draws_follow_the_distribution_and_the_seed() {
    let logits = [0.0f32, 1.0, 2.0];
    let draw = |seed| {
        let mut sampler = Sampler::new(settings(|s| s.seed = seed));
        (0..3000)
            .map(|index| sampler.choose(&logits, &[], index).unwrap())
            .collect::<Vec<_>>()
    };
    let (a, b, c) = (draw(1), draw(1), draw(2));
    assert_eq!(a, b);
    assert_ne!(a, c);
    // A draw depends on its place alone, not on the draws before it.
    let mut late = Sampler::new(settings(|s| s.seed = 1));
    let at = [2999, 7, 1000].map(|index| late.choose(&logits, &[], index).unwrap());
    assert_eq!(at, [a[2999], a[7], a[1000]]);
    let total: f32 = logits.iter().map(|l| l.exp()).sum();
    for (id, logit) in logits.iter().enumerate() {
        let expected = logit.exp() / total;
        let seen = a.iter().filter(|&&x| x as usize == id).count() as f32 / a.len() as f32;
        // Three standard deviations of 3000 draws are below 0.03.
        assert!((seen - expected).abs() < 0.03, "{id}: {seen} {expected}");
    }
}

#[test]
fn logits_that_are_no_numbers_are_an_error() {
    let mut sampler = Sampler::new(settings(|_| ()));
    assert_eq!(
        sampler.choose(&[0.0, f32::NAN], &[], 0),
        Err(TaskError::NotFinite)
    );
    assert_eq!(sampler.choose(&[], &[], 0), Err(TaskError::NotFinite));
}

#[test]
fn the_smallest_temperature_is_almost_greedy() {
    let settings = settings(|s| {
        s.temperature = 1e-39;
        s.repetition_penalty = 0.01;
        s.top_p = 0.5;
        s.min_p = 0.1;
    });
    for logits in [[-40.0f32, 3.0, 2.9, 38.0], [-1.0, -2.0, -30.0, -4.0]] {
        let kept = settings.distribution(&logits, &[2]);
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!((kept[0].1 - 1.0).abs() < 1e-6);
        assert!(
            Sampler::new(settings.clone())
                .choose(&logits, &[2], 0)
                .is_ok()
        );
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let bad: [fn(&mut GenerateSettings); 6] = [
        |s| s.temperature = -0.1,
        |s| s.temperature = f32::NAN,
        |s| s.top_p = 0.0,
        |s| s.min_p = 1.5,
        |s| s.repetition_penalty = 1e-39,
        |s| s.max_tokens = 0,
    ];
    for change in bad {
        assert!(settings(change).check().is_err());
    }
    assert!(GenerateSettings::default().check().is_ok());
}
