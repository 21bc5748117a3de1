//! `glassformer`: the engine in a shell, for scripts, tests and benchmarks.
//!
//! With `--json` one object goes to standard output and everything else to standard error. Bad
//! input ends with status 2 and one clear line.

mod attention;
mod commands;
mod matching;
mod model;
mod options;
mod quantize;
mod translate;

use std::process::ExitCode;

use clap::Parser;
use options::{Command, Options};

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) if error.use_stderr() => {
            // clap explains over several lines, the usage after a blank one.
            let text = error.render().to_string();
            let lines = text
                .lines()
                .map(str::trim)
                .take_while(|line| !line.is_empty());
            let line = lines.collect::<Vec<_>>().join(" ");
            eprintln!(
                "{} (see glassformer --help)",
                line.trim_start_matches("error: ")
            );
            return ExitCode::from(2);
        }
        Err(help) => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
    };
    let done = futures::executor::block_on(async {
        match &options.command {
            Command::Generate(args) => commands::generate(args).await,
            Command::FillMask(args) => commands::fill_mask(args).await,
            Command::Attention(args) => attention::attention(args).await,
            Command::Translate(args) => translate::translate(args).await,
            Command::Match(args) => matching::compare(args).await,
            Command::Classify(args) => matching::classify(args).await,
            Command::Logits(args) => commands::logits(args).await,
            Command::Inspect(args) => commands::inspect(args).await,
            Command::Quantize(args) => quantize::quantize(args).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.sentence());
            ExitCode::from(2)
        }
    }
}
