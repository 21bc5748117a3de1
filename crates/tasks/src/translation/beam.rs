//! Which hypotheses are followed: the search of PyTorch transformers' `BeamSearchScorer`, so that both
//! find the same, and with one beam Marian's.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// What became of a hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Given, not found.
    Forced,
    /// Followed.
    Kept,
    /// Others were better.
    Pruned,
    /// It ended, as one of the translations to choose from.
    Finished,
}

/// One token of the tree of all hypotheses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeamNode {
    /// The node before it, if there is one.
    pub parent: Option<usize>,
    /// Its place in the translation, from 0.
    pub step: usize,
    /// Vocabulary id.
    pub id: u32,
    /// Natural log of its probability behind its parents.
    pub log_prob: f64,
    /// Sum of those from the beginning to here.
    pub score: f64,
    /// What became of it.
    pub fate: Fate,
    /// Where its run's attention is kept: [`super::Search::attention`].
    pub(super) attention: usize,
}

/// A token that may follow one of the beams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Which beam.
    pub(super) beam: usize,
    /// Which word, as a place among the logits.
    pub(super) place: usize,
    pub(super) log_prob: f64,
    pub(super) score: f64,
}

impl Candidate {
    /// Better ones first; among equals the earlier beam, then the earlier word.
    fn order(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score.then_with(|| (self.beam, self.place).cmp(&(other.beam, other.place)))
    }
}

/// The best few of many candidates.
#[derive(Debug)]
pub(super) struct Best {
    most: usize,
    /// Best first.
    found: Vec<Candidate>,
}

impl Best {
    pub(super) fn new(most: usize) -> Self {
        let found = Vec::with_capacity(most + 1);
        Self { most, found }
    }

    /// Takes the logits of what may follow a beam of score `before`; `banned` places are no candidates.
    /// `None` if they are no numbers.
    pub(super) fn add(
        &mut self,
        beam: usize,
        before: f64,
        logits: &[f32],
        banned: &[usize],
    ) -> Option<()> {
        let total = log_sum_exp(logits)?;
        for (place, &logit) in logits.iter().enumerate() {
            let log_prob = f64::from(logit) - total;
            let score = before + log_prob;
            let full = self.found.len() == self.most;
            if full && self.found.last().is_some_and(|last| score <= last.score) {
                continue;
            }
            if banned.contains(&place) {
                continue;
            }
            let candidate = Candidate {
                beam,
                place,
                log_prob,
                score,
            };
            let at = self.found.partition_point(|c| c.order(&candidate).is_lt());
            self.found.insert(at, candidate);
            self.found.truncate(self.most);
        }
        Some(())
    }

    /// The best, best first.
    pub(super) fn found(self) -> Vec<Candidate> {
        self.found
    }
}

/// `ln Σ eˣ`; `None` if it is no number.
pub(super) fn log_sum_exp(x: &[f32]) -> Option<f64> {
    let max = x.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = x.iter().map(|x| f64::from(x - max).exp()).sum();
    let total = f64::from(max) + sum.ln();
    total.is_finite().then_some(total)
}

/// Hypotheses that ended.
#[derive(Debug)]
pub(super) struct Ended {
    most: usize,
    length_penalty: f64,
    /// Node, its normalised score, whether the model ended it; best first.
    found: Vec<(usize, f64, bool)>,
}

impl Ended {
    pub(super) fn new(most: usize, length_penalty: f32) -> Self {
        Self {
            most,
            length_penalty: length_penalty.into(),
            found: Vec::new(),
        }
    }

    /// Comparable scores of hypotheses of different lengths; `length` counts all tokens, the end
    /// included.
    pub(super) fn normalised(&self, score: f64, length: usize) -> f64 {
        score / (length.max(1) as f64).powf(self.length_penalty)
    }

    pub(super) fn add(&mut self, node: usize, score: f64, length: usize, by_model: bool) {
        let normalised = self.normalised(score, length);
        let at = self
            .found
            .partition_point(|(_, found, _)| *found >= normalised);
        self.found.insert(at, (node, normalised, by_model));
        self.found.truncate(self.most);
    }

    /// Whether nothing better can come: `best` is the highest score among what was just looked at, of
    /// `length` tokens.
    pub(super) fn is_done(&self, best: f64, length: usize) -> bool {
        let worst = self.found.last().filter(|_| self.found.len() == self.most);
        worst.is_some_and(|(_, worst, _)| *worst >= self.normalised(best, length))
    }

    pub(super) fn found(&self) -> &[(usize, f64, bool)] {
        &self.found
    }
}
