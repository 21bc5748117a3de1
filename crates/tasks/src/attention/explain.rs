//! One cell of a map, from its query and key to the weight, in the order a person would compute it.

use super::Focus;

/// The numbers between the taps of a [`Focus`], for one key.
#[derive(Clone, Debug, PartialEq)]
pub struct CellNumbers {
    /// Query times key, element by element, `[head_dim]`.
    pub products: Vec<f32>,
    /// Their sum.
    pub dot: f32,
    /// The sum times the model's scale, before the mask.
    pub scaled: f32,
    /// Whether the mask lets the query see this key.
    pub seen: bool,
    /// The largest score of the row, subtracted before the exponential.
    pub largest: f32,
    /// `exp(score − largest)`.
    pub exponential: f32,
    /// The sum of all exponentials of the row.
    pub sum: f32,
    /// The weight: one divided by the other.
    pub weight: f32,
    /// The value times the weight, `[head_dim]`: what this key adds.
    pub added: Vec<f32>,
    /// The sum of that over all keys, `[head_dim]`: what the head reads.
    pub read: Vec<f32>,
}

impl Focus {
    /// The numbers of one key, for a head whose scores are scaled by `scale`; `None` if there is no
    /// such key.
    pub fn cell(&self, to: usize, scale: f32) -> Option<CellNumbers> {
        let dim = self.query.len();
        // Keys behind the query of a causal model were never computed.
        let key = self.keys.chunks_exact(dim.max(1)).nth(to)?;
        let products: Vec<f32> = self.query.iter().zip(key).map(|(q, k)| q * k).collect();
        let sum = |numbers: &[f32]| numbers.iter().map(|&x| f64::from(x)).sum::<f64>();
        let dot = sum(&products);
        let score = *self.scores.get(to)?;
        let largest = self.scores.iter().copied().fold(f32::MIN, f32::max);
        let exponential = |score: f32| f64::from(score - largest).exp();
        let total: f64 = self.scores.iter().map(|&score| exponential(score)).sum();
        let weight = exponential(score) / total;
        let value = self.values.chunks_exact(dim.max(1)).nth(to)?;
        let mut read = vec![0.0f64; dim];
        for (value, &p) in self.values.chunks_exact(dim.max(1)).zip(&self.probs) {
            for (read, &v) in read.iter_mut().zip(value) {
                *read += f64::from(p) * f64::from(v);
            }
        }
        Some(CellNumbers {
            products,
            dot: dot as f32,
            scaled: (dot * f64::from(scale)) as f32,
            seen: score > f32::MIN / 2.0,
            largest,
            exponential: exponential(score) as f32,
            sum: total as f32,
            weight: weight as f32,
            added: value
                .iter()
                .map(|&v| (weight * f64::from(v)) as f32)
                .collect(),
            read: read.into_iter().map(|x| x as f32).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cell_by_hand() {
        let ln3 = 3f32.ln();
        let focus = Focus {
            query: vec![1.0, 2.0],
            keys: vec![ln3 * 2.0, 0.0, 0.0, 0.0],
            values: vec![4.0, 0.0, 0.0, 8.0],
            scores: vec![ln3, 0.0],
            probs: vec![0.75, 0.25],
            context: vec![3.0, 2.0],
            output: vec![],
        };
        let cell = focus.cell(0, 0.5).unwrap();
        assert_eq!(cell.products, [ln3 * 2.0, 0.0]);
        assert!((cell.scaled - ln3).abs() < 1e-6 && cell.seen);
        assert!((cell.exponential - 1.0).abs() < 1e-6 && (cell.sum - 4.0 / 3.0).abs() < 1e-6);
        assert!((cell.weight - 0.75).abs() < 1e-6);
        assert!((cell.added[0] - 3.0).abs() < 1e-6);
        assert_eq!(cell.read, focus.context);
        assert_eq!(focus.cell(2, 0.5), None);
    }
}
