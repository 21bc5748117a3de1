//! Measurements, each by name.

use crate::error::{Error, Result};
use crate::workspace::Workspace;

mod generate;
pub mod gpu;
mod gzip;
mod masked;
mod npm;
mod python;
mod spread;
mod times;
mod translate;

/// A measurement: its name, what it measures, and the function that takes the words after it.
type Bench = (
    &'static str,
    &'static str,
    fn(&Workspace, &[String]) -> Result<()>,
);

/// All there are.
const BENCHES: &[Bench] = &[
    (
        "generate",
        "writing text, in the shell and in Chromium, beside wllama",
        generate::run,
    ),
    (
        "gpu",
        "single operations in Chromium, beside onnxruntime-web's WebGPU backend",
        gpu::run,
    ),
    (
        "fill-mask",
        "words behind a mask in Chromium, beside onnxruntime-web's backends",
        masked::fill_mask,
    ),
    (
        "attention",
        "a text and what its heads looked at in Chromium, beside onnxruntime-web's backends",
        masked::attention,
    ),
    (
        "translate",
        "sentences in Chromium, beside Bergamot's WebAssembly",
        translate::run,
    ),
    (
        "match",
        "a picture and ten texts in Chromium, beside onnxruntime-web's backends",
        masked::compare,
    ),
];

/// Runs the measurement that the first word names.
pub fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    let name = words.first().map_or("", String::as_str);
    match BENCHES.iter().find(|(known, ..)| *known == name) {
        Some((.., bench)) => bench(workspace, &words[1..]),
        None => {
            let known: Vec<_> = BENCHES
                .iter()
                .map(|(name, what, _)| format!("`{name}` ({what})"))
                .collect();
            let known = if known.is_empty() {
                "none yet".to_owned()
            } else {
                known.join(", ")
            };
            Err(Error::Usage(format!(
                "there is no measurement `{name}`; there are: {known}"
            )))
        }
    }
}
