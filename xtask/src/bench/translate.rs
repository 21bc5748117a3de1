//! `bench translate`: sentences of real documents in Chromium, beside Bergamot's WebAssembly on the same
//! files in the same page, and from a cold page to the first translation.
//!
//! | option | |
//! |---|---|
//! | `--pairs N` | how often both translate in turn; 5 unless given |
//! | `--sentences N` | how many of each language; 40 unless given |
//! | `--json` | the last line of the output is one object with everything |
//! | `--profile quick` | quick to build, slower to run: for work on the measurement itself |
//! | `--dist FOLDER` | where the site is built |
//! | `--no-build` | measures what was built before |
//! | `--together N` | how many sentences the shell translates side by side; 8 unless given |
//! | `--shell` | measures only that, sentences side by side beside one at a time |
//!
//! Ours computes in `fast` with one beam and the shortlist, as Bergamot does. Cold pages hold nothing but
//! one translator; the bytes counted for ours are those that a first translation fetches.

use std::path::{Path, PathBuf};
use std::time::Duration;

use glassformer_tests::browser::Browser;
use serde_json::{Value, json};

use super::generate::build_shell;
use super::generate::pages::{self, Site, SiteFile};
use super::gzip;
use super::spread::Spread;
use super::times::Times;
use crate::arguments::Arguments;
use crate::error::{Error, Result, file};
use crate::step::step;
use crate::workspace::Workspace;
use crate::{models, site, system};

mod together;

use together::Together;

/// Rounds that take longer are given up.
const PATIENCE: Duration = Duration::from_secs(1200);

/// How many times as fast ours should be, and how many times as many bytes it may be.
const TARGET: f64 = 1.0;

/// The folder of the model that translates from English to Portuguese.
const MODEL: &str = "enpt";

const OURS: &str = "ours, cpu fast";
const THEIRS: &str = "bergamot, wasm";

/// `cargo xtask bench translate`.
pub fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    let mut arguments = Arguments::new(words);
    let pairs: u16 = arguments.number("--pairs")?.unwrap_or(5);
    let count: u16 = arguments.number("--sentences")?.unwrap_or(40);
    if pairs == 0 || count == 0 {
        let what = "--pairs and --sentences want at least 1";
        return Err(Error::Usage(what.to_owned()));
    }
    let together: u16 = arguments.number("--together")?.unwrap_or(8);
    let only_shell = arguments.flag("--shell");
    let (as_json, build) = (arguments.flag("--json"), !arguments.flag("--no-build"));
    let dist = match arguments.value("--dist")? {
        Some(given) => std::path::absolute(&given).map_err(file(given.as_ref()))?,
        None => workspace.cache.join("dist-bench"),
    };
    let mut site = site::Options::parse(workspace, &mut arguments)?;
    site.dist = dist;
    arguments.end()?;

    models::ensure(workspace)?;
    if build {
        build_shell(workspace, &site.profile)?;
    }
    let shell = step(
        "Translating one by one and side by side in the shell",
        || together::measure(workspace, &site.profile, [pairs, count, together]),
    )?;
    if only_shell {
        shell.iter().for_each(|place| println!("{}", place.line()));
        if as_json {
            println!("{}", batches(&shell));
        }
        return Ok(());
    }
    let chrome = system::browser(workspace)?;
    // The package that translated the sentences of the tests.
    let sentences = workspace.root.join("tests/golden/translate");
    let package = "@browsermt/bergamot-translator";
    let version = super::npm::version(&sentences, package)?;
    let modules = super::npm::install(workspace, &sentences, &format!("{package} {version}"))?;
    if build {
        site::build_page(workspace, &site)?;
    }

    let mounts: [(&str, &Path); 2] = [("/npm/", &modules), ("/sentences/", &sentences)];
    let site = Site::serve(workspace, &site.dist, &mounts)?;
    let browser = Browser::launch(&chrome).map_err(pages::failed)?;
    let (worker, files) = step("Translating in the page", || {
        site.run(&browser, "translate", "&text=Hello")
    })?;
    let cold = step("Opening cold pages in turn", || {
        (0..pairs)
            .map(|round| cold(&site, &browser, &worker, round))
            .collect::<Result<Vec<_>>>()
    })?;
    let what = format!("Translating with both in turn, {pairs} times");
    let found = step(&what, || {
        let mut page = browser.new_page().map_err(pages::failed)?;
        let ready = page
            .goto(&site.page("translate/bench.html"))
            .and_then(|()| page.wait_for("window.bench", PATIENCE));
        ready.map_err(pages::failed)?;
        let options = json!({ "worker": worker, "pairs": pairs, "count": count });
        let script = format!("bench.measure({options})");
        page.evaluate_within(&script, PATIENCE)
            .map_err(pages::failed)
    })?;
    let bytes = bytes(workspace, &files, &modules.join(package))?;
    let measured = Measured::of(&found, &cold, bytes)
        .ok_or_else(|| Error::State(format!("the page measured {found}")))?;
    println!("\nTranslating in Chromium; Bergamot {version}");
    for line in measured.table() {
        println!("{line}");
    }
    shell.iter().for_each(|place| println!("{}", place.line()));
    if as_json {
        let mut all = measured.json();
        all["together"] = batches(&shell);
        println!("{all}");
    }
    if found["empty"] != 0 {
        let what = "some sentences were translated into nothing";
        return Err(Error::State(what.to_owned()));
    }
    Ok(())
}

