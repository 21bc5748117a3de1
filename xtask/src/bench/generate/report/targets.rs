//! What the figures should be.

use super::{Report, megabytes};
use crate::bench::generate::pages::Run;
use crate::bench::spread::Spread;

/// Fewer pairs say too little of a ratio.
const ENOUGH_PAIRS: usize = 5;

/// Something that should be at least, or at most, so much.
pub(super) struct Target {
    pub what: &'static str,
    /// The figure that counts, if there is one.
    pub value: Option<f64>,
    /// It, with what it came from.
    pub shown: String,
    pub wanted: String,
    met: bool,
}

impl Target {
    /// In a word.
    pub fn verdict(&self) -> &'static str {
        match (self.value, self.met) {
            (None, _) => "not measured",
            (Some(_), true) => "met",
            (Some(_), false) => "missed",
        }
    }
}

impl Report {
    /// All of them.
    pub(super) fn targets(&self) -> Vec<Target> {
        let mut targets = if self.on_gpu {
            self.gpu_targets()
        } else {
            self.cpu_targets()
        };
        let gzipped = self.gzipped();
        targets.push(Target {
            what: "page and engine, gzipped",
            value: Some(megabytes(gzipped)),
            shown: format!("{:.3} MB", megabytes(gzipped)),
            wanted: "at most 1.6 MB".to_owned(),
            met: gzipped <= 1_600_000,
        });
        let stop = Spread::of(self.stop.iter().copied());
        targets.push(Target {
            what: "from Stop to the end, ms",
            value: stop.map(|stop| stop.max),
            shown: stop.map_or_else(String::new, |stop| stop.show(1)),
            wanted: "at most 100, each time".to_owned(),
            met: stop.is_some_and(|stop| stop.max <= 100.0),
        });
        targets
    }

    /// What a token took of the GPU in the page, by the last run.
    fn gpu(&self, figure: &str) -> Option<f64> {
        self.ours.runs.last()?.gpu.as_ref()?[figure].as_f64()
    }

    fn gpu_targets(&self) -> Vec<Target> {
        let dispatches = self.gpu("dispatches");
        let heap = self.ours.heap;
        vec![
            Target {
                what: "dispatches a token",
                value: dispatches,
                shown: dispatches.map_or_else(String::new, |count| format!("{count:.1}")),
                wanted: "at most 250".to_owned(),
                met: dispatches.is_some_and(|count| count <= 250.0),
            },
            Target {
                what: "heap after load",
                value: heap.map(megabytes),
                shown: heap.map_or_else(String::new, |heap| format!("{:.1} MB", megabytes(heap))),
                wanted: "at most 64 MB".to_owned(),
                met: heap.is_some_and(|heap| heap <= 64_000_000),
            },
        ]
    }

    fn cpu_targets(&self) -> Vec<Target> {
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
        ]
    }
}
