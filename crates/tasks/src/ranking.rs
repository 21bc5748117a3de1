//! Which candidates the sampler keeps: the one place that knows top-k, top-p and min-p. It works
//! on the likeliest candidates and on how much the others weigh together, exactly or within bounds.

use crate::GenerateSettings;

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Vocabulary id.
    pub id: u32,
    /// After penalty and temperature, relative to the largest.
    pub logit: f32,
}

/// By falling logit, then by id, so that the order never depends on how it was sorted.
pub(crate) fn order(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}

/// Where a step of the sampler cuts the ranked candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It drops nothing: it is switched off, or everything left passes.
    None,
    /// It keeps this many of the ranked.
    After(usize),
    /// It keeps all that are ranked and an unknown number of the others.
    Beyond,
}

/// A weight that is known exactly (`low == high`) or within bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weight {
    pub guess: f64,
    pub low: f64,
    pub high: f64,
}

impl Weight {
    pub(crate) const ZERO: Self = Self::exact(0.0);

    pub(crate) const fn exact(value: f64) -> Self {
        Self {
            guess: value,
            low: value,
            high: value,
        }
    }

    fn between(low: f64, high: f64) -> Self {
        Self {
            guess: (low + high) / 2.0,
            low,
            high,
        }
    }

    pub(crate) fn plus(self, more: f64) -> Self {
        Self {
            guess: self.guess + more,
            low: self.low + more,
            high: self.high + more,
        }
    }

    /// The largest relative error of dividing by the guess.
    pub(crate) fn doubt(self) -> f64 {
        if self.low <= 0.0 {
            return if self.high > 0.0 { 1.0 } else { 0.0 };
        }
        (self.guess / self.low - 1.0).max(1.0 - self.guess / self.high)
    }
}

/// Candidates whose rank is certain, and the others together.
pub(crate) struct Ranking<'a> {
    /// In [`order`].
    pub head: &'a [Candidate],
    /// `exp(logit)` of each.
    pub weights: Vec<f64>,
    /// How many others there are.
    pub others: usize,
    /// What they weigh together.
    pub rest: Weight,
    /// What none of them weighs more than.
    pub most: f64,
}

/// What a step left over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Left {
    pub cut: Cut,
    /// Ranked candidates that are left, as far as the weights' guesses tell.
    pub ranked: usize,
    /// Those that are left whatever the weights are within their bounds.
    sure: usize,
    /// Those that may be left.
    possible: usize,
    /// Others that may be left.
    pub others: usize,
    /// What is left weighs, ranked and others.
    pub total: Weight,
    rest: Weight,
    /// What a candidate of unknown rank has to weigh to be left, where that is known.
    least: Option<f64>,
}

impl Left {
    /// Whether this step leaves a candidate that came so far; `None` if that cannot be told.
    pub(crate) fn keeps(&self, rank: Option<usize>, weight: f64) -> Option<bool> {
        match (self.cut, rank) {
            (_, Some(rank)) if rank < self.sure => Some(true),
            (_, Some(rank)) if rank >= self.possible => Some(false),
            (_, Some(_)) => None,
            (Cut::None, None) => Some(true),
            (Cut::After(_), None) if self.others == 0 => Some(false),
            (_, None) => self.least.map(|least| weight >= least),
        }
    }
}

impl<'a> Ranking<'a> {
    /// The others weigh nothing: all candidates are ranked.
    pub(crate) fn all(head: &'a [Candidate]) -> Self {
        Self::new(head, 0, Weight::ZERO, 0.0)
    }

    pub(crate) fn new(head: &'a [Candidate], others: usize, rest: Weight, most: f64) -> Self {
        let weights = head.iter().map(|c| f64::from(c.logit).exp()).collect();
        Self {
            head,
            weights,
            others,
            rest,
            most,
        }
    }

    /// Everything, before the first cut.
    pub(crate) fn everything(&self) -> Left {
        self.left(Cut::None, self.head.len(), self.others, self.rest)
    }

    fn left(&self, cut: Cut, ranked: usize, others: usize, rest: Weight) -> Left {
        let total = rest.plus(self.weight_of(ranked));
        Left {
            cut,
            ranked,
            sure: ranked,
            possible: ranked,
            others,
            total,
            rest,
            least: None,
        }
    }

    /// What the first `count` ranked weigh.
    fn weight_of(&self, count: usize) -> f64 {
        self.weights[..count].iter().sum()
    }

    fn unchanged(&self, before: Left) -> Left {
        Left {
            cut: Cut::None,
            ..before
        }
    }

    fn after(&self, count: usize) -> Left {
        self.left(Cut::After(count), count, 0, Weight::ZERO)
    }

