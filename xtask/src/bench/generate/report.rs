//! What was measured, as a table and for programs, beside the targets.

use serde_json::{Value, json};

use super::pages::{Measured, Run, SiteFile};
use super::shell::Shell;
use crate::bench::spread::Spread;

/// Fewer pairs say too little of a ratio.
const ENOUGH_PAIRS: usize = 5;

/// Everything that was measured.
pub struct Report {
    /// The browser and the machine, as the page sees them.
    pub surroundings: Value,
    /// Before and after.
    pub load_average: [Option<f64>; 2],
    /// How the site and the shell were built.
    pub profile: String,
    /// Bytes of the file with the weights.
    pub weights: u64,
    /// The most tokens a run writes.
    pub max_tokens: u32,
    pub shells: Vec<Shell>,
    /// What the page fetches before the weights.
    pub files: Vec<SiteFile>,
    pub ours: Measured,
    pub comparison: Comparison,
}

/// The other engine.
pub enum Comparison {
    Measured(Measured),
    /// It was not measured.
    Missing {
        reason: String,
    },
}

/// Something that should be at least, or at most, so much.
struct Target {
    what: &'static str,
    /// The figure that counts, if there is one.
    value: Option<f64>,
    /// It, with what it came from.
    shown: String,
    wanted: String,
    met: bool,
}

impl Target {
    fn verdict(&self) -> &'static str {
        match (self.value, self.met) {
            (None, _) => "not measured",
            (Some(_), true) => "met",
            (Some(_), false) => "missed",
        }
    }
}

