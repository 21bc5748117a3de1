//! What was measured, as a table and for programs, beside the targets.

use serde_json::{Value, json};

use super::pages::{Measured, Run, SiteFile};
use super::shell::Shell;
use crate::bench::spread::Spread;

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
    /// Whether the GPU computed, or the CPU.
    pub on_gpu: bool,
    /// The most tokens a page writes.
    pub max_tokens: u32,
    /// Milliseconds from a wish to stop to the end of the text.
    pub stop: Vec<f64>,
    pub shells: Vec<Shell>,
    /// What the page fetches for its first text, beside the weights.
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

    /// For people.
    pub fn text(&self) -> String {
        let mut lines = self.conditions();
        lines.push(String::new());
        lines.extend(self.table());
        lines.push(String::new());
        lines.extend(self.notes());
        lines.push("\nFetched for the first text beside the weights, by gzip -9:".to_owned());
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
                format!(
                    "Shell ({}, asked for {})",
                    if self.on_gpu { "gpu" } else { "cpu" },
                    shell.precision
                ),
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
        let shells = self.shells.iter().filter_map(|shell| shell.gpu.as_ref());
        let page = ours.runs.last().and_then(|run| run.gpu.as_ref());
        lines.extend(shells.take(1).map(|gpu| taken("the shell", gpu)));
        lines.extend(page.map(|gpu| taken("Chromium", gpu)));
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
                "gpu": run.gpu,
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
                "gpu": shell.gpu,
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
            "stop_milliseconds": self.stop,
            "targets": targets.collect::<Vec<_>>(),
        })
    }
}

/// What a written token took of the GPU.
fn taken(place: &str, gpu: &Value) -> String {
    let figure = |name: &str| gpu[name].as_f64().unwrap_or(f64::NAN);
    format!(
        "A token on the GPU in {place}: {:.1} dispatches in {:.2} passes and {:.2} submits; it reads {:.1} MB of \
         weights and {:.1} kB for each position it attends to, and {:.1} kB come back. Buffers: {:.1} MB.",
        figure("dispatches"),
        figure("passes"),
        figure("submits"),
        figure("weightBytes") / 1e6,
        figure("positionBytes") / 1e3,
        figure("readBytes") / 1e3,
        figure("bufferBytes") / 1e6,
    )
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

mod targets;
#[cfg(test)]
mod tests;
