//! From logits to the next token.
//!
//! The steps and their order are those of PyTorch transformers' `generate` (4.49,
//! `_get_logits_processor`): repetition penalty, temperature, top-k, top-p, min-p, then the draw.
//! With temperature 0 the likeliest token after the penalty is taken and nothing is drawn.

use std::borrow::Cow;

use glassformer_graph::largest;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::TaskError;
use crate::ranking::{Candidate, Cut, Ranking, Weight, order};

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

/// Chooses tokens. The stream of random numbers is ChaCha8 from the seed. The draw of the `i`-th
/// written token, counted from 0, takes the `i`-th number, whatever was drawn or forced before: so
/// a text that begins in the same way goes on in the same way, however it came to begin so.
#[derive(Clone, Debug)]
pub struct Sampler {
    settings: GenerateSettings,
    random: ChaCha8Rng,
}

impl Sampler {
    /// A sampler of these settings.
    pub fn new(settings: GenerateSettings) -> Self {
        let random = ChaCha8Rng::seed_from_u64(u64::from(settings.seed));
        Self { settings, random }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &GenerateSettings {
        &self.settings
    }

    /// The `index`-th number of the random stream, in `0..1`.
    pub fn draw(&mut self, index: usize) -> f64 {
        // Positions count in words of 32 bits.
        self.random.set_word_pos(2 * index as u128);
        // 53 random bits fill an f64's mantissa.
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Chooses the `index`-th token to write from `logits [vocab]` and the tokens so far, prompt
    /// included.
    ///
    /// # Errors
    /// If a logit is no number.
    pub fn choose(
        &mut self,
        logits: &[f32],
        history: &[u32],
        index: usize,
    ) -> Result<u32, TaskError> {
        if logits.is_empty() || !logits.iter().all(|l| l.is_finite()) {
            return Err(TaskError::NotFinite);
        }
        let kept = self.settings.distribution(logits, history);
        if self.settings.temperature == 0.0 {
            let likeliest = kept.first().map(|(c, _)| c.id);
            return likeliest.ok_or(TaskError::NotFinite);
        }
        let mut left = self.draw(index) * kept.iter().map(|(_, p)| f64::from(*p)).sum::<f64>();
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
        let mut logits = Cow::Borrowed(logits);
        if self.repetition_penalty != 1.0 {
            for id in distinct(history) {
                if let Some(logit) = logits.to_mut().get_mut(id as usize) {
                    *logit = self.penalised(*logit);
                }
            }
        }
        let head = largest(&logits);
        let Some(&(id, max)) = head.first() else {
            return Vec::new();
        };
        if self.temperature == 0.0 {
            return vec![(Candidate { id, logit: 0.0 }, 1.0)];
        }
        let candidate = |(id, logit)| Candidate {
            id,
            logit: self.tempered(logit, max),
        };
        // Usually a few hundred tokens hold all that is kept, and sorting the whole vocabulary
        // would cost more than the model's last layer.
        let head: Vec<Candidate> = head.into_iter().map(candidate).collect();
        let weight = |logit: f32| f64::from(self.tempered(logit, max).exp());
        let total: f64 = logits.iter().map(|logit| weight(*logit)).sum();
        let listed: f64 = head.iter().map(|c| f64::from(c.logit).exp()).sum();
        let rest = Weight::exact((total - listed).max(0.0));
        let most = head.last().map_or(0.0, |c| f64::from(c.logit).exp());
        let ranking = Ranking::new(&head, logits.len() - head.len(), rest, most);
        let cuts = ranking.cuts(self);
        let told = cuts.iter().all(|left| left.cut != Cut::Beyond);
        let [.., last] = cuts;
        if told && last.others == 0 && head.len() < logits.len() {
            return ranking.probabilities(last);
        }
        let mut all: Vec<Candidate> = (0..).zip(logits.iter().copied()).map(candidate).collect();
        all.sort_unstable_by(order);
        let ranking = Ranking::all(&all);
        let [.., last] = ranking.cuts(self);
        ranking.probabilities(last)
    }

    /// A seen token's logit after the repetition penalty.
    pub(crate) fn penalised(&self, logit: f32) -> f32 {
        if logit < 0.0 {
            logit * self.repetition_penalty
        } else {
            logit / self.repetition_penalty
        }
    }

    /// Relative to the largest, so that no temperature, however small, overflows upwards.
    pub(crate) fn tempered(&self, logit: f32, max: f32) -> f32 {
        (logit - max) / self.temperature
    }
}

/// Tokens that occurred, once each, in ascending order.
pub(crate) fn distinct(history: &[u32]) -> Vec<u32> {
    let mut seen = history.to_vec();
    seen.sort_unstable();
    seen.dedup();
    seen
}

#[cfg(test)]
mod tests;