fn spread(runs: &[Run], figure: impl Fn(&Run) -> f64) -> Option<Spread> {
    Spread::of(runs.iter().map(figure))
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl Report {
    /// Ours to theirs, pair by pair.
    fn ratio(&self, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        let Comparison::Measured(theirs) = &self.comparison else {
            return None;
        };
        let pairs = self.ours.runs.iter().zip(&theirs.runs);
        Spread::of(pairs.map(|(ours, theirs)| figure(ours) / figure(theirs)))
    }

    fn gzipped(&self) -> u64 {
        self.files.iter().map(|file| file.gzipped).sum()
    }

    fn targets(&self) -> Vec<Target> {
        let ratio = |what, figure: fn(&Run) -> f64| {
            let ratio = self.ratio(figure);
            let pairs = self.ours.runs.len();
            let few = if pairs < ENOUGH_PAIRS {
                format!(" of {pairs}")
            } else {
                String::new()
            };
            Target {
                what,
                value: ratio.map(|ratio| ratio.median),
                shown: ratio.map_or_else(String::new, |ratio| ratio.show(2) + &few),
                wanted: format!("at least 0.8, median of {ENOUGH_PAIRS} pairs"),
                met: ratio.is_some_and(|ratio| ratio.median >= 0.8),
            }
        };
        let heap = self.ours.heap.unwrap_or_default();
        let heap_ratio = heap as f64 / self.weights as f64;
        let gzipped = self.gzipped();
        vec![
            ratio("decode, ours to wllama's", |run| run.decode),
            ratio("prefill, ours to wllama's", |run| run.prefill),
            Target {
                what: "heap after load, to the file",
                value: self.ours.heap.map(|_| heap_ratio),
                shown: format!(
                    "{heap_ratio:.2} ({:.1} of {:.1} MB)",
                    megabytes(heap),
                    megabytes(self.weights)
                ),
                wanted: "at most 1.4".to_owned(),
                met: heap_ratio <= 1.4,
            },
            Target {
                what: "page and engine, gzipped",
                value: Some(megabytes(gzipped)),
                shown: format!("{:.3} MB", megabytes(gzipped)),
                wanted: "at most 1.6 MB".to_owned(),
                met: gzipped <= 1_600_000,
            },
        ]
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut lines = self.conditions();
        lines.push(String::new());
        lines.extend(self.table());
        lines.push(String::new());
        lines.extend(self.notes());
        lines.push("\nFetched before the weights, by gzip -9:".to_owned());
        for SiteFile { path, gzipped } in &self.files {
            lines.push(format!("{:>10.1} kB  {path}", *gzipped as f64 / 1e3));
        }
        lines.push("\nTargets".to_owned());
        for target in self.targets() {
            lines.push(format!(
                "{:<29} {:<32} {:<34} {}",
                target.what,
                target.shown,
                target.wanted,
                target.verdict()
            ));
        }
        lines.join("\n")
    }

    fn conditions(&self) -> Vec<String> {
        let found = &self.surroundings;
        let word = |name: &str| found[name].as_str().unwrap_or("an unnamed browser");
        let load = self.load_average.map(|load| match load {
            Some(load) => format!("{load:.2}"),
            None => "unknown".to_owned(),
        });
        let isolated = if found["crossOriginIsolated"] == true {
            "cross-origin isolated"
        } else {
            "not cross-origin isolated"
        };
        vec![
            format!("{} ({})", word("browser"), word("userAgent")),
            format!(
                "{} cores, {isolated}; load average {} before, {} after; the profile is {}",
                found["cores"], load[0], load[1], self.profile
            ),
            format!(
                "A prompt of {} tokens, then at most {} written greedily; median (least–greatest). \
                 Where others use the machine too, only the ratios tell much.",
                self.ours.warm_up.prompt_tokens, self.max_tokens
            ),
        ]
    }

    fn table(&self) -> Vec<String> {
        let row = |cells: [String; 6]| {
            let [name, runs, load, first, prefill, decode] = cells;
            let line =
                format!("{name:<40} {runs:>4}  {load:<18} {first:<20} {prefill:<20} {decode}");
            line.trim_end().to_owned()
        };
        let show = |spread: Option<Spread>, digits| {
            spread.map_or_else(String::new, |spread| spread.show(digits))
        };
        let titles = [
            "",
            "runs",
            "load (s)",
            "first token (s)",
            "prefill (tok/s)",
            "decode (tok/s)",
        ];
        let mut lines = vec![row(titles.map(str::to_owned))];
        for shell in &self.shells {
            let of = |values: &[f64], digits| show(Spread::of(values.iter().copied()), digits);
            lines.push(row([
                format!("Shell (cpu, {})", shell.precision),
                shell.load.len().to_string(),
                of(&shell.load, 2),
                of(&shell.first_token, 2),
                of(&shell.prefill, 1),
                of(&shell.decode, 1),
            ]));
        }
        let mut engines = vec![&self.ours];
        if let Comparison::Measured(theirs) = &self.comparison {
            engines.push(theirs);
        }
        for engine in engines {
            lines.push(row([
                engine.name.clone(),
                engine.runs.len().to_string(),
                format!("{:.2}, again {:.2}", engine.load, engine.load_again),
                show(spread(&engine.runs, |run| run.first_token), 2),
                show(spread(&engine.runs, |run| run.prefill), 1),
                show(spread(&engine.runs, |run| run.decode), 1),
            ]));
        }
        if self.ratio(|run| run.decode).is_some() {
            lines.push(row([
                "Ours to theirs, pair by pair".to_owned(),
                String::new(),
                String::new(),
                show(self.ratio(|run| run.first_token), 2),
                show(self.ratio(|run| run.prefill), 2),
                show(self.ratio(|run| run.decode), 2),
            ]));
        }
        lines
    }

    fn notes(&self) -> Vec<String> {
        let ours = &self.ours;
        let first = |engine: &Measured| {
            let Run {
                first_token,
                prefill,
                decode,
                ..
            } = &engine.warm_up;
            format!(
                "The very first run, while Chromium still compiles: first token after {first_token:.2} s, \
                 prefill {prefill:.1}, decode {decode:.1} tok/s ({}).",
                engine.name
            )
        };
        let mut lines = vec![first(ours)];
        let heap = |bytes: Option<u64>| {
            bytes.map_or_else(
                || "unknown".to_owned(),
                |bytes| format!("{:.1} MB", megabytes(bytes)),
            )
        };
        match &self.comparison {
            Comparison::Measured(theirs) => {
                lines.push(first(theirs));
                let counts = |run: &Run| format!("{} + {}", run.prompt_tokens, run.tokens);
                lines.push(format!(
                    "Tokens of prompt and answer: ours {}, theirs {}. {}",
                    counts(&ours.warm_up),
                    counts(&theirs.warm_up),
                    agreement(&ours.warm_up.text, &theirs.warm_up.text)
                ));
            }
            Comparison::Missing { reason } => {
                lines.push(format!("Not compared with wllama: {reason}"));
            }
        }
        lines.push(format!(
            "Our WebAssembly heap: {} after load, {} after the last run.",
            heap(ours.heap),
            heap(ours.runs.last().and_then(|run| run.heap))
        ));
        lines
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let run = |run: &Run| {
            json!({
                "prompt_tokens": run.prompt_tokens,
                "tokens": run.tokens,
                "first_token_seconds": run.first_token,
                "prefill_tps": run.prefill,
                "decode_tps": run.decode,
                "heap_bytes": run.heap,
                "text": run.text,
            })
        };
        let engine = |engine: &Measured| {
            json!({
                "name": engine.name,
                "load_seconds": engine.load,
                "load_again_seconds": engine.load_again,
                "heap_bytes": engine.heap,
                "warm_up": run(&engine.warm_up),
                "runs": engine.runs.iter().map(run).collect::<Vec<_>>(),
            })
        };
        let shells = self.shells.iter().map(|shell| {
            json!({
                "precision": shell.precision,
                "prompt_tokens": shell.prompt_tokens,
                "load_seconds": shell.load,
                "first_token_seconds": shell.first_token,
                "prefill_tps": shell.prefill,
                "decode_tps": shell.decode,
            })
        });
        let files = self
            .files
            .iter()
            .map(|file| json!({ "path": file.path, "gzipped": file.gzipped }));
        let targets = self.targets().into_iter().map(|target| {
            json!({
                "what": target.what,
                "value": target.value,
                "wanted": target.wanted,
                "verdict": target.verdict(),
            })
        });
        let (theirs, missing) = match &self.comparison {
            Comparison::Measured(theirs) => (engine(theirs), Value::Null),
            Comparison::Missing { reason } => (Value::Null, json!(reason)),
        };
        json!({
            "surroundings": self.surroundings,
            "load_average": self.load_average,
            "profile": self.profile,
            "file_bytes": self.weights,
            "shell": shells.collect::<Vec<_>>(),
            "glassformer": engine(&self.ours),
            "wllama": theirs,
            "wllama_missing": missing,
            "ratio": {
                "prefill": self.ratio(|run| run.prefill).map(Spread::json),
                "decode": self.ratio(|run| run.decode).map(Spread::json),
            },
            "files": files.collect::<Vec<_>>(),
            "gzipped_bytes": self.gzipped(),
            "targets": targets.collect::<Vec<_>>(),
        })
    }
}

/// How far two greedy continuations go together; rounding parts them at some close call.
fn agreement(ours: &str, theirs: &str) -> String {
    if ours == theirs {
        return "Both wrote the same text.".to_owned();
    }
    let same = ours
        .chars()
        .zip(theirs.chars())
        .take_while(|(a, b)| a == b)
        .count();
    format!(
        "The texts agree for the first {same} of {} characters.",
        ours.chars().count()
    )
}

#[cfg(test)]
mod tests;
