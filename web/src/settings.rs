//! The numbers that steer generation, described once: the controls, the link and the sentence
//! that sums them up all read this list.

use glassformer_engine::protocol::GenerateSettings;

/// One number of [`GenerateSettings`].
pub struct Setting {
    /// Its name in links.
    pub key: &'static str,
    /// Its name on the page.
    pub label: &'static str,
    /// What it does, in one sentence.
    pub explains: &'static str,
    /// Smallest value taken.
    pub min: f64,
    /// Whether only values above the smallest are taken.
    above_min: bool,
    /// Largest value taken.
    pub max: f64,
    /// What one press of an arrow key adds.
    pub step: f64,
    field: Field,
}

/// Read and write access to one field.
enum Field {
    Real(fn(&GenerateSettings) -> f32, fn(&mut GenerateSettings, f32)),
    Whole(fn(&GenerateSettings) -> u32, fn(&mut GenerateSettings, u32)),
}

/// Every number, in the order the sampler applies them.
pub const SETTINGS: [Setting; 7] = [
    Setting {
        key: "temperature",
        label: "Temperature",
        explains: "Below 1 favours likely tokens, above 1 evens them out; 0 always takes the likeliest.",
        min: 0.0,
        above_min: false,
        max: 5.0,
        step: 0.1,
        field: Field::Real(|s| s.temperature, |s, v| s.temperature = v),
    },
    Setting {
        key: "top_k",
        label: "Top-k",
        explains: "Draws only among this many of the likeliest tokens; 0 keeps all.",
        min: 0.0,
        above_min: false,
        max: 1_000_000.0,
        step: 1.0,
        field: Field::Whole(|s| s.top_k, |s, v| s.top_k = v),
    },
    Setting {
        key: "top_p",
        label: "Top-p",
        explains: "Keeps the fewest likeliest tokens whose probabilities add up to this; 1 keeps all.",
        min: 0.0,
        above_min: true,
        max: 1.0,
        step: 0.05,
        field: Field::Real(|s| s.top_p, |s, v| s.top_p = v),
    },
    Setting {
        key: "min_p",
        label: "Min-p",
        explains: "Drops tokens less likely than this fraction of the likeliest one; 0 keeps all.",
        min: 0.0,
        above_min: false,
        max: 1.0,
        step: 0.01,
        field: Field::Real(|s| s.min_p, |s, v| s.min_p = v),
    },
    Setting {
        key: "repetition_penalty",
        label: "Repetition penalty",
        explains: "Above 1 makes tokens that already occurred less likely; 1 is off.",
        min: 0.01,
        above_min: false,
        max: 10.0,
        step: 0.05,
        field: Field::Real(|s| s.repetition_penalty, |s, v| s.repetition_penalty = v),
    },
    Setting {
        key: "max_tokens",
        label: "Maximum tokens",
        explains: "Writing ends after this many tokens, if the model has not ended it before.",
        min: 1.0,
        above_min: false,
        max: 131_072.0,
        step: 1.0,
        field: Field::Whole(|s| s.max_tokens, |s, v| s.max_tokens = v),
    },
    Setting {
        key: "seed",
        label: "Seed",
        explains: "Starts the random draws; the same seed and settings give the same text again.",
        min: 0.0,
        above_min: false,
        max: u32::MAX as f64,
        step: 1.0,
        field: Field::Whole(|s| s.seed, |s, v| s.seed = v),
    },
];

impl Setting {
    /// The current value as text that [`Setting::write`] reads back to the same value.
    pub fn read(&self, settings: &GenerateSettings) -> String {
        match self.field {
            Field::Real(get, _) => get(settings).to_string(),
            Field::Whole(get, _) => get(settings).to_string(),
        }
    }

    /// Sets the value from text, or says in half a sentence what it should have been.
    pub fn write(&self, settings: &mut GenerateSettings, text: &str) -> Result<(), String> {
        let text = text.trim();
        match self.field {
            Field::Real(_, set) => match text.parse::<f32>() {
                // As the sampler compares them: 0.01 rounded to an f32 is a little less.
                Ok(value) if self.contains(value, [self.min as f32, self.max as f32]) => {
                    set(settings, value);
                }
                _ if self.above_min => {
                    return Err(format!(
                        "a number above {} and up to {}",
                        self.min, self.max
                    ));
                }
                _ => return Err(format!("a number from {} to {}", self.min, self.max)),
            },
            Field::Whole(_, set) => match text.parse::<u32>() {
                Ok(value) if self.contains(f64::from(value), [self.min, self.max]) => {
                    set(settings, value);
                }
                _ => return Err(format!("a whole number from {} to {}", self.min, self.max)),
            },
        }
        Ok(())
    }

