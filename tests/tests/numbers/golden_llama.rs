//! SmolLM2-135M-Instruct against PyTorch transformers on the same file: `exact` value by value,
//! `fast` within the error of its rounding and by its distributions
//! (`tests/golden/llama/smollm2.py`, `perplexity.py`).
//!
//! `--nocapture` shows the measured figures.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Instant;

use glassformer_engine::registry;
use glassformer_engine::text::SpecialTokens;
use glassformer_graph::{Precision, Role};
use serde::Deserialize;

use crate::golden::{self, Runner, Worst, kl_divergence, logsumexp, max_abs, max_diff, top_two};

/// Absolute, of logits and log-probabilities. Logits are up to 40, in which f32 has steps of 4e-6;
/// thirty layers of sums in another order than PyTorch's make a hundred of them.
const LOGITS: f64 = 1e-3;

/// Relative to the largest of the vector.
const HIDDEN: f64 = 1e-4;

/// Absolute; a weight is at most 1.
const ATTENTION: f64 = 1e-4;

/// What the sum of a row of attention may lack of 1: f32 rounding of at most 13 terms.
const ROW_SUM: f64 = 1e-5;

/// Tokens of a run: not a divisor of the lengths, and more than one growth of the cache.
const CHUNK: usize = 192;

#[derive(Deserialize)]
struct Golden {
    header: Header,
    prompts: Vec<Prompt>,
    greedy: Vec<Greedy>,
}

#[derive(Deserialize)]
struct Header {
    gguf_sha256: String,
}

#[derive(Deserialize)]
struct Prompt {
    name: String,
    text: String,
    ids: Vec<u32>,
    positions: Vec<u32>,
    /// Of each position, the ten best.
    top: Vec<Vec<Top>>,
    logsumexp: Vec<f64>,
    hidden: Option<Hidden>,
    attention: Option<Vec<Head>>,
}

#[derive(Deserialize)]
struct Top {
    id: usize,
    logit: f32,
}

#[derive(Deserialize)]
struct Hidden {
    position: u32,
    embed: Vec<f32>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
}

