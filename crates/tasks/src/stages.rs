//! What the sampler did to the likeliest tokens, step by step, from kept logits: the whole
//! vocabulary is not needed, so another temperature or cut can be tried without running the model.

use glassformer_graph::KeptLogits;

use crate::ranking::{Candidate, Cut, Left, Ranking, Weight, order};
use crate::sampling::distinct;
use crate::{GenerateSettings, TaskError};

/// Candidates that are told one by one.
pub const SHOWN: usize = 20;

/// The steps of the sampler, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SamplerStep {
    /// Repetition penalty.
    Penalty,
    /// Temperature; greedy choice where it is 0.
    Temperature,
    /// The `k` likeliest.
    TopK,
    /// The likeliest up to a sum.
    TopP,
    /// Those not too far below the likeliest.
    MinP,
}

impl SamplerStep {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Penalty,
        Self::Temperature,
        Self::TopK,
        Self::TopP,
        Self::MinP,
    ];
}

/// Whether a candidate may still be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It may.
    Kept,
    /// This step dropped it.
    Dropped(SamplerStep),
    /// This step cuts beyond the kept logits, and so does this candidate's rank lie: whether it
    /// stays cannot be told.
    Unknown(SamplerStep),
}

/// One candidate through all steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// Vocabulary id.
    pub id: u32,
    /// Place after the penalty, from 0, where it is certain.
    pub rank: Option<usize>,
    /// Probability under the raw logits.
    pub raw: f64,
    /// Probability after each step of [`SamplerStep::ALL`], renormalised; 0 from the step on that
    /// dropped it; nothing where it cannot be told whether a step did.
    pub after: [Option<f64>; 5],
    /// How it ends.
    pub fate: Fate,
}

impl Stage {
    /// The probability it is drawn with, if that can be told.
    pub fn last(&self) -> Option<f64> {
        self.after[4]
    }
}

/// The likeliest candidates of a token through all steps of the sampler.
#[derive(Clone, Debug, PartialEq)]
pub struct Stages {
    /// The first [`SHOWN`] in the order after the penalty, and behind them the chosen one, if it is
    /// not among them.
    pub candidates: Vec<Stage>,
    /// Where top-k, top-p and min-p cut.
    pub cuts: [Cut; 3],
    /// No probability told here is wrong by more than this because of what the kept logits do not
    /// tell: a cut beyond them, seen tokens among the others, a temperature below ¼. It does not
    /// contain the error of interpolating the sums; see `KeptLogits::tail_log_sum`.
    pub doubt: f64,
}

/// Ids of the candidates that [`stages`] tells, without the chosen one: they depend on the penalty,
/// but on no other setting.
pub fn shown_ids(kept: &KeptLogits, settings: &GenerateSettings, history: &[u32]) -> Vec<u32> {
    let list = Penalised::of(kept, settings, history);
    let ids = list.ranked.iter().map(|c| c.id);
    ids.take(SHOWN).collect()
}

/// Follows the likeliest candidates of a token through the sampler.
///
/// `history` are the tokens before it, prompt included; `chosen` its own id and raw logit, if it is
/// to be told wherever it ranks. Every probability is that of [`GenerateSettings::distribution`] on
/// the full logits, within [`Stages::doubt`] and the interpolation of the kept sums.
///
/// # Errors
/// If a setting is out of range.
pub fn stages(
    kept: &KeptLogits,
    settings: &GenerateSettings,
    history: &[u32],
    chosen: Option<(u32, f32)>,
) -> Result<Stages, TaskError> {
    settings.check()?;
    let list = Penalised::of(kept, settings, history);
    // Temperature 1 is what the penalty's own probabilities are at.
    let untempered = GenerateSettings {
        temperature: 1.0,
        ..settings.clone()
    };
    let max = list.max();
    let penalty = Tempered::of(&list, kept, &untempered, max);
    let penalty_total = penalty.ranking(&list).everything().total;

    let greedy = settings.temperature == 0.0;
    let tempered = Tempered::of(
        &list,
        kept,
        if greedy { &untempered } else { settings },
        max,
    );
    let ranking = tempered.ranking(&list);
    let everything = ranking.everything();
    let cuts: [Left; 3] = if greedy {
        // Nothing is cut: the likeliest is all there is.
        [everything; 3]
    } else {
        ranking.cuts(settings)
    };

    let tell = |id: u32, raw: f32, logit: f32, rank: Option<usize>| {
        let mut after = [Some(0.0); 5];
        let probability = |logit: f32, with: &GenerateSettings, total: f64| {
            f64::from(with.tempered(logit, max)).exp() / total
        };
        after[0] = Some(probability(logit, &untempered, penalty_total.guess));
        let fate = if greedy {
            let first = rank == Some(0);
            after[1..].fill(Some(f64::from(u8::from(first))));
            if first {
                Fate::Kept
            } else {
                Fate::Dropped(SamplerStep::Temperature)
            }
        } else {
            after[1] = Some(probability(logit, settings, everything.total.guess));
            let mut fate = Fate::Kept;
            let weight = f64::from(settings.tempered(logit, max)).exp();
            for (i, left) in cuts.iter().enumerate() {
                let step = SamplerStep::ALL[i + 2];
                match left.keeps(rank, weight) {
                    Some(true) => {}
                    Some(false) => {
                        fate = Fate::Dropped(step);
                        break;
                    }
                    None if fate == Fate::Kept => fate = Fate::Unknown(step),
                    None => {}
                }
                let told = fate == Fate::Kept;
                after[i + 2] = told.then_some(weight / left.total.guess);
            }
            fate
        };
        Stage {
            id,
            rank,
            raw: kept.log_prob(raw).exp(),
            after,
            fate,
        }
    };
    let shown = list.ranked.iter().zip(&list.raw).enumerate().take(SHOWN);
    let mut candidates: Vec<Stage> = shown
        .map(|(rank, (candidate, raw))| tell(candidate.id, *raw, candidate.logit, Some(rank)))
        .collect();
    if let Some((id, raw)) = chosen
        && !candidates.iter().any(|stage| stage.id == id)
    {
        let rank = list.ranked.iter().position(|c| c.id == id);
        let raw = kept.logit(id).unwrap_or(raw);
        let logit = if history.contains(&id) {
            settings.penalised(raw)
        } else {
            raw
        };
        candidates.push(tell(id, raw, logit, rank));
    }
    let totals = [penalty_total, everything.total].into_iter();
    let told = if greedy { 1 } else { SamplerStep::ALL.len() };
    let doubts = totals
        .chain(cuts.iter().map(|left| left.total))
        .enumerate()
        .take(told)
        .map(|(i, total)| {
            let most = candidates
                .iter()
                .filter_map(|c| c.after[i])
                .fold(0.0, f64::max);
            total.doubt() * most
        });
    Ok(Stages {
        doubt: doubts.fold(0.0, f64::max),
        cuts: if greedy {
            [Cut::None; 3]
        } else {
            cuts.map(|left| left.cut)
        },
        candidates,
    })
}

