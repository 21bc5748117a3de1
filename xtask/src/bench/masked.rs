//! `bench fill-mask`, `bench attention` and `bench match`: a model of the page in Chromium, beside
//! onnxruntime-web's backends on the same weights: WebAssembly on one thread, and WebGPU on the same
//! software adapter.
//!
//! | option | |
//! |---|---|
//! | `--pairs N` | how often everyone computes in turn; 5 unless given |
//! | `--json` | the last line of the output is one object with everything |
//! | `--profile quick` | quick to build, slower to run: for work on the measurement itself |
//! | `--dist FOLDER` | where the site is built |
//! | `--no-build` | measures what was built before |
//!
//! Everyone gets the same 32 tokens, and the same position goes through the head; or the same picture and
//! ten texts, of which ours decodes and prepares the picture each time and theirs gets it prepared. Ours is timed as the
//! page has it, from a message to its answer.

use std::time::Duration;

use glassformer_tests::browser::{Browser, SOFTWARE_WEBGPU};
use serde_json::{Value, json};

use super::generate::pages::Site;
use super::generate::{self, pages};
use super::python;
use super::spread::Spread;
use super::times::Times;
use crate::arguments::Arguments;
use crate::error::{Error, Result, file};
use crate::step::step;
use crate::workspace::Workspace;
use crate::{models, site, system};

/// What is measured: with which page, on which model of the manifest, and what the page gets.
struct Task {
    name: &'static str,
    folder: &'static str,
    model: &'static str,
    input: fn() -> Value,
}

const MODEL: &str = "minilm-l6-mlm";
/// 32 tokens, with those that stand around every text.
const TEXT: &str = "The old lighthouse keeper climbed the narrow stairs every evening, lit the great lamp, and \
                    watched the ships pass along the dark [MASK] until the morning came.";
/// Loads and rounds that take longer are given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// A contender of ours, one of theirs, and how many times as fast ours should be.
const TARGETS: [(&str, &str, f64); 3] = [
    ("ours, cpu fast", "onnxruntime, wasm", 1.5),
    ("ours, cpu exact", "onnxruntime, wasm", 1.0),
    ("ours, webgpu exact", "onnxruntime, webgpu", 2.0),
];

/// `cargo xtask bench fill-mask`.
pub fn fill_mask(workspace: &Workspace, words: &[String]) -> Result<()> {
    run(workspace, &masked("fill-mask"), words)
}

/// `cargo xtask bench attention`.
pub fn attention(workspace: &Workspace, words: &[String]) -> Result<()> {
    run(workspace, &masked("attention"), words)
}

/// How often `mini-clip` finds the names of held-out pictures, by the shell on the CPU.
fn quality(workspace: &Workspace) -> Result<()> {
    models::ensure(workspace)?;
    let shell = generate::build_shell(workspace, "quick")?;
    let script = workspace.root.join("models/recipes/mini-clip/quality.py");
    let packages = workspace.cache.join("bench/match/recipe");
    let arguments = ["--glassformer".as_ref(), shell.as_os_str()];
    python::run_script(workspace, &script, &packages, &arguments)
}

/// `cargo xtask bench match`.
pub fn compare(workspace: &Workspace, words: &[String]) -> Result<()> {
    if words == ["--quality"] {
        return quality(workspace);
    }
    const TEXTS: [&str; 10] = [
        "dog",
        "cat",
        "sailboat",
        "bicycle",
        "guitar",
        "hot drink",
        "mushroom",
        "rocket",
        "a red apple on a table",
        "a small wooden house",
    ];
    let task = Task {
        name: "match",
        folder: "match",
        model: "mini-clip",
        input: || json!({ "picture": "/samples/dog.png", "texts": TEXTS }),
    };
    run(workspace, &task, words)
}

fn masked(name: &'static str) -> Task {
    let input = || json!({ "text": TEXT });
    Task {
        name,
        folder: "masked",
        model: MODEL,
        input,
    }
}

