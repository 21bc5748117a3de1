//! What several measurements of one thing say together.

use serde_json::{Value, json};

/// The least, the middle and the greatest of some measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// Of at least one measurement.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            (values[middle - 1] + values[middle]) / 2.0
        } else {
            values[middle]
        };
        Some(Self { min, median, max })
    }

    /// As part of a report for programs.
    pub fn json(self) -> Value {
        json!({ "min": self.min, "median": self.median, "max": self.max })
    }

    /// `median (min–max)`.
    pub fn show(self, digits: usize) -> String {
        let Self { min, median, max } = self;
        format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    fn median(values: &[f64]) -> Option<f64> {
        Spread::of(values.iter().copied()).map(|spread| spread.median)
    }

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn shows_all_three() {
        let spread = Spread::of([2.0, 1.0, 4.0]);
        assert_eq!(
            spread.map(|spread| spread.show(1)).as_deref(),
            Some("2.0 (1.0–4.0)")
        );
    }
}