#[derive(Deserialize)]
struct Layer {
    layer: usize,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Head {
    layer: usize,
    head: usize,
    /// `[query][key]`
    weights: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Greedy {
    name: String,
    ids: Vec<u32>,
    continuation: Vec<u32>,
    /// Best minus second best, of each step.
    margins: Vec<f32>,
}

#[derive(Deserialize)]
struct Perplexity {
    header: Header,
    predicted_tokens: usize,
    perplexity: f64,
    windows: Vec<Window>,
}

#[derive(Deserialize)]
struct Window {
    ids: Vec<u32>,
    /// Of each id but the first.
    logprobs: Vec<f64>,
    /// Of each position, best first; rounded to 4 decimals.
    top_ids: Vec<Vec<usize>>,
    top_logits: Vec<Vec<f32>>,
    logsumexp: Vec<f64>,
}

fn smollm2_golden() -> Golden {
    golden::json("llama/smollm2.json")
}

fn exact(test: &str) -> Option<Runner> {
    golden::smollm2(test, Precision::Exact)
}

#[test]
fn goldens_are_of_the_manifests_file() {
    let file = &registry::find("smollm2-135m-instruct").unwrap().files[0];
    let perplexity: Perplexity = golden::json("llama/perplexity.json");
    assert_eq!(smollm2_golden().header.gguf_sha256, file.sha256);
    assert_eq!(perplexity.header.gguf_sha256, file.sha256);
}

#[test]
fn exact_logits_of_every_prompt() {
    let Some(mut model) = exact("exact_logits_of_every_prompt") else {
        return;
    };
    let golden = smollm2_golden();
    assert!(golden.prompts.len() >= 8);
    assert!(golden.prompts.iter().any(|prompt| prompt.ids.len() >= 1000));
    for prompt in &golden.prompts {
        let (name, began) = (&prompt.name, Instant::now());
        let ids = model
            .loaded
            .tokenizer
            .encode(&prompt.text, SpecialTokens::Parse)
            .unwrap();
        assert_eq!(ids, prompt.ids, "{name}");
        let logits = model.prompt(&prompt.ids, &prompt.positions, CHUNK);
        assert_eq!(logits.len(), prompt.positions.len(), "{name}");
        let mut worst = Worst::new(format!("{name}: top-10 logits"));
        let mut worst_sum = Worst::new(format!("{name}: logsumexp"));
        for (i, logits) in logits.iter().enumerate() {
            let at = format!("position {}", prompt.positions[i]);
            check_top(&mut worst, logits, &prompt.top[i], &at);
            let diff = (logsumexp(logits) - prompt.logsumexp[i]).abs();
            worst_sum.check(diff, LOGITS, &at);
        }
        println!("{name}: {} tokens in {:.1?}", ids.len(), began.elapsed());
    }
}

/// The reference's ten best have its logits, and nothing else belongs among them.
fn check_top(worst: &mut Worst, logits: &[f32], top: &[Top], at: &str) {
    assert_eq!(top.len(), 10);
    let least = top[9].logit + LOGITS as f32;
    for (id, &logit) in logits.iter().enumerate() {
        let reference = top.iter().find(|top| top.id == id);
        assert!(
            logit <= least || reference.is_some(),
            "{at}: {id} has {logit}"
        );
    }
    for top in top {
        worst.check(
            (logits[top.id] - top.logit).abs().into(),
            LOGITS,
            format!("{at}, token {}", top.id),
        );
    }
}

#[test]
fn exact_hidden_states_and_attention() {
    let Some(mut model) = exact("exact_hidden_states_and_attention") else {
        return;
    };
    let mut seen = 0;
    for prompt in &smollm2_golden().prompts {
        let (Some(hidden), Some(heads)) = (&prompt.hidden, &prompt.attention) else {
            continue;
        };
        seen += 1;
        let name = &prompt.name;
        let mut streams = vec![(model.residual(0), &hidden.embed)];
        for layer in &hidden.layers {
            streams.push((model.residual(layer.layer + 1), &layer.values));
        }
        let norm = model.role(Role::FinalHidden);
        let mut nodes: Vec<_> = streams
            .iter()
            .map(|(node, _)| *node)
            .chain([norm])
            .collect();
        nodes.extend(heads.iter().map(|head| model.probs(head.layer)));
        let session = model.open(1);
        let taps = golden::taps(&nodes);
        model
            .run(session, &prompt.ids, &[hidden.position], &taps)
            .unwrap();

        let mut worst = Worst::new(format!("{name}: hidden states, relative"));
        let position = hidden.position as usize;
        for (node, reference) in streams {
            let got = model.last(session, node, &[0, position]).data;
            let diff = max_diff(&got, reference) / max_abs(reference);
            worst.check(diff.into(), HIDDEN, &model.graph().node(node).name);
        }
        let got = model.last(session, norm, &[0, 0]).data;
        let diff = max_diff(&got, &hidden.norm) / max_abs(&hidden.norm);
        worst.check(diff.into(), HIDDEN, "the final norm");

        let mut worst = Worst::new(format!("{name}: attention"));
        let mut worst_sum = Worst::new(format!("{name}: sums of attention rows, beside 1"));
        for head in heads {
            let at = format!("layer {}, head {}", head.layer, head.head);
            let got = model.last(session, model.probs(head.layer), &[0, head.head]);
            assert_eq!(got.shape, [prompt.ids.len(); 2], "{name}");
            worst.check(
                max_diff(&got.data, &head.weights.concat()).into(),
                ATTENTION,
                &at,
            );
            for row in got.data.chunks(prompt.ids.len()) {
                let sum: f64 = row.iter().map(|&p| f64::from(p)).sum();
                worst_sum.check((sum - 1.0).abs(), ROW_SUM, &at);
            }
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn exact_greedy_text() {
    let Some(mut model) = exact("exact_greedy_text") else {
        return;
    };
    /// Ten times what a logit may be off: a smaller margin does not decide the token, and after
    /// another token everything is another text.
    const DECIDED: f32 = 1e-2;
    for case in &smollm2_golden().greedy {
        assert_eq!(case.continuation.len(), 32);
        let session = model.open(1);
        let last = case.ids.len() as u32 - 1;
        let mut logits = model.run(session, &case.ids, &[last], &[]).unwrap();
        let mut compared = 0;
        for (&id, &margin) in case.continuation.iter().zip(&case.margins) {
            if margin <= DECIDED {
                break;
            }
            let [best, second] = top_two(&logits.data);
            assert_eq!(best, id as usize, "{}: token {compared}", case.name);
            // Margins are written with four digits.
            let tolerance = 2.0 * LOGITS as f32 + 5e-4 * margin;
            let off = (logits.data[best] - logits.data[second] - margin).abs();
            assert!(off <= tolerance, "{}: margin off by {off}", case.name);
            compared += 1;
            logits = model.run(session, &[id], &[0], &[]).unwrap();
        }
        println!("{}: {compared} greedy tokens", case.name);
        assert!(compared >= 16, "{}", case.name);
    }
}

/// Sums over the predicted tokens.
#[derive(Default)]
struct Sums {
    tokens: usize,
    nll_exact: f64,
    nll_fast: f64,
    kl: f64,
    kl_max: f64,
    /// Positions where the reference's margin decides, and those decided otherwise.
    decided: usize,
    flipped: Vec<String>,
}

/// One position: `exact` against the golden, then `fast` against `exact`.
fn check_position(
    sums: &mut Sums,
    worst: &mut [Worst; 3],
    window: &Window,
    position: usize,
    [exact, fast]: [&[f32]; 2],
) {
    let [logits, logprobs, fast_logits] = worst;
    let at = format!("token {}, position {position} of its window", sums.tokens);
    let (ids, values) = (&window.top_ids[position], &window.top_logits[position]);
    // The golden's rounding to 4 decimals is a part of the tolerance.
    for (&id, value) in ids.iter().zip(values) {
        logits.check((exact[id] - value).abs().into(), LOGITS, &at);
        fast_logits.check((fast[id] - value).abs().into(), f64::MAX, &at);
    }
    let norms = [logsumexp(exact), logsumexp(fast)];
    logprobs.check((norms[0] - window.logsumexp[position]).abs(), LOGITS, &at);

    // KL(reference ‖ fast) over the whole vocabulary. The golden has no room for whole
    // distributions; `exact`, just shown to be the golden's within the tolerance, stands in.
    let kl = kl_divergence(exact, fast);
    assert!(kl > -1e-9, "{at}: {kl}");
    sums.kl += kl;
    sums.kl_max = sums.kl_max.max(kl);
    sums.tokens += 1;

    if values[0] - values[1] > 0.5 {
        sums.decided += 1;
        let [best, _] = top_two(fast);
        if best != ids[0] {
            sums.flipped.push(format!(
                "{at}: {best} instead of {} by {}",
                ids[0],
                values[0] - values[1]
            ));
        }
    }
    if let Some(&next) = window.ids.get(position + 1) {
        let next = next as usize;
        let [a, b] = [
            f64::from(exact[next]) - norms[0],
            f64::from(fast[next]) - norms[1],
        ];
        logprobs.check((a - window.logprobs[position]).abs(), LOGITS, &at);
        sums.nll_exact -= a;
        sums.nll_fast -= b;
    }
}

#[test]
fn perplexity_of_prose_in_both_precisions() {
    const TEST: &str = "perplexity_of_prose_in_both_precisions";
    let Some(mut exact) = exact(TEST) else { return };
    let mut fast = golden::smollm2(TEST, Precision::Fast).unwrap();
    let golden: Perplexity = golden::json("llama/perplexity.json");
    assert!(golden.predicted_tokens >= 2000);

    let mut sums = Sums::default();
    let mut worst = [
        Worst::new("exact: top-10 logits of prose"),
        Worst::new("exact: log-probabilities of prose"),
        Worst::new("fast: top-10 logits of prose"),
    ];
    let mut times = [0.0; 2];
    for window in &golden.windows {
        let sessions = [exact.open(1), fast.open(1)];
        for (i, ids) in window.ids.chunks(CHUNK).enumerate() {
            let began = Instant::now();
            let a = exact.all(sessions[0], &[ids]);
            times[0] += began.elapsed().as_secs_f64();
            let began = Instant::now();
            let b = fast.all(sessions[1], &[ids]);
            times[1] += began.elapsed().as_secs_f64();
            for row in 0..ids.len() {
                let rows = [a.row(row).unwrap(), b.row(row).unwrap()];
                check_position(&mut sums, &mut worst, window, i * CHUNK + row, rows);
            }
        }
        exact.exec.close(sessions[0]);
        fast.exec.close(sessions[1]);
    }

    let predicted = golden.predicted_tokens as f64;
    let ratio = |nll: f64| (nll / predicted).exp() / golden.perplexity;
    let (exact_ratio, fast_ratio) = (ratio(sums.nll_exact), ratio(sums.nll_fast));
    let mean_kl = sums.kl / sums.tokens as f64;
    println!(
        "exact: perplexity × {exact_ratio:.7}, {:.0} tokens/s",
        predicted / times[0]
    );
    println!(
        "fast: perplexity × {fast_ratio:.5}, {:.0} tokens/s",
        predicted / times[1]
    );
    println!(
        "fast: KL divergence {mean_kl:.5} in the mean, {:.4} at most",
        sums.kl_max
    );
    println!(
        "fast: {} of {} decided tokens differ: {:?}",
        sums.flipped.len(),
        sums.decided,
        sums.flipped
    );
    // Far below what 1e-3 of each log-probability would allow, since errors have both signs.
    assert!((exact_ratio - 1.0).abs() <= 1e-4);
    // What the design promises of 8-bit activations.
    assert!((fast_ratio - 1.0).abs() <= 0.01);
    assert!(mean_kl <= 0.02);
    assert!(sums.flipped.is_empty());
    assert!(sums.decided >= 1000);
}