fn run(workspace: &Workspace, task: &Task, words: &[String]) -> Result<()> {
    let mut arguments = Arguments::new(words);
    let pairs: u16 = arguments.number("--pairs")?.unwrap_or(5);
    if pairs == 0 {
        return Err(Error::Usage("--pairs wants at least 1".to_owned()));
    }
    let (json, build) = (arguments.flag("--json"), !arguments.flag("--no-build"));
    let dist = match arguments.value("--dist")? {
        Some(given) => std::path::absolute(&given).map_err(file(given.as_ref()))?,
        None => workspace.cache.join("dist-bench"),
    };
    let mut site = site::Options::parse(workspace, &mut arguments)?;
    site.dist = dist;
    arguments.end()?;

    models::ensure(workspace)?;
    let chrome = system::browser(workspace)?;
    let bench = workspace.root.join("tests/bench");
    let packages = bench.join("gpu");
    let version = super::npm::version(&packages, "onnxruntime-web")?;
    let modules = super::npm::install(workspace, &packages, &format!("onnxruntime-web {version}"))?;
    let weights = models::file_of(workspace, task.model)?;
    let weights = workspace.models().join(weights.path);
    let made = workspace.cache.join("bench").join(task.folder);
    let made = python::export(workspace, &bench.join(task.folder), &made, &[&weights])?;
    if build {
        site::build_page(workspace, &site)?;
    }

    let site = Site::serve(
        workspace,
        &site.dist,
        &[("/npm/", &modules), ("/made/", &made)],
    )?;
    let browser = Browser::launch_with(&chrome, SOFTWARE_WEBGPU).map_err(pages::failed)?;
    let (worker, _) = step("Writing in the page", || {
        site.run(&browser, "generate", "&text=Hello&max_tokens=4")
    })?;
    let mut page = browser.new_page().map_err(pages::failed)?;
    let ready = page
        .goto(&site.page(&format!("{}/bench.html", task.folder)))
        .and_then(|()| page.wait_for("window.bench", PATIENCE));
    ready.map_err(pages::failed)?;
    let mut options = (task.input)();
    options["worker"] = json!(worker);
    options["model"] = json!(task.model);
    options["pairs"] = json!(pairs);
    let task = task.name;
    let what = format!("Computing {task} with everyone in turn, {pairs} times");
    let found = step(&what, || {
        let script = format!("bench.measure({}, {options})", json!(task));
        page.evaluate_within(&script, PATIENCE)
            .map_err(pages::failed)
    })?;
    let unclear = || Error::State(format!("the page measured {found}"));
    let contenders = contenders(&found).ok_or_else(unclear)?;
    println!(
        "\n{task} of {} tokens; onnxruntime-web {version}",
        found["tokens"]
    );
    for line in table(&contenders) {
        println!("{line}");
    }
    if json {
        println!("{}", report(&found, &contenders));
    }
    agree(&contenders)
}

struct Contender {
    times: Times,
    /// The greatest difference of its numbers from those of onnxruntime's WebAssembly.
    apart: Option<f64>,
}

fn contenders(found: &Value) -> Option<Vec<Contender>> {
    let contender = |value: &Value| {
        Some(Contender {
            times: Times::of(value)?,
            apart: value["difference"].as_f64(),
        })
    };
    found["contenders"]
        .as_array()?
        .iter()
        .map(contender)
        .collect()
}

/// Each target with how many times as fast ours is, round by round.
fn speeds(contenders: &[Contender]) -> Vec<(&'static str, &'static str, f64, Option<Spread>)> {
    let find = |name: &str| {
        contenders
            .iter()
            .find(|contender| contender.times.name == name)
    };
    let speed = |ours: &str, theirs: &str| find(theirs)?.times.to(&find(ours)?.times);
    let targets = TARGETS.into_iter();
    targets
        .map(|(ours, theirs, wanted)| (ours, theirs, wanted, speed(ours, theirs)))
        .collect()
}

fn table(contenders: &[Contender]) -> Vec<String> {
    let mut lines = vec![format!("{:<22} {:>9}  apart", "", "ms")];
    lines.extend(contenders.iter().map(|Contender { times, apart }| {
        let apart = apart.map_or_else(String::new, |apart| format!("{apart:.1e}"));
        format!("{:<22} {:>9}  {apart}", times.name, times.median())
    }));
    lines.push(String::new());
    for (ours, theirs, wanted, speed) in speeds(contenders) {
        let met = match speed {
            Some(speed) if speed.median >= wanted => "met",
            Some(_) => "missed",
            None => "not measured",
        };
        let speed = speed.map_or_else(String::new, |speed| speed.show(2));
        lines.push(format!(
            "{ours:<20} to {theirs:<20} {speed:<18} times as fast, at least {wanted}: {met}"
        ));
    }
    lines
}

fn report(found: &Value, contenders: &[Contender]) -> Value {
    let targets = speeds(contenders).into_iter();
    let targets = targets.map(|(ours, theirs, wanted, speed)| {
        json!({
            "ours": ours,
            "theirs": theirs,
            "wanted": wanted,
            "speed": speed.map(Spread::json),
            "met": speed.is_some_and(|speed| speed.median >= wanted),
        })
    });
    json!({ "measured": found, "targets": targets.collect::<Vec<_>>() })
}

/// Times of different numbers would say nothing. Probabilities and attention are at most 1.
fn agree(contenders: &[Contender]) -> Result<()> {
    for Contender { times, apart } in contenders {
        let tolerance = if times.name.ends_with("fast") {
            0.05
        } else {
            1e-4
        };
        if apart.is_none_or(|apart| apart > tolerance) {
            let name = &times.name;
            let what = format!("the numbers of {name} differ from the others': {apart:?}");
            return Err(Error::State(what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{agree, contenders, report};
    use serde_json::json;

    #[test]
    fn speed_is_theirs_to_ours_and_other_numbers_are_an_error() {
        let mut found = json!({ "contenders": [
            { "name": "ours, cpu fast", "milliseconds": [1.0, 2.0], "difference": 0.01 },
            { "name": "onnxruntime, wasm", "milliseconds": [2.0, 8.0], "difference": 0.0 },
        ]});
        let read = contenders(&found).unwrap_or_default();
        let said = report(&found, &read);
        assert_eq!(said["targets"][0]["speed"]["median"], 3.0);
        assert_eq!(said["targets"][0]["met"], true);
        assert_eq!(said["targets"][2]["met"], false);
        assert!(agree(&read).is_ok());
        found["contenders"][1]["difference"] = json!(1e-3);
        assert!(agree(&contenders(&found).unwrap_or_default()).is_err());
        found["contenders"][1]["difference"] = json!(null);
        assert!(agree(&contenders(&found).unwrap_or_default()).is_err());
    }
}
