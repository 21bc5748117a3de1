#![allow(clippy::unwrap_used)]

use super::*;

/// A stream of equally distributed numbers in (0, 1), the same on every machine.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        // Knuth's MMIX generator; its upper bits are good enough for a shape.
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.next(), self.next());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

/// Logits as language models give them: a broad bell of nonsense and a few hundred that fit, whose
/// lead decides between certainty and doubt.
fn realistic(vocab: usize, spread: f64, lead: f64, seed: u64) -> Vec<f32> {
    let mut random = Uniform(seed);
    let mut logits: Vec<f32> = (0..vocab)
        .map(|_| (spread * random.normal()) as f32)
        .collect();
    for _ in 0..vocab.min(300) {
        let at = (random.next() * vocab as f64) as usize;
        logits[at] = (lead + 3.0 * random.normal()) as f32;
    }
    logits
}

fn sorted(logits: &[f32]) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all
}

fn log_sum(logits: impl Iterator<Item = f32>, max: f32, beta: f64) -> f64 {
    logits
        .map(|l| (beta * f64::from(l - max)).exp())
        .sum::<f64>()
        .ln()
}

#[test]
fn the_list_is_the_head_of_a_full_sort() {
    for vocab in [1, 2, 63, 64, 65, 255, 256, 257, 1000, 49152] {
        for seed in 0..4 {
            let mut logits = realistic(vocab, 3.0, 6.0, seed);
            if seed == 3 {
                // Ties all over, also across the list's end.
                logits.iter_mut().for_each(|l| *l = l.round());
            }
            let kept = KeptLogits::of(&logits).unwrap();
            let expected = sorted(&logits);
            assert_eq!(kept.top, expected[..vocab.min(KEPT)], "{vocab} {seed}");
            assert_eq!(kept.vocab(), vocab);
            assert_eq!(kept.logit(expected[0].0), Some(expected[0].1));
        }
    }
}

#[test]
fn sums_are_those_of_the_vocabulary() {
    for (spread, lead) in [
        (3.0, 0.0),
        (3.0, 12.0),
        (12.0, 40.0),
        (0.0, 0.0),
        (60.0, 0.0),
    ] {
        let logits = realistic(49152, spread, lead, 7);
        let kept = KeptLogits::of(&logits).unwrap();
        for (k, sum) in kept.log_sums.iter().enumerate() {
            let exact = log_sum(logits.iter().copied(), kept.max(), inverse_temperature(k));
            let error = (f64::from(*sum) - exact).abs();
            // One rounding to f32 of a number below 11, and that of its terms.
            assert!(error < 1.5e-6, "{spread} {lead} {k}: {sum} {exact}");
        }
        let id = kept.top[3].0;
        let exact = f64::from(logits[id as usize]) - kept.log_sum();
        assert!((kept.log_prob(logits[id as usize]) - exact).abs() < 1e-5);
    }
}

#[test]
fn any_temperature_normalises_like_the_whole_vocabulary() {
    // Of the likeliest token's probability: the largest error there can be, and the temperature.
    let mut worst = (0.0f64, 0.0);
    for (spread, lead) in [(1.0, 2.0), (2.0, 6.0), (3.0, 8.0), (3.0, 14.0), (4.0, 25.0)] {
        for seed in 0..4 {
            let logits = realistic(49152, spread, lead, seed);
            let kept = KeptLogits::of(&logits).unwrap();
            let tail: Vec<f32> = sorted(&logits)[KEPT..].iter().map(|(_, l)| *l).collect();
            for temperature in (2..=500).step_by(2).map(|t| f64::from(t) / 100.0) {
                let beta = 1.0 / temperature;
                let exact = log_sum(tail.iter().copied(), kept.max(), beta).exp();
                let list = log_sum(kept.top.iter().map(|(_, l)| *l), kept.max(), beta).exp();
                let got = kept.tail_log_sum(beta);
                let error = (1.0 / (got.ln.exp() + list) - 1.0 / (exact + list)).abs();
                if error > worst.0 {
                    worst = (error, temperature);
                }
                let slack = 3e-6 * (exact + list);
                assert!(
                    got.low.exp() <= exact + slack,
                    "{temperature}: {got:?} {exact}"
                );
                assert!(
                    got.high.exp() >= exact - slack,
                    "{temperature}: {got:?} {exact}"
                );
            }
        }
    }
    println!(
        "largest error of a probability: {:.1e} at temperature {}",
        worst.0, worst.1
    );
    assert!(worst.0 < 5e-5, "{worst:?}");
}

#[test]
fn flat_peaked_and_small_vocabularies_have_tails_too() {
    let flat = KeptLogits::of(&[2.5; 1000]).unwrap();
    for beta in [0.0, 0.3, 1.0, 4.0, 77.0, 1e39] {
        let tail = flat.tail_log_sum(beta);
        assert!((tail.ln.exp() - 744.0).abs() < 1e-2, "{beta}: {tail:?}");
    }
    let mut peaked = vec![-30.0; 1000];
    peaked[5] = 30.0;
    let peaked = KeptLogits::of(&peaked).unwrap();
    assert!(peaked.tail_log_sum(1.0).high < -40.0);
    assert_eq!(peaked.log_prob(30.0), 0.0);
    let small = KeptLogits::of(&[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(small.tail_log_sum(1.0).high, f64::NEG_INFINITY);
}

#[test]
fn what_is_no_number_is_not_kept() {
    assert_eq!(KeptLogits::of(&[]), None);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [0, 3, 70, 130] {
            let mut logits = vec![1.0; 131];
            logits[at] = bad;
            assert_eq!(KeptLogits::of(&logits), None, "{bad} at {at}");
        }
    }
}

#[test]
fn the_exponential_is_right_to_the_last_places() {
    for i in 0..=87_000 {
        let x = -(i as f32) / 1000.0;
        let got = f64::from(exp(f32x4::splat(x)).to_array()[0]);
        let exact = f64::from(x).exp();
        assert!((got / exact - 1.0).abs() < 2.5e-7, "{x}: {got} {exact}");
    }
    assert_eq!(exp(f32x4::splat(0.0)).to_array(), [1.0; 4]);
    assert!(exp(f32x4::splat(-3e38)).to_array()[0] < 2e-38);
}

#[test]
#[ignore = "prints how long it takes"]
fn time() {
    let logits = realistic(49152, 3.0, 8.0, 1);
    for (name, f) in [
        (
            "kept",
            (|l| KeptLogits::of(l).map(|k| k.log_sum())) as fn(&[f32]) -> Option<f64>,
        ),
        ("sums", |l| Some(power_sums(l, 20.0)[3])),
        ("exp ", |l| {
            Some(l.iter().map(|l| f64::from((l - 20.0).exp())).sum())
        }),
    ] {
        let start = std::time::Instant::now();
        for _ in 0..100 {
            std::hint::black_box(f(std::hint::black_box(&logits)));
        }
        println!("{name} {:.3} ms", start.elapsed().as_secs_f64() * 10.0);
    }
}
