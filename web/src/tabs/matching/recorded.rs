//! The recorded example: real scores of the samples, shown until there are live ones.

use serde::Deserialize;

use super::table::Table;

/// Scores as they were recorded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Recording {
    /// What ran, for people: name and encoding of the model.
    model: String,
    /// What it ran on, for people, such as "CPU, exact".
    on: String,
    /// Names of the samples.
    pub pictures: Vec<String>,
    /// What they were compared with.
    pub texts: Vec<String>,
    scores: Vec<Vec<f32>>,
    scale: f32,
}

impl Recording {
    /// The recording that is part of the page; `None` if it cannot be read, which a test rules out.
    pub fn load() -> Option<Self> {
        serde_json::from_str(include_str!("../../../assets/recorded-match.json")).ok()
    }

    /// What it was recorded with.
    pub fn source(&self) -> String {
        format!("{} · {}", self.model, self.on)
    }

    /// Its numbers.
    pub fn table(&self) -> Table {
        let rows = self.scores.iter();
        let rows = rows.map(|row| row.iter().copied().map(Some).collect());
        Table::of_cosines(rows.collect(), self.scale)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::components::pictures::SAMPLES;
    use crate::tabs::matching::{OPENING, labels_of};

    #[test]
    fn the_recording_is_of_the_samples_and_the_opening_texts() {
        let recording = Recording::load().unwrap();
        assert_eq!(recording.pictures, SAMPLES);
        assert_eq!(recording.texts, labels_of(OPENING));
        let table = recording.table();
        assert_eq!(table.rows.len(), SAMPLES.len());
        assert!(table.rows.iter().flatten().all(Option::is_some));
    }
}
