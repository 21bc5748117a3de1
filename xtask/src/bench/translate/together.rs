//! Sentences side by side beside one at a time, in the shell: the same text in turn, each first as often as
//! the other. The rates are the engine's own, since loading is no part of them.

use serde_json::{Value, json};

use crate::bench::generate::program;
use crate::bench::spread::Spread;
use crate::error::{Error, Result, file};
use crate::step::output;
use crate::system;
use crate::workspace::Workspace;

/// Where it is measured: backend and precision.
const PLACES: [[&str; 2]; 3] = [["cpu", "fast"], ["cpu", "exact"], ["gpu", "exact"]];

/// What one place measured.
pub struct Together {
    backend: &'static str,
    precision: &'static str,
    sentences: usize,
    /// Most of them side by side.
    many: u16,
    /// Words a second: one at a time, side by side.
    rates: [Spread; 2],
    /// How many times as fast side by side.
    gain: Spread,
    /// Whether both said the same.
    same: bool,
}

/// Translates as many English sentences as asked for, `pairs` times each way in each place.
pub fn measure(
    workspace: &Workspace,
    profile: &str,
    [pairs, sentences, many]: [u16; 3],
) -> Result<Vec<Together>> {
    system::vulkan(workspace)?;
    let path = workspace.root.join("tests/golden/translate/sentences.json");
    let bytes = std::fs::read(&path).map_err(file(&path))?;
    let all: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Error::State(format!("{}: {error}", path.display())))?;
    let english: Vec<&str> = all["en"].as_array().map_or_else(Vec::new, |all| {
        let texts = all.iter().filter_map(Value::as_str);
        texts.take(sentences.into()).collect()
    });
    let text = english.join("\n");
    let place = |[backend, precision]: [&'static str; 2]| {
        let (mut rates, mut texts) = ([const { Vec::new() }; 2], [const { String::new() }; 2]);
        for pair in 0..pairs {
            for i in 0..2 {
                let who = usize::from((i + pair) % 2);
                let together = [1, many][who].to_string();
                let mut command = workspace.command(program(workspace, profile));
                command.env("GLASSFORMER_MODELS", workspace.models());
                command.args(["translate", "--json", "--from", "en", "--to", "pt"]);
                command.args(["--backend", backend, "--precision", precision]);
                command.args(["--together", &together, "--text", &text]);
                let said = output(&mut command).and_then(|said| serde_json::from_str(&said).ok());
                let taken = said.and_then(|said: Value| {
                    rates[who].push(said["words_per_s"].as_f64()?);
                    texts[who] = said["text"].as_str()?.to_owned();
                    Some(())
                });
                taken.ok_or_else(|| {
                    let what = "the shell did not translate; without --no-build it is built first";
                    Error::State(what.to_owned())
                })?;
            }
        }
        Together::of(
            [backend, precision],
            (english.len(), many),
            &rates,
            texts[0] == texts[1],
        )
        .ok_or_else(|| Error::State("nothing was measured".to_owned()))
    };
    PLACES.into_iter().map(place).collect()
}

impl Together {
    fn of(
        [backend, precision]: [&'static str; 2],
        (sentences, many): (usize, u16),
        rates: &[Vec<f64>; 2],
        same: bool,
    ) -> Option<Self> {
        let [alone, together] = rates;
        let gains = together.iter().zip(alone).map(|(many, one)| many / one);
        Some(Self {
            backend,
            precision,
            sentences,
            many,
            rates: [
                Spread::of(alone.iter().copied())?,
                Spread::of(together.iter().copied())?,
            ],
            gain: Spread::of(gains)?,
            same,
        })
    }

    /// For people.
    pub fn line(&self) -> String {
        let [alone, together] = self.rates.map(|rate| rate.show(0));
        let said = if self.same { "the same" } else { "other" };
        format!(
            "batch, shell, {} {}: {} of {} sentences together {together} words/s, one at a time {alone}: {} times as fast, {said} text",
            self.backend,
            self.precision,
            self.many,
            self.sentences,
            self.gain.show(2),
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "backend": self.backend,
            "precision": self.precision,
            "together": self.many,
            "sentences": self.sentences,
            "words_per_s": self.rates.map(Spread::json),
            "gain": self.gain.json(),
            "same": self.same,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Together;

    #[test]
    fn a_gain_is_one_pairs() {
        let rates = [vec![100.0, 50.0, 80.0], vec![150.0, 150.0, 80.0]];
        let measured = Together::of(["cpu", "fast"], (12, 8), &rates, true);
        let said = measured.map(|measured| measured.json()).unwrap_or_default();
        assert_eq!(said["gain"]["median"], 1.5);
        assert_eq!(said["words_per_s"][0]["median"], 80.0);
        assert!(Together::of(["cpu", "fast"], (1, 8), &Default::default(), true).is_none());
    }
}