fn batches(shell: &[Together]) -> Value {
    shell.iter().map(Together::json).collect()
}

/// Milliseconds from the beginning of a navigation to the first translation, ours and theirs.
fn cold(site: &Site, browser: &Browser, worker: &str, round: u16) -> Result<[f64; 2]> {
    let mut found = [0.0; 2];
    for i in 0..2 {
        let who = (i + usize::from(round)) % 2;
        let query = [format!("ours={worker}"), "theirs".to_owned()];
        let mut page = browser.new_page().map_err(pages::failed)?;
        let address = site.page(&format!("translate/cold.html?{}", query[who]));
        let ready = page
            .goto(&address)
            .and_then(|()| page.wait_for("window.cold", PATIENCE))
            .and_then(|()| page.evaluate("window.cold"));
        let cold = ready.map_err(pages::failed)?;
        let milliseconds = cold["milliseconds"].as_f64();
        let translated = cold["text"].as_str().is_some_and(|text| !text.is_empty());
        found[who] = milliseconds
            .filter(|_| translated)
            .ok_or_else(|| Error::State(format!("a cold page measured {cold}")))?;
    }
    Ok(found)
}

/// Bytes that travel before the first translation, ours and theirs: code compressed by `gzip -9`, and
/// the files of the model, which are the same.
fn bytes(workspace: &Workspace, site: &[SiteFile], package: &Path) -> Result<[u64; 2]> {
    let folder = workspace.models().join(MODEL);
    let files = std::fs::read_dir(&folder).map_err(file(&folder))?;
    // What the set-up notes beside them is not served.
    let served = |path: &Path| path.extension().is_some_and(|end| end != "verified");
    let size = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry?.path();
        Ok(if served(&path) {
            path.metadata()?.len()
        } else {
            0
        })
    };
    let sizes: std::io::Result<u64> = files.map(size).sum();
    let model = sizes.map_err(file(&folder))?;
    let names = [
        "translator.js",
        "worker/translator-worker.js",
        "worker/bergamot-translator-worker.js",
        "worker/bergamot-translator-worker.wasm",
    ];
    let theirs: Vec<PathBuf> = names.iter().map(|name| package.join(name)).collect();
    let theirs: u64 = gzip::sizes(&theirs)?.into_iter().sum();
    let ours: u64 = site.iter().map(|file| file.gzipped).sum();
    Ok([ours + model, theirs + model])
}

/// Everything, with ours in the first place.
struct Measured {
    rates: [Spread; 2],
    speed: Spread,
    cold: [Spread; 2],
    sooner: Spread,
    bytes: [u64; 2],
    sentences: u64,
    same: u64,
}