/// The kept list after the repetition penalty.
struct Penalised {
    /// Those whose rank is certain, in order; logits not yet relative.
    ranked: Vec<Candidate>,
    /// Their raw logits.
    raw: Vec<f32>,
    /// Those that sank, or may have sunk, below tokens that are not in the list.
    sunk: Vec<Candidate>,
    /// What no token outside the list exceeds after the penalty.
    ceiling: f32,
    /// Tokens that are not in the list.
    tail: usize,
    /// Seen ones among them.
    unlisted: usize,
}

impl Penalised {
    fn of(kept: &KeptLogits, settings: &GenerateSettings, history: &[u32]) -> Self {
        let last = kept.top.last().map_or(f32::NEG_INFINITY, |(_, l)| *l);
        let mut list = Self {
            ranked: Vec::new(),
            raw: Vec::new(),
            sunk: Vec::new(),
            ceiling: if kept.tail_count() == 0 {
                f32::NEG_INFINITY
            } else {
                last
            },
            tail: kept.tail_count(),
            unlisted: 0,
        };
        let seen = if settings.repetition_penalty == 1.0 {
            Vec::new()
        } else {
            distinct(history)
        };
        let mut all: Vec<(Candidate, f32)> = Vec::with_capacity(kept.top.len());
        let mut listed = 0;
        for &(id, raw) in &kept.top {
            let was_seen = seen.binary_search(&id).is_ok();
            listed += usize::from(was_seen);
            let logit = if was_seen {
                settings.penalised(raw)
            } else {
                raw
            };
            all.push((Candidate { id, logit }, raw));
        }
        if kept.tail_count() > 0 {
            let vocab = kept.vocab();
            let known = seen.partition_point(|id| (*id as usize) < vocab);
            list.unlisted = known - listed;
            if list.unlisted > 0 {
                list.ceiling = list.ceiling.max(settings.penalised(last));
            }
        }
        all.sort_by(|a, b| order(&a.0, &b.0));
        for (candidate, raw) in all {
            if candidate.logit >= list.ceiling {
                list.ranked.push(candidate);
                list.raw.push(raw);
            } else {
                list.sunk.push(candidate);
            }
        }
        list
    }

    fn max(&self) -> f32 {
        self.ranked.first().map_or(self.ceiling, |c| c.logit)
    }
}

/// The list at a temperature.
struct Tempered {
    ranked: Vec<Candidate>,
    others: Weight,
    most: f64,
}

impl Tempered {
    fn of(list: &Penalised, kept: &KeptLogits, settings: &GenerateSettings, max: f32) -> Self {
        let weight = |logit: f32| f64::from(settings.tempered(logit, max)).exp();
        let ranked = list.ranked.iter().map(|c| Candidate {
            id: c.id,
            logit: settings.tempered(c.logit, max),
        });
        let sunk: f64 = list.sunk.iter().map(|c| weight(c.logit)).sum();
        Self {
            ranked: ranked.collect(),
            others: tail(list, kept, settings, max).plus(sunk),
            // That another token should equal the last of the list to the last bit is left out, as
            // nothing could be told of a cut right there.
            most: match kept.tail_count() + list.sunk.len() {
                0 => 0.0,
                _ => weight(list.ceiling) * (1.0 - 1e-9),
            },
        }
    }

    fn ranking(&self, list: &Penalised) -> Ranking<'_> {
        let others = list.sunk.len() + list.tail;
        Ranking::new(&self.ranked, others, self.others, self.most)
    }
}

/// What the tokens outside the list weigh, relative to the largest logit after the penalty.
fn tail(list: &Penalised, kept: &KeptLogits, settings: &GenerateSettings, max: f32) -> Weight {
    let beta = 1.0 / f64::from(settings.temperature);
    let shift = f64::from(kept.max() - max) * beta;
    let sum = kept.tail_log_sum(beta);
    let weight = |ln: f64| (ln + shift).exp();
    let mut tail = Weight::exact(weight(sum.ln));
    if !sum.interpolated {
        (tail.low, tail.high) = (weight(sum.low), weight(sum.high));
    }
    // Where seen ones are among them, their own weights are not known, only the largest there can
    // be.
    if list.unlisted > 0 {
        let most = list.unlisted as f64 * f64::from(settings.tempered(list.ceiling, max)).exp();
        if settings.repetition_penalty < 1.0 {
            tail.high += most;
        }
        tail.low = (tail.low - most).max(0.0);
    }
    tail
}

#[cfg(test)]
mod tests;
