//! How long one of several contenders took, round by round.

use serde_json::Value;

use super::spread::Spread;

/// Times of one contender; those of the same round stand at the same place.
pub struct Times {
    pub name: String,
    /// Of a run, by round.
    pub milliseconds: Vec<f64>,
}

impl Times {
    /// From what a page says: `{ name, milliseconds: [..] }`.
    pub fn of(value: &Value) -> Option<Self> {
        let times = value["milliseconds"].as_array()?.iter();
        Some(Self {
            name: value["name"].as_str()?.to_owned(),
            milliseconds: times.map(Value::as_f64).collect::<Option<_>>()?,
        })
    }

    /// These to the other's, round by round.
    pub fn to(&self, other: &Self) -> Option<Spread> {
        let rounds = self.milliseconds.iter().zip(&other.milliseconds);
        Spread::of(rounds.map(|(ours, theirs)| ours / theirs))
    }

    /// The middle one, for people.
    pub fn median(&self) -> String {
        let spread = Spread::of(self.milliseconds.iter().copied());
        spread.map_or_else(String::new, |spread| format!("{:.1}", spread.median))
    }
}
