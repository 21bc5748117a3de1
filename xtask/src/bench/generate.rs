//! `bench generate`: how fast text is written, in the shell and in Chromium, and how that compares
//! with wllama (llama.cpp in WebAssembly) on the same file in the same Chromium.
//!
//! | option | |
//! |---|---|
//! | `--pairs N` | how often both engines write the same text in turn; 5 unless given, on the GPU 3 |
//! | `--backend cpu` or `gpu` | what computes; the GPU alone, on a software adapter, with a short prompt |
//! | `--no-wllama` | without the comparison |
//! | `--json` | the last line of the output is one object with everything |
//! | `--profile quick` | quick to build, slower to run: for work on the measurement itself |
//! | `--dist FOLDER` | where the site is built |
//! | `--no-build` | measures what was built before |
//!
//! Both engines are timed by the clock of the page around what it sends and hears, one after the
//! other in turns, each in a page that stays open: a machine's mood then falls on both, and the
//! ratio of a pair is steadier than either figure. wllama has no GPU backend, so there nothing is
//! compared; `bench gpu` compares single operations.

use std::path::Path;

use glassformer_tests::browser::{Browser, SOFTWARE_WEBGPU};
use serde_json::{Value, json};

use self::pages::{Contender, Site};
use self::report::{Comparison, Report};
use crate::arguments::Arguments;
use crate::error::{Error, Result, file};
use crate::step::step;
use crate::workspace::Workspace;
use crate::{models, site, system};

pub(super) mod pages;
mod report;
mod shell;

pub(super) use self::shell::{build as build_shell, program};

/// The default model of the tab, by its id in the manifest.
const MODEL: &str = "smollm2-135m-instruct";
/// Positions of prompt and answer together, as in the page.
const CONTEXT: u32 = 2048;

/// What computes, and what it is given to do.
struct Workload {
    /// As the shell calls it.
    backend: &'static str,
    /// As the page calls it.
    page: &'static str,
    /// How the browser is started.
    flags: &'static [&'static str],
    /// Words of the prompt; about 1.2 tokens each.
    words: usize,
    /// Tokens that the shell writes.
    shell_tokens: u32,
    /// Tokens that a page writes.
    page_tokens: u32,
    /// How often, unless the command says.
    pairs: u16,
    /// Whether wllama can do it too.
    compared: bool,
}

const WORKLOADS: [Workload; 2] = [
    Workload {
        backend: "cpu",
        page: "cpu",
        flags: &[],
        words: 206,
        shell_tokens: 64,
        page_tokens: 64,
        pairs: 5,
        compared: true,
    },
    // Chromium's software adapter computes about a token a second.
    Workload {
        backend: "gpu",
        page: "webgpu",
        flags: SOFTWARE_WEBGPU,
        words: 20,
        shell_tokens: 64,
        page_tokens: 16,
        pairs: 3,
        compared: false,
    },
];

struct Options {
    pairs: u16,
    workload: &'static Workload,
    compare: bool,
    json: bool,
    build: bool,
    site: site::Options,
}

impl Options {
    fn parse(workspace: &Workspace, words: &[String]) -> Result<Self> {
        let mut arguments = Arguments::new(words);
        let backend = arguments.value("--backend")?;
        let backend = backend.as_deref().unwrap_or(WORKLOADS[0].backend);
        let workload = WORKLOADS
            .iter()
            .find(|workload| workload.backend == backend);
        let workload = workload.ok_or_else(|| {
            let known = WORKLOADS.map(|workload| workload.backend).join(", ");
            Error::Usage(format!(
                "there is no backend `{backend}`; there are: {known}"
            ))
        })?;
        let pairs = arguments.number("--pairs")?.unwrap_or(workload.pairs);
        if pairs == 0 {
            return Err(Error::Usage("--pairs wants at least 1".to_owned()));
        }
        let compare = !arguments.flag("--no-wllama") && workload.compared;
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
            workload,
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
    let weights = models::file_of(workspace, MODEL)?;
    let chrome = system::browser(workspace)?;
    let workload = options.workload;
    if workload.backend == "gpu" {
        system::vulkan(workspace)?;
    }
    let prompt = prompt(workspace, workload.words)?;
    let folder = workspace.root.join("tests/bench/generate");
    let version = super::npm::version(&folder, "@wllama/wllama")?;
    let modules = if !workload.compared {
        Err("it has no GPU backend".to_owned())
    } else if options.compare {
        super::npm::install(workspace, &folder, &format!("wllama {version}"))
            .map_err(|error| error.to_string())
    } else {
        Err("--no-wllama was given".to_owned())
    };
    if options.build {
        site::build_page(workspace, &options.site)?;
        build_shell(workspace, &options.site.profile)?;
    }

    let load_before = load_average();
    let program = shell::program(workspace, &options.site.profile);
    let shells = step("Measuring the shell", || {
        shell::measure(workspace, &program, workload, &prompt)
    })?;

    let theirs = modules.as_deref().ok().map(|modules| ("/npm/", modules));
    let theirs: Vec<(&str, &Path)> = theirs.into_iter().collect();
    let site = Site::serve(workspace, &options.site.dist, &theirs)?;
    let browser = Browser::launch_with(&chrome, workload.flags).map_err(pages::failed)?;
    let (worker, files) = step("Writing in the page", || {
        site.run(&browser, "generate", "&text=Hello&max_tokens=4")
    })?;
    let mut ours = step("Loading Glassformer in Chromium", || {
        let load = json!({
            "worker": worker, "model": MODEL, "backend": workload.page, "precision": "auto",
        });
        let request = request(&prompt, workload);
        Contender::open(
            &browser,
            &site.page("generate/glassformer.html"),
            load,
            request,
        )
    })?;
    let mut theirs = modules.and_then(|_| {
        step("Loading wllama in Chromium", || {
            let url = format!("/models/{}", weights.path);
            let load = json!({ "url": url, "context": CONTEXT, "version": version });
            Contender::open(
                &browser,
                &site.page("generate/wllama.html"),
                load,
                request(&prompt, workload),
            )
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
                ours.generate()?;
            }
            if let Ok(contender) = &mut theirs
                && let Err(error) = contender.generate()
            {
                theirs = Err(error.to_string());
            }
            if !ours_first {
                ours.generate()?;
            }
        }
        Ok(())
    })?;
    let stop = step("Stopping in mid-text", || ours.stop())?;

    let report = Report {
        surroundings: ours.surroundings()?,
        load_average: [load_before, load_average()],
        profile: options.site.profile,
        weights: weights.bytes,
        on_gpu: workload.backend == "gpu",
        max_tokens: workload.page_tokens,
        stop,
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

/// What a page is asked to write.
fn request(prompt: &str, workload: &Workload) -> Value {
    json!({ "prompt": prompt, "maxTokens": workload.page_tokens })
}

/// The beginning of the golden tests' prose.
fn prompt(workspace: &Workspace, words: usize) -> Result<String> {
    let path = workspace.root.join("tests/golden/llama/prose.txt");
    let text = std::fs::read_to_string(&path).map_err(file(&path))?;
    Ok(beginning(&text, words).to_owned())
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