    /// What top-k, top-p and min-p leave, one after the other.
    pub(crate) fn cuts(&self, settings: &GenerateSettings) -> [Left; 3] {
        let top_k = self.top_k(self.everything(), settings.top_k as usize);
        let top_p = self.top_p(top_k, f64::from(settings.top_p));
        let min_p = self.min_p(top_p, f64::from(settings.min_p));
        [top_k, top_p, min_p]
    }

    /// The ranked candidates that are left and their probabilities.
    pub(crate) fn probabilities(&self, left: Left) -> Vec<(Candidate, f32)> {
        let kept = self.head[..left.ranked].iter().zip(&self.weights);
        kept.map(|(candidate, weight)| (*candidate, (weight / left.total.guess) as f32))
            .collect()
    }

    /// Keeps the `k` likeliest, and what ties with the last of them.
    fn top_k(&self, before: Left, k: usize) -> Left {
        let ranked = self.head.len();
        if k == 0 || k >= ranked + self.others {
            return self.unchanged(before);
        }
        if let Some(last) = k.checked_sub(1).and_then(|at| self.head.get(at)) {
            let ties = self.head[k..].iter().take_while(|c| c.logit == last.logit);
            let count = k + ties.count();
            if count < ranked || self.others == 0 || self.weights[k - 1] > self.most {
                return self.after(count);
            }
        }
        // The likeliest of the others weigh at least their share, and none more than `most`.
        let more = k.saturating_sub(ranked);
        let share = more as f64 / self.others.max(1) as f64;
        let ties = if more == 0 {
            self.rest.high
        } else {
            more as f64 * self.most
        };
        let rest = Weight::between(self.rest.low * share, ties.min(self.rest.high));
        self.left(Cut::Beyond, ranked, self.others, rest)
    }

    /// Keeps candidates until their probabilities reach `p`: one stays if those before it sum to
    /// less.
    fn top_p(&self, before: Left, p: f64) -> Left {
        if p >= 1.0 {
            return self.unchanged(before);
        }
        let reaches = |total: f64| {
            let mut sum = 0.0;
            let last = self.weights[..before.possible].iter().position(|weight| {
                sum += weight;
                sum >= p * total
            });
            last.map(|last| last + 1)
        };
        let listed = self.weight_of(before.possible);
        // What is kept exceeds its aim by less than its last token.
        let beyond = Weight {
            guess: (p * before.total.guess - listed).max(0.0),
            low: (p * before.total.low - listed).max(0.0),
            high: (p * before.total.high - listed + self.most).min(before.rest.high),
        };
        let Weight { guess, low, high } = before.total;
        match (reaches(low), reaches(guess), reaches(high)) {
            (sure, None, _) if before.others > 0 => {
                let mut left = self.left(Cut::Beyond, before.ranked, before.others, beyond);
                left.sure = sure.unwrap_or(before.sure);
                left.total.low = left.total.low.min(self.weight_of(left.sure) + beyond.low);
                left
            }
            (_, None, _) => self.unchanged(before),
            (_, Some(count), _) if count == before.ranked && before.others == 0 => {
                self.unchanged(before)
            }
            (sure, Some(count), possible) => {
                let sure = sure.unwrap_or(count);
                let possible = possible.unwrap_or(before.possible);
                let further = if reaches(high).is_none() {
                    beyond.high
                } else {
                    0.0
                };
                Left {
                    sure,
                    possible,
                    others: if further > 0.0 { before.others } else { 0 },
                    total: Weight {
                        guess: self.weight_of(count),
                        low: self.weight_of(sure),
                        high: self.weight_of(possible) + further,
                    },
                    rest: Weight {
                        high: further,
                        ..Weight::ZERO
                    },
                    ..self.after(count)
                }
            }
        }
    }

    /// Drops what is less likely than the fraction `p` of the likeliest.
    fn min_p(&self, before: Left, p: f64) -> Left {
        let least = p * self.weights.first().copied().unwrap_or(0.0);
        if p == 0.0 {
            return self.unchanged(before);
        }
        let count = self.weights[..before.possible].partition_point(|weight| *weight >= least);
        if count < before.sure || (before.others > 0 && self.most < least) {
            let (ranked, sure) = (count.min(before.ranked), count.min(before.sure));
            let possible = count.min(before.possible);
            return Left {
                sure,
                possible,
                total: Weight {
                    guess: self.weight_of(ranked),
                    low: self.weight_of(sure),
                    high: self.weight_of(possible),
                },
                ..self.after(ranked)
            };
        }
        if before.others == 0 {
            return self.unchanged(before);
        }
        let rest = Weight::between(0.0, before.rest.high);
        Left {
            least: Some(least),
            ..self.left(Cut::Beyond, before.ranked, before.others, rest)
        }
    }
}
