//! `bench gpu`: single operations on the GPU executor beside onnxruntime-web's WebGPU backend, both
//! in one page of Chromium on its software adapter, in the shapes of the default model.
//!
//! | option | |
//! |---|---|
//! | `--pairs N` | how often everyone computes in turn; 5 unless given |
//! | `--case NAME` | only this case, such as `product-q4-32` |
//! | `--json` | the last line of the output is one object with everything |
//! | `--profile quick` | quick to build: for work on the measurement itself |
//! | `--no-build` | measures what was built before |
//!
//! A case is eight operations of a kind in one run, each with weights or caches of its own, so that
//! what an engine spends on a run, beside computing, is shared by them. Nothing is transferred but
//! the last row of the last result, which tells that the device has finished. No operation of
//! theirs may go to the CPU. Both must compute the same numbers.

use std::path::Path;
use std::time::Duration;

use glassformer_tests::browser::{self, Browser, SOFTWARE_WEBGPU};
use glassformer_tests::server::Server;
use serde_json::{Value, json};

use super::python;
use super::spread::Spread;
use super::times::Times;
use crate::arguments::Arguments;
use crate::error::{Error, Result};
use crate::step::{run as run_program, run_logged, step};
use crate::workspace::Workspace;
use crate::{system, tools};

/// Our side of the page.
pub const PACKAGE: &str = "glassformer-bench-gpu";
/// Cases that take longer are given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// At most so much of their time.
const TARGET: f64 = 0.5;
/// How far results may be apart, to the greatest number among them.
const TOLERANCE: f64 = 1e-5;

struct Options {
    pairs: u16,
    case: Option<String>,
    json: bool,
    profile: String,
    build: bool,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self> {
        let mut arguments = Arguments::new(words);
        let pairs = arguments.number("--pairs")?.unwrap_or(5);
        if pairs == 0 {
            return Err(Error::Usage("--pairs wants at least 1".to_owned()));
        }
        let options = Self {
            pairs,
            case: arguments.value("--case")?,
            json: arguments.flag("--json"),
            profile: arguments
                .value("--profile")?
                .unwrap_or_else(|| "release".to_owned()),
            build: !arguments.flag("--no-build"),
        };
        arguments.end()?;
        Ok(options)
    }
}

/// `cargo xtask bench gpu`.
pub fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    let options = Options::parse(words)?;
    let folder = workspace.root.join("tests/bench/gpu");
    let made = workspace.cache.join("bench/gpu");
    let version = super::npm::version(&folder, "onnxruntime-web")?;
    let modules = super::npm::install(workspace, &folder, &format!("onnxruntime-web {version}"))?;
    let chrome = system::browser(workspace)?;
    let cases = python::export(workspace, &folder, &made, &[])?;
    let ours = made.join("ours");
    if options.build {
        build(workspace, &options.profile, &ours)?;
    }

    let mounts: [(&str, &Path); 4] = [
        ("/", &folder),
        ("/npm/", &modules),
        ("/cases/", &cases),
        ("/ours/", &ours),
    ];
    let server = Server::start(0, &mounts)
        .map_err(|e| Error::State(format!("no port can be served on: {e}")))?;
    let browser = Browser::launch_with(&chrome, SOFTWARE_WEBGPU).map_err(failed)?;
    let mut page = browser.new_page().map_err(failed)?;
    let ready = page
        .goto(&format!("{}bench.html", server.url()))
        .and_then(|()| page.wait_for("window.bench", PATIENCE))
        .and_then(|()| page.evaluate("({ cases: bench.cases, adapter: bench.adapter })"));
    let ready = ready.map_err(failed)?;
    let known: Vec<&str> = names(&ready["cases"]);
    let chosen: Vec<&str> = match &options.case {
        Some(case) => known.iter().copied().filter(|name| name == case).collect(),
        None => known.clone(),
    };
    if chosen.is_empty() {
        let wrong = format!("there is no such case; there are: {}", known.join(", "));
        return Err(Error::Usage(wrong));
    }
    let mut measured = Vec::new();
    for name in chosen {
        let what = format!(
            "Computing {name} with everyone in turn, {} times",
            options.pairs
        );
        let contenders = step(&what, || {
            let script = format!("bench.measure({}, {})", json!(name), options.pairs);
            let found = page.evaluate_within(&script, PATIENCE).map_err(failed)?;
            contenders(&found).ok_or_else(|| Error::State(format!("the page measured {found}")))
        })?;
        measured.push((name.to_owned(), contenders));
    }
    let adapter = ready["adapter"].as_str().unwrap_or_default();
    println!("\nonnxruntime-web {version}, {adapter}");
    for line in table(&measured) {
        println!("{line}");
    }
    if options.json {
        println!("{}", report(&version, adapter, &measured));
    }
    agree(&measured)
}

fn names(list: &Value) -> Vec<&str> {
    let names = list.as_array().into_iter().flatten();
    names.filter_map(Value::as_str).collect()
}

fn failed(error: browser::Error) -> Error {
    Error::State(error.to_string())
}

