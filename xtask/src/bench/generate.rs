//! `bench generate`: how fast text is written, in the shell and in Chromium, and how that compares
//! with wllama (llama.cpp in WebAssembly) on the same file in the same Chromium.
//!
//! | option | |
//! |---|---|
//! | `--pairs N` | how often both engines write the same text in turn; 5 unless given |
//! | `--backend cpu` | what computes |
//! | `--no-wllama` | without the comparison |
//! | `--json` | the last line of the output is one object with everything |
//! | `--profile quick` | quick to build, slower to run: for work on the measurement itself |
//! | `--dist FOLDER` | where the site is built |
//! | `--no-build` | measures what was built before |
//!
//! Both engines are timed by the clock of the page around what it sends and hears, one after the
//! other in turns, each in a page that stays open: a machine's mood then falls on both, and the
//! ratio of a pair is steadier than either figure.

use glassformer_tests::browser::Browser;
use serde_json::json;

use self::pages::{Contender, Site};
use self::report::{Comparison, Report};
use crate::arguments::Arguments;
use crate::error::{Error, Result, file};
use crate::step::{run as run_program, step};
use crate::workspace::Workspace;
use crate::{models, site, system};

mod pages;
mod report;
mod shell;

/// The default model of the tab, by its id in the manifest.
const MODEL: &str = "smollm2-135m-instruct";
/// Words of the prompt, about 250 tokens.
const WORDS: usize = 206;
/// Tokens that are written.
const MAX_TOKENS: u32 = 64;
/// Positions of prompt and answer together, as in the page.
const CONTEXT: u32 = 2048;
/// What can compute.
const BACKENDS: &[&str] = &["cpu"];

struct Options {
    pairs: u16,
    backend: String,
    compare: bool,
    json: bool,
    build: bool,
    site: site::Options,
}

impl Options {
    fn parse(workspace: &Workspace, words: &[String]) -> Result<Self> {
        let mut arguments = Arguments::new(words);
        let pairs = arguments.number("--pairs")?.unwrap_or(5);
        if pairs == 0 {
            return Err(Error::Usage("--pairs wants at least 1".to_owned()));
        }
        let backend = arguments
            .value("--backend")?
            .unwrap_or_else(|| "cpu".to_owned());
        if !BACKENDS.contains(&backend.as_str()) {
            let known = BACKENDS.join(", ");
            let wrong = format!("there is no backend `{backend}`; there are: {known}");
            return Err(Error::Usage(wrong));
        }
        let compare = !arguments.flag("--no-wllama");
        let json = arguments.flag("--json");
        let build = !arguments.flag("--no-build");
        // The finished site in `dist/` stays as it is.
        let dist = match arguments.value("--dist")? {
            Some(given) => std::path::absolute(&given).map_err(file(given.as_ref()))?,
            None => workspace.cache.join("dist-bench"),
        };
        let mut site = site::Options::parse(workspace, &mut arguments)?;
        site.dist = dist;
        arguments.end()?;
        Ok(Self {
            pairs,
            backend,
            compare,
            json,
            build,
            site,
        })
    }
}