impl Measured {
    fn of(found: &Value, cold: &[[f64; 2]], bytes: [u64; 2]) -> Option<Self> {
        let words = found["words"].as_f64()?;
        let contenders = found["contenders"].as_array()?.iter();
        let contenders: Vec<Times> = contenders.map(Times::of).collect::<Option<_>>()?;
        let by = |name: &str| contenders.iter().find(|times| times.name == name);
        let (ours, theirs) = (by(OURS)?, by(THEIRS)?);
        let rate = |times: &Times| {
            let rates = times.milliseconds.iter().map(|ms| words * 1000.0 / ms);
            Spread::of(rates)
        };
        let each = |who: usize| Spread::of(cold.iter().map(|round| round[who]));
        Some(Self {
            rates: [rate(ours)?, rate(theirs)?],
            speed: theirs.to(ours)?,
            cold: [each(0)?, each(1)?],
            sooner: Spread::of(cold.iter().map(|[ours, theirs]| theirs / ours))?,
            bytes,
            sentences: found["sentences"].as_u64()?,
            same: found["same"].as_u64()?,
        })
    }

    /// How many times as good ours is: words a second, time to the first translation, bytes.
    fn ratios(&self) -> [(&'static str, f64); 3] {
        let [ours, theirs] = self.bytes;
        [
            ("words a second", self.speed.median),
            ("first translation", self.sooner.median),
            ("bytes", theirs as f64 / ours as f64),
        ]
    }

    fn table(&self) -> Vec<String> {
        let line = |name: &str, values: [String; 2], ratio: String| {
            format!("{name:<22} {:>22} {:>22}  {ratio}", values[0], values[1])
        };
        let mut lines = vec![
            line(
                "",
                [OURS.into(), THEIRS.into()],
                "ours is so many times as good".into(),
            ),
            line(
                "words a second",
                self.rates.map(|rate| rate.show(0)),
                self.speed.show(2),
            ),
            line(
                "first translation, ms",
                self.cold.map(|time| time.show(0)),
                self.sooner.show(2),
            ),
            line(
                "bytes",
                self.bytes.map(|bytes| bytes.to_string()),
                format!("{:.2}", self.ratios()[2].1),
            ),
        ];
        let (same, of) = (self.same, self.sentences);
        lines.push(format!("{same} of {of} sentences translated alike"));
        lines.extend(self.ratios().map(|(what, ratio)| {
            let met = if ratio >= TARGET { "met" } else { "missed" };
            format!("{what}: at least {TARGET:.1} times as good: {met}")
        }));
        lines
    }

    fn json(&self) -> Value {
        let targets = self.ratios().map(|(what, ratio)| {
            json!({ "what": what, "ratio": ratio, "wanted": TARGET, "met": ratio >= TARGET })
        });
        json!({
            "words_per_s": self.rates.map(Spread::json),
            "speed": self.speed.json(),
            "first_ms": self.cold.map(Spread::json),
            "sooner": self.sooner.json(),
            "bytes": self.bytes,
            "sentences": self.sentences,
            "same": self.same,
            "targets": targets,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Measured;
    use serde_json::json;

    #[test]
    fn more_is_better_in_every_ratio() {
        let found = json!({ "words": 100, "sentences": 10, "same": 7, "contenders": [
            { "name": "bergamot, wasm", "milliseconds": [200.0, 400.0] },
            { "name": "ours, cpu fast", "milliseconds": [100.0, 100.0] },
        ]});
        let measured = Measured::of(&found, &[[50.0, 100.0]], [400, 100]);
        let said = measured.map(|measured| measured.json()).unwrap_or_default();
        assert_eq!(said["words_per_s"][0]["median"], 1000.0);
        assert_eq!(said["speed"]["median"], 3.0);
        assert_eq!(said["targets"][1]["ratio"], 2.0);
        assert_eq!(said["targets"][2]["met"], false);
        assert!(Measured::of(&json!({}), &[], [1, 1]).is_none());
    }
}