/// Builds our side of the page.
fn build(workspace: &Workspace, profile: &str, into: &Path) -> Result<()> {
    let tools = tools::ensure(workspace)?;
    step(
        &format!("Building our side of the page ({profile})"),
        || {
            let words = ["build", "-p", PACKAGE, "--target", tools::WASM, "--profile"];
            let mut cargo = workspace.cargo(&words);
            run_program(
                cargo.arg(profile),
                "The messages above say what to correct.",
            )?;
            let module = format!(
                "{}/{profile}/{}.wasm",
                tools::WASM,
                PACKAGE.replace('-', "_")
            );
            let mut bindgen = tools.bindgen();
            bindgen.args(["--target", "web", "--no-typescript", "--out-dir"]);
            bindgen.arg(into).arg(workspace.target().join(module));
            let log = workspace.cache.join("logs/bindgen.log");
            run_logged(&mut bindgen, &log, "The messages above say why.")
        },
    )
}

/// One of those that computed a case; the first is ours.
struct Contender {
    times: Times,
    /// The greatest difference of its results from ours, and the greatest of them.
    apart: Option<[f64; 2]>,
}

fn contenders(found: &Value) -> Option<Vec<Contender>> {
    let contender = |value: &Value| {
        let apart = [&value["difference"], &value["size"]].map(Value::as_f64);
        Some(Contender {
            times: Times::of(value)?,
            apart: match apart {
                [Some(difference), Some(size)] => Some([difference, size]),
                _ => None,
            },
        })
    };
    found.as_array()?.iter().map(contender).collect()
}

type Case = (String, Vec<Contender>);

/// Each of theirs beside ours.
fn pairs(measured: &[Case]) -> impl Iterator<Item = (&str, &Contender, &Contender)> {
    measured.iter().flat_map(|(case, contenders)| {
        let (ours, theirs) = contenders.split_at(1.min(contenders.len()));
        let ours = ours.iter().cycle();
        theirs
            .iter()
            .zip(ours)
            .map(move |(theirs, ours)| (case.as_str(), ours, theirs))
    })
}

fn table(measured: &[Case]) -> Vec<String> {
    let row = |cells: [String; 7]| {
        let [case, theirs, a, b, ratio, apart, verdict] = cells;
        format!("{case:<15} {theirs:<20} {a:>9} {b:>9}  {ratio:<18} {apart:<10} {verdict}")
    };
    let titles = [
        "case",
        "beside",
        "ours, ms",
        "theirs",
        "ratio",
        "apart",
        "at most half",
    ];
    let mut lines = vec![row(titles.map(str::to_owned))];
    for (case, ours, theirs) in pairs(measured) {
        let ratio = ours.times.to(&theirs.times);
        let met = ratio.is_some_and(|ratio| ratio.median <= TARGET);
        lines.push(row([
            case.to_owned(),
            theirs.times.name.clone(),
            ours.times.median(),
            theirs.times.median(),
            ratio.map_or_else(String::new, |ratio| ratio.show(2)),
            theirs
                .apart
                .map_or_else(String::new, |[apart, _]| format!("{apart:.1e}")),
            if met { "met" } else { "missed" }.to_owned(),
        ]));
    }
    lines
}

fn report(version: &str, adapter: &str, measured: &[Case]) -> Value {
    let pairs = pairs(measured).map(|(case, ours, theirs)| {
        let ratio = ours.times.to(&theirs.times);
        json!({
            "case": case,
            "beside": theirs.times.name,
            "ours_milliseconds": ours.times.milliseconds,
            "theirs_milliseconds": theirs.times.milliseconds,
            "ratio": ratio.map(Spread::json),
            "difference": theirs.apart.map(|[difference, _]| difference),
            "met": ratio.is_some_and(|ratio| ratio.median <= TARGET),
        })
    });
    json!({
        "onnxruntime_web": version,
        "adapter": adapter,
        "pairs": pairs.collect::<Vec<_>>(),
    })
}

/// Times of different numbers would say nothing.
fn agree(measured: &[Case]) -> Result<()> {
    for (case, _, theirs) in pairs(measured) {
        let close = |[difference, size]: [f64; 2]| difference <= TOLERANCE * size && size > 0.0;
        if !theirs.apart.is_some_and(close) {
            let apart = theirs.apart.map(|[difference, _]| difference);
            let name = &theirs.times.name;
            let what = format!("{case}: our numbers and those of {name} differ: {apart:?}");
            return Err(Error::State(what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{agree, contenders, pairs};
    use serde_json::json;

    fn case(difference: serde_json::Value) -> Vec<super::Case> {
        let found = json!([
            { "name": "ours", "milliseconds": [1.0, 2.0] },
            { "name": "theirs", "milliseconds": [4.0, 4.0], "difference": difference, "size": 2.0 },
        ]);
        vec![("case".to_owned(), contenders(&found).unwrap_or_default())]
    }

    #[test]
    fn rounds_are_compared_with_themselves() {
        let measured = case(json!(0.0));
        let medians: Vec<_> = pairs(&measured)
            .map(|(_, ours, theirs)| ours.times.to(&theirs.times).map(|ratio| ratio.median))
            .collect();
        assert_eq!(medians, [Some(0.375)]);
    }

    #[test]
    fn other_numbers_are_an_error() {
        assert!(agree(&case(json!(1e-6))).is_ok());
        assert!(agree(&case(json!(1e-3))).is_err());
        // As JSON has no number for what is none.
        assert!(agree(&case(json!(null))).is_err());
    }
}