/// `cargo xtask bench generate`.
pub fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    let options = Options::parse(workspace, words)?;
    models::ensure(workspace)?;
    let weights = weights(workspace)?;
    let chrome = system::browser(workspace)?;
    let prompt = prompt(workspace)?;
    let folder = workspace.root.join("tests/bench/generate");
    let version = super::npm::version(&folder, "@wllama/wllama")?;
    let modules = if options.compare {
        super::npm::install(workspace, &folder, &format!("wllama {version}"))
            .map_err(|error| error.to_string())
    } else {
        Err("--no-wllama was given".to_owned())
    };
    if options.build {
        site::build_page(workspace, &options.site)?;
        step("Building the shell", || {
            let build = ["build", "-p", "glassformer-cli", "--profile"];
            let mut cargo = workspace.cargo(&build);
            let advice = "The messages above say what to correct.";
            run_program(cargo.arg(&options.site.profile), advice)
        })?;
    }

    let load_before = load_average();
    let program = shell::program(workspace, &options.site.profile);
    let shells = step("Measuring the shell", || {
        shell::measure(workspace, &program, &options.backend, &prompt)
    })?;

    let site = Site::serve(
        workspace,
        &options.site.dist,
        &folder,
        modules.as_deref().ok(),
    )?;
    let browser = Browser::launch(&chrome).map_err(pages::failed)?;
    let (worker, files) = step("Opening the page", || site.open(&browser))?;
    let mut ours = step("Loading Glassformer in Chromium", || {
        let load = json!({
            "worker": worker, "model": MODEL, "backend": options.backend, "precision": "auto",
        });
        Contender::open(&browser, &site.page("glassformer.html"), load, &prompt)
    })?;
    let mut theirs = modules.and_then(|_| {
        step("Loading wllama in Chromium", || {
            let url = format!("../models/{}", weights.path);
            let load = json!({ "url": url, "context": CONTEXT, "version": version });
            Contender::open(&browser, &site.page("wllama.html"), load, &prompt)
        })
        .map_err(|error| error.to_string())
    });
    let what = match &theirs {
        Ok(_) => format!("Writing with both in turn, {} times", options.pairs),
        Err(_) => format!("Writing {} times", options.pairs),
    };
    step(&what, || {
        for pair in 0..options.pairs {
            // Each is first as often as the other.
            let ours_first = pair % 2 == 0;
            if ours_first {
                ours.generate(&prompt)?;
            }
            if let Ok(contender) = &mut theirs
                && let Err(error) = contender.generate(&prompt)
            {
                theirs = Err(error.to_string());
            }
            if !ours_first {
                ours.generate(&prompt)?;
            }
        }
        Ok(())
    })?;

    let report = Report {
        surroundings: ours.surroundings()?,
        load_average: [load_before, load_average()],
        profile: options.site.profile,
        weights: weights.bytes,
        max_tokens: MAX_TOKENS,
        shells,
        files,
        ours: ours.measured,
        comparison: match theirs {
            Ok(contender) => Comparison::Measured(contender.measured),
            Err(reason) => Comparison::Missing { reason },
        },
    };
    println!("\n{}", report.text());
    if options.json {
        println!("{}", report.json());
    }
    match report.comparison {
        Comparison::Missing { reason } if options.compare => Err(Error::State(format!(
            "the ratios could not be measured: {reason}"
        ))),
        _ => Ok(()),
    }
}

/// The file with the model's weights.
struct Weights {
    /// Below the folder of the models.
    path: String,
    bytes: u64,
}

fn weights(workspace: &Workspace) -> Result<Weights> {
    let path = workspace.root.join("models/manifest.json");
    let text = std::fs::read_to_string(&path).map_err(file(&path))?;
    let found = || {
        let manifest: serde_json::Value = serde_json::from_str(&text).ok()?;
        let models = manifest["models"].as_array()?;
        let model = models.iter().find(|model| model["id"] == MODEL)?;
        Some(Weights {
            path: model["files"][0]["path"].as_str()?.to_owned(),
            bytes: model["files"][0]["bytes"].as_u64()?,
        })
    };
    found().ok_or_else(|| Error::State(format!("{} has no {MODEL}", path.display())))
}

/// The beginning of the golden tests' prose.
fn prompt(workspace: &Workspace) -> Result<String> {
    let path = workspace.root.join("tests/golden/llama/prose.txt");
    let text = std::fs::read_to_string(&path).map_err(file(&path))?;
    Ok(beginning(&text, WORDS).to_owned())
}

/// The first words of a text, with the space between them as it is.
fn beginning(text: &str, words: usize) -> &str {
    let mut rest = text;
    for _ in 0..words {
        let word = rest.trim_start();
        let end = word.find(char::is_whitespace).unwrap_or(word.len());
        rest = &word[end..];
    }
    &text[..text.len() - rest.len()]
}

/// How busy the machine was over the last minute, where the system tells.
fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::beginning;

    #[test]
    fn takes_whole_words() {
        let text = "One two.\n\nThree  four";
        assert_eq!(beginning(text, 0), "");
        assert_eq!(beginning(text, 3), "One two.\n\nThree");
        assert_eq!(beginning(text, 9), text);
    }
}
