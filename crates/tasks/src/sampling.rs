//! From logits to the next token.
//!
//! The steps and their order are those of PyTorch transformers' `generate` (4.49,
//! `_get_logits_processor`): repetition penalty, temperature, top-k, top-p, min-p, then the draw.
//! With temperature 0 the likeliest token after the penalty is taken and nothing is drawn.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::TaskError;

/// How tokens are chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GenerateSettings {
    /// Divides the logits; 0 is greedy: the likeliest token, no draw.
    pub temperature: f32,
    /// Keep this many of the likeliest, and what ties with the last of them; 0 keeps all.
    pub top_k: u32,
    /// Keep the smallest set of the likeliest whose probabilities reach this sum; 1 keeps all.
    pub top_p: f32,
    /// Drop tokens less likely than this fraction of the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divide (positive) or multiply (negative) the logits of tokens seen so far; 1 is off.
    pub repetition_penalty: f32,
    /// Most tokens to write.
    pub max_tokens: u32,
    /// Same seed, same text, on the same backend and precision.
    pub seed: u32,
    /// Writing ends before the first of these.
    pub stop: Vec<String>,
}

impl Default for GenerateSettings {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_k: 0,
            top_p: 0.9,
            min_p: 0.0,
            repetition_penalty: 1.0,
            max_tokens: 256,
            seed: 42,
            stop: Vec::new(),
        }
    }
}

impl GenerateSettings {
    /// Checks every number's range.
    ///
    /// # Errors
    /// Names the first setting that is out of range.
    pub fn check(&self) -> Result<(), TaskError> {
        let fail = |name, range, value: f32| {
            let value = value.to_string();
            Err(TaskError::Setting { name, range, value })
        };
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return fail("Temperature", "0 or more", self.temperature);
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return fail("Top-p", "above 0 and at most 1", self.top_p);
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return fail("Min-p", "between 0 and 1", self.min_p);
        }
        if !(0.01..=100.0).contains(&self.repetition_penalty) {
            let range = "between 0.01 and 100";
            return fail("The repetition penalty", range, self.repetition_penalty);
        }
        if self.max_tokens == 0 {
            return fail("The maximum of tokens", "at least 1", 0.0);
        }
        Ok(())
    }
}

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Vocabulary id.
    pub id: u32,
    /// After penalty and temperature, relative to the largest.
    pub logit: f32,
}

/// Chooses tokens. The stream of random numbers is ChaCha8 from the seed, one number a draw.
#[derive(Clone, Debug)]
pub struct Sampler {
    settings: GenerateSettings,
    random: ChaCha8Rng,
}