    // NaN is in no range.
    fn contains<T: PartialOrd>(&self, value: T, [min, max]: [T; 2]) -> bool {
        let enough = if self.above_min {
            value > min
        } else {
            value >= min
        };
        enough && value <= max
    }
}

/// The settings in one line, leaving out what is switched off: "temperature 0.7 · top-p 0.9 · …".
pub fn in_a_line(settings: &GenerateSettings) -> String {
    let mut parts = Vec::new();
    if settings.temperature == 0.0 {
        parts.push("greedy (temperature 0)".to_string());
    } else {
        parts.push(format!("temperature {}", settings.temperature));
        if settings.top_k > 0 {
            parts.push(format!("top-k {}", settings.top_k));
        }
        if settings.top_p < 1.0 {
            parts.push(format!("top-p {}", settings.top_p));
        }
        if settings.min_p > 0.0 {
            parts.push(format!("min-p {}", settings.min_p));
        }
    }
    if settings.repetition_penalty != 1.0 {
        parts.push(format!(
            "repetition penalty {}",
            settings.repetition_penalty
        ));
    }
    parts.push(format!(
        "up to {}",
        crate::format::counted(settings.max_tokens.into(), "token")
    ));
    if settings.temperature != 0.0 {
        parts.push(format!("seed {}", settings.seed));
    }
    match settings.stop.len() {
        0 => {}
        1 => parts.push("1 stop string".into()),
        n => parts.push(format!("{n} stop strings")),
    }
    parts.join(" · ")
}

/// Stop strings as lines of text; a line break inside one is written `\n`.
pub fn stop_to_lines(stop: &[String]) -> String {
    let lines: Vec<String> = stop
        .iter()
        .map(|s| {
            s.replace('\\', "\\\\")
                .replace('\n', "\\n")
                .replace('\t', "\\t")
        })
        .collect();
    lines.join("\n")
}

/// Stop strings from lines of text; empty lines mean nothing, `\n`, `\t` and `\\` are escapes.
pub fn stop_from_lines(lines: &str) -> Vec<String> {
    lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(unescape)
        .collect()
}

fn unescape(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('\\') | None => text.push('\\'),
            Some(other) => text.extend(['\\', other]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_setting_reads_back_what_it_wrote() {
        let mut settings = GenerateSettings::default();
        for setting in &SETTINGS {
            let least = if setting.above_min {
                setting.min + 0.001
            } else {
                setting.min
            };
            for value in [least, setting.max] {
                let text = match setting.field {
                    Field::Real(..) => (value as f32).to_string(),
                    Field::Whole(..) => (value as u32).to_string(),
                };
                assert_eq!(
                    setting.write(&mut settings, &text),
                    Ok(()),
                    "{}",
                    setting.key
                );
                assert_eq!(setting.read(&settings), text, "{}", setting.key);
            }
        }
    }

    #[test]
    fn values_the_sampler_would_refuse_are_not_taken() {
        for setting in &SETTINGS {
            let steps = [-1.0, 0.0, 1e-6, 0.005, 0.5].map(|step| setting.min + step);
            for number in steps
                .into_iter()
                .chain([0.0, setting.max, setting.max + 1.0])
            {
                let mut settings = GenerateSettings::default();
                if setting.write(&mut settings, &number.to_string()).is_ok() {
                    assert_eq!(settings.check(), Ok(()), "{} {number}", setting.key);
                }
            }
        }
    }

    #[test]
    fn values_out_of_range_change_nothing() {
        for setting in &SETTINGS {
            let mut settings = GenerateSettings::default();
            for bad in ["", "abc", "-1", "NaN", "inf", "4294967296", "1e99"] {
                assert!(
                    setting.write(&mut settings, bad).is_err(),
                    "{} {bad}",
                    setting.key
                );
            }
            assert_eq!(settings, GenerateSettings::default());
        }
    }

    #[test]
    fn the_line_names_what_is_on() {
        let mut settings = GenerateSettings::default();
        assert_eq!(
            in_a_line(&settings),
            "temperature 0.7 · top-p 0.9 · up to 256 tokens · seed 42"
        );
        settings.temperature = 0.0;
        settings.stop = vec!["\n".into()];
        assert_eq!(
            in_a_line(&settings),
            "greedy (temperature 0) · up to 256 tokens · 1 stop string"
        );
    }

    #[test]
    fn stop_strings_survive_the_text_field() {
        let stop = vec!["\n\n".to_string(), "a\\n".into(), "###".into(), "\t".into()];
        assert_eq!(stop_from_lines(&stop_to_lines(&stop)), stop);
        assert_eq!(stop_from_lines("a\n\n\\x\\"), ["a", "\\x\\"]);
    }
}
