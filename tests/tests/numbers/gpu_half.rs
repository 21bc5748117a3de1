//! The default model on the GPU in `fast`: products in f16, held to what the design promises of
//! `fast` end to end, in prose that golden values exist for.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Instant;

use futures::executor::block_on;
use glassformer_gpu::{Gpu, Wanted};
use glassformer_graph::Precision;
use serde::Deserialize;

use crate::golden::{self, Runner, Target, kl_divergence, top_two};

#[derive(Deserialize)]
struct Prose {
    windows: Vec<Window>,
}

#[derive(Deserialize)]
struct Window {
    ids: Vec<u32>,
}

/// Devices with half precision, with and without subgroups.
fn targets(test: &str) -> Vec<Target> {
    let all = [true, false].map(|subgroups| Wanted {
        f16: true,
        subgroups,
        ..Wanted::default()
    });
    let fast = |wanted| match block_on(Gpu::open(wanted)) {
        Ok(gpu) if gpu.info().f16 => Some(Target::Gpu(Precision::Fast, wanted)),
        Ok(_) => {
            glassformer_tests::cannot_run(test, "this device has no half precision");
            None
        }
        Err(error) => {
            glassformer_tests::cannot_run(test, &error.to_string());
            None
        }
    };
    all.into_iter().filter_map(fast).collect()
}

/// The first windows of the prose, cut to `len` tokens.
fn prose(windows: usize, len: usize) -> Vec<Vec<u32>> {
    let prose: Prose = golden::json("llama/perplexity.json");
    let windows = prose.windows.into_iter().take(windows);
    windows.map(|w| w.ids[..len].to_vec()).collect()
}

#[test]
fn half_precision_stays_close_to_the_reference() {
    const TEST: &str = "half_precision_stays_close_to_the_reference";
    let Some(mut exact) = golden::smollm2(TEST, Precision::Exact) else {
        return;
    };
    // Token by token runs other shaders than chunks do, and only those know of subgroups. Few, since
    // a software adapter takes a second for each: over 256 tokens the figures are the same.
    let (single, chunks) = ((prose(1, 16), 1), (prose(3, 32), 32));
    let runs = [vec![single.clone(), chunks], vec![single]];
    for (target, runs) in targets(TEST).into_iter().zip(&runs) {
        let mut fast = golden::smollm2(TEST, target).unwrap();
        assert_eq!(fast.exec.precision(), Precision::Fast);
        for (texts, chunk) in runs {
            let (mut sum, mut most, mut tokens) = (0.0, 0.0f64, 0);
            let (mut nll, mut took) = ([0.0; 2], [0.0; 2]);
            for ids in texts {
                let rows: Vec<u32> = (0..ids.len() as u32).collect();
                let mut run = |runner: &mut Runner, i: usize| {
                    let began = Instant::now();
                    let logits = runner.prompt(ids, &rows, *chunk);
                    took[i] += began.elapsed().as_secs_f64();
                    logits
                };
                let (a, b) = (run(&mut exact, 0), run(&mut fast, 1));
                for (position, (a, b)) in a.iter().zip(&b).enumerate() {
                    let kl = kl_divergence(a, b);
                    assert!(kl > -1e-9, "{target:?}, position {position}: {kl}");
                    (sum, most, tokens) = (sum + kl, most.max(kl), tokens + 1);
                    if let Some(&next) = ids.get(position + 1) {
                        for (nll, logits) in nll.iter_mut().zip([a, b]) {
                            *nll += golden::logsumexp(logits) - f64::from(logits[next as usize]);
                        }
                    }
                    let [best, second] = top_two(a);
                    if a[best] - a[second] > 0.5 {
                        assert_eq!(top_two(b)[0], best, "{target:?}, position {position}");
                    }
                }
            }
            let mean = sum / f64::from(tokens);
            let perplexity = ((nll[1] - nll[0]) / f64::from(tokens)).exp();
            println!(
                "{target:?}, chunks of {chunk}: KL divergence {mean:.2e} in the mean of {tokens} \
                 tokens, {most:.2e} at most; perplexity × {perplexity:.5}; {:.1} s, the CPU's \
                 exact {:.1} s",
                took[1], took[0]
            );
            // What the design promises of `fast`.
            assert!(mean <= 0.02);
            assert!((perplexity - 1.0).abs() <= 0.01);
            // A difference of nothing would mean that nothing was rounded.
            assert!(mean > 1e-9);
        }
    }
}

#[test]
fn without_half_precision_it_is_exact() {
    const TEST: &str = "without_half_precision_it_is_exact";
    let wanted = Wanted {
        f16: false,
        subgroups: true,
        ..Wanted::default()
    };
    if let Err(error) = block_on(Gpu::open(wanted)) {
        glassformer_tests::cannot_run(TEST, &error.to_string());
        return;
    }
    let exec = Target::Gpu(Precision::Fast, wanted).executor();
    assert_eq!(exec.precision(), Precision::Exact);
}