impl Sampler {
    /// A sampler at the start of its random stream.
    pub fn new(settings: GenerateSettings) -> Self {
        let random = ChaCha8Rng::seed_from_u64(u64::from(settings.seed));
        Self { settings, random }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &GenerateSettings {
        &self.settings
    }

    /// Chooses the next token from `logits [vocab]` and the tokens so far, prompt included.
    ///
    /// # Errors
    /// If a logit is no number.
    pub fn choose(&mut self, logits: &[f32], history: &[u32]) -> Result<u32, TaskError> {
        if logits.is_empty() || !logits.iter().all(|l| l.is_finite()) {
            return Err(TaskError::NotFinite);
        }
        let kept = self.settings.distribution(logits, history);
        if self.settings.temperature == 0.0 {
            let likeliest = kept.first().map(|(c, _)| c.id);
            return likeliest.ok_or(TaskError::NotFinite);
        }
        // 53 random bits fill an f64's mantissa.
        let unit = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = unit * kept.iter().map(|(_, p)| f64::from(*p)).sum::<f64>();
        for (candidate, p) in &kept {
            left -= f64::from(*p);
            if left < 0.0 {
                return Ok(candidate.id);
            }
        }
        // Rounding may leave a hair beyond the last: it belongs to the last.
        kept.last().map(|(c, _)| c.id).ok_or(TaskError::NotFinite)
    }
}

impl GenerateSettings {
    /// The tokens that may be drawn and their probabilities, likeliest first (ties by id). Never
    /// empty for non-empty logits. With temperature 0 it is the likeliest token alone.
    pub fn distribution(&self, logits: &[f32], history: &[u32]) -> Vec<(Candidate, f32)> {
        let mut candidates: Vec<Candidate> = (0..)
            .zip(logits)
            .map(|(id, &logit)| Candidate { id, logit })
            .collect();
        penalise(&mut candidates, history, self.repetition_penalty);
        if self.temperature == 0.0 {
            let best = candidates
                .into_iter()
                .reduce(|a, b| if before(&b, &a) { b } else { a });
            return best.map(|best| (best, 1.0)).into_iter().collect();
        }
        // Relative to the largest, so that no temperature, however small, overflows upwards.
        let max = candidates.iter().fold(f32::MIN, |max, c| max.max(c.logit));
        for candidate in &mut candidates {
            candidate.logit = (candidate.logit - max) / self.temperature;
        }
        keep_top_k(&mut candidates, self.top_k as usize);
        let mut kept = probabilities(candidates, self.top_p);
        keep_top_p(&mut kept, self.top_p);
        let least = self.min_p * kept.first().map_or(0.0, |(_, p)| *p);
        kept.retain(|(_, p)| *p >= least);
        let total: f32 = kept.iter().map(|(_, p)| p).sum();
        for (_, p) in &mut kept {
            *p /= total;
        }
        kept
    }
}

/// Whether `a` ranks before `b`.
fn before(a: &Candidate, b: &Candidate) -> bool {
    order(a, b).is_lt()
}

/// By falling logit, then by id, so that the order never depends on how it was sorted.
fn order(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}

fn penalise(candidates: &mut [Candidate], history: &[u32], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    let mut seen = history.to_vec();
    seen.sort_unstable();
    seen.dedup();
    for id in seen {
        if let Some(candidate) = candidates.get_mut(id as usize) {
            if candidate.logit < 0.0 {
                candidate.logit *= penalty;
            } else {
                candidate.logit /= penalty;
            }
        }
    }
}

fn keep_top_k(candidates: &mut Vec<Candidate>, k: usize) {
    if k == 0 || k >= candidates.len() {
        return;
    }
    let (_, last, _) = candidates.select_nth_unstable_by(k - 1, order);
    let least = last.logit;
    candidates.retain(|candidate| candidate.logit >= least);
}

/// Probabilities, sorted as far as top-p may need: usually a few hundred tokens hold all it
/// keeps, and sorting the whole vocabulary would cost more than the model's last layer.
fn probabilities(mut candidates: Vec<Candidate>, top_p: f32) -> Vec<(Candidate, f32)> {
    const HEAD: usize = 256;
    let max = candidates.iter().fold(f32::MIN, |max, c| max.max(c.logit));
    let weight = |c: &Candidate| (c.logit - max).exp();
    let total: f64 = candidates.iter().map(|c| f64::from(weight(c))).sum();
    let probability = |c: &Candidate| (f64::from(weight(c)) / total) as f32;
    if candidates.len() > HEAD && top_p < 1.0 {
        candidates.select_nth_unstable_by(HEAD - 1, order);
        let head: f32 = candidates[..HEAD].iter().map(probability).sum();
        if head > top_p + 1e-4 {
            candidates.truncate(HEAD);
        }
    }
    candidates.sort_unstable_by(order);
    candidates
        .into_iter()
        .map(|c| (c, probability(&c)))
        .collect()
}

/// Keeps tokens until their probabilities reach `top_p`: a token stays if those before it sum to
/// less.
fn keep_top_p(kept: &mut Vec<(Candidate, f32)>, top_p: f32) {
    if top_p >= 1.0 {
        return;
    }
    let mut before = 0.0f64;
    let enough = kept.iter().position(|(_, p)| {
        before += f64::from(*p);
        before >= f64::from(top_p)
    });
    if let Some(last) = enough {
        kept.truncate(last + 1);
    }
}

/// Natural log of a token's probability under raw logits.
pub fn log_softmax_at(logits: &[f32], id: u32) -> f32 {
    let max = logits.iter().fold(f32::MIN, |max, &l| max.max(l));
    let sum: f64 = logits.iter().map(|l| f64::from((l - max).exp())).sum();
    let logit = logits
        .get(id as usize)
        .copied()
        .unwrap_or(f32::NEG_INFINITY);
    (f64::from(logit - max) - sum.ln()) as f32
}

#[cfg(test)]
mod tests;
