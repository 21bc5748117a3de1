//! The engines in Chromium, each in a page of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use glassformer_tests::browser::{self, Browser, Page};
use glassformer_tests::server::Server;
use serde_json::{Value, json};

use crate::bench::gzip;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Longer loads and generations are given up.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often a text is stopped.
const STOPS: usize = 5;

/// The error of a browser that does not do what it is told.
pub fn failed(error: browser::Error) -> Error {
    Error::State(error.to_string())
}

/// A file of the page, and how many bytes of it travel.
pub struct SiteFile {
    /// As the page names it.
    pub path: String,
    /// Compressed by `gzip -9`.
    pub gzipped: u64,
}

/// The site, the weights and the pages of this measurement, from one server.
pub struct Site {
    server: Server,
    dist: PathBuf,
}

impl Site {
    /// Serves them; `more` are folders of other engines, by where they are found.
    pub fn serve(workspace: &Workspace, dist: &Path, more: &[(&str, &Path)]) -> Result<Self> {
        let (models, pages) = (workspace.models(), workspace.root.join("tests/bench"));
        let mut mounts = vec![("/", dist), ("/models/", &models), ("/bench/", &pages)];
        mounts.extend(more);
        let server = Server::start(0, &mounts)
            .map_err(|e| Error::State(format!("no port can be served on: {e}")))?;
        Ok(Self {
            server,
            dist: dist.to_owned(),
        })
    }

    /// The address of a page below `tests/bench/`.
    pub fn page(&self, name: &str) -> String {
        format!("{}bench/{name}", self.server.url())
    }

    /// Opens a tab of the site with these settings, runs it and waits for the figures in its status. Gives the address of the worker that suits the browser, and the files that all this
    /// took beside the weights: parts of the program are fetched when they are first needed.
    pub fn run(&self, browser: &Browser, tab: &str, more: &str) -> Result<(String, Vec<SiteFile>)> {
        let mut page = browser.new_page().map_err(failed)?;
        let address = format!("{}#tab={tab}{more}", self.server.url());
        let input = format!("document.querySelector('[data-testid={tab}-input]')");
        let status = format!("document.querySelector('[data-testid={tab}-status]')");
        let figures = format!("{status}?.textContent.includes('/s')");
        page.goto(&address)
            .and_then(|()| page.wait_for(&input, Duration::from_secs(60)))
            .and_then(|()| page.click(&format!("{tab}-run")))
            .and_then(|()| page.wait_for(&figures, Duration::from_secs(120)))
            .map_err(failed)?;
        let worker = page.log().map_err(failed)?.workers.last().cloned();
        let worker = worker.ok_or_else(|| Error::State("the page starts no worker".to_owned()))?;
        let requests = self.server.requests();
        let fetched = requests.iter().filter(|request| request.status == 200);
        let paths: BTreeSet<&str> = fetched
            .map(|request| request.path.trim_start_matches('/'))
            .map(|path| if path.is_empty() { "index.html" } else { path })
            .filter(|path| !path.starts_with("models/"))
            .collect();
        let files: Vec<PathBuf> = paths.iter().map(|path| self.dist.join(path)).collect();
        let sizes = gzip::sizes(&files)?;
        let paths = paths.into_iter().map(str::to_owned);
        let files = paths
            .zip(sizes)
            .map(|(path, gzipped)| SiteFile { path, gzipped })
            .collect();
        Ok((worker, files))
    }
}

/// One generation, timed by the page.
pub struct Run {
    pub prompt_tokens: u64,
    pub tokens: u64,
    /// From the request to the first token, in seconds.
    pub first_token: f64,
    /// Prompt tokens a second, up to the first written token.
    pub prefill: f64,
    /// Tokens a second after the first.
    pub decode: f64,
    /// Bytes of WebAssembly memory after it, where the engine tells.
    pub heap: Option<u64>,
    /// What a token took of the GPU, if it ran there.
    pub gpu: Option<Value>,
    pub text: String,
}

impl Run {
    fn of(value: &Value) -> Option<Self> {
        Some(Self {
            prompt_tokens: value["promptTokens"].as_u64()?,
            tokens: value["tokens"].as_u64()?,
            first_token: value["firstTokenSeconds"].as_f64()?,
            prefill: value["prefillTps"].as_f64()?,
            decode: value["decodeTps"].as_f64()?,
            heap: value["heapBytes"].as_u64(),
            gpu: Some(value["gpu"].clone()).filter(Value::is_object),
            text: value["text"].as_str()?.to_owned(),
        })
    }
}

/// What one engine measured.
pub struct Measured {
    /// Name, version, what computes.
    pub name: String,
    /// Seconds from an open page to a model that can be used, weights from the server.
    pub load: f64,
    /// The same once more, weights from the browser's cache.
    pub load_again: f64,
    /// Bytes of WebAssembly memory after the load, where the engine tells.
    pub heap: Option<u64>,
    /// The first generation, in which the browser still compiles.
    pub warm_up: Run,
    pub runs: Vec<Run>,
}

/// An engine in its page, with its model loaded.
pub struct Contender {
    page: Page,
    /// What it is asked to write.
    request: Value,
    pub measured: Measured,
}

impl Contender {
    /// Opens a page of this measurement, loads the model twice with the same options, and writes
    /// once to warm up.
    pub fn open(browser: &Browser, url: &str, options: Value, request: Value) -> Result<Self> {
        let mut page = browser.new_page().map_err(failed)?;
        let mut load = || {
            page.goto(url)?;
            page.evaluate_within(&format!("bench.load({options})"), PATIENCE)
        };
        let first = load().map_err(failed)?;
        let again = load().map_err(failed)?;
        let warm_up = generate(&mut page, &request)?;
        let seconds = |value: &Value| value["seconds"].as_f64().ok_or_else(|| unclear(value));
        let measured = Measured {
            name: again["name"].as_str().unwrap_or_default().to_owned(),
            load: seconds(&first)?,
            load_again: seconds(&again)?,
            heap: again["heapBytes"].as_u64(),
            warm_up,
            runs: Vec::new(),
        };
        Ok(Self {
            page,
            request,
            measured,
        })
    }

    /// Writes and measures.
    pub fn generate(&mut self) -> Result<()> {
        let run = generate(&mut self.page, &self.request)?;
        self.measured.runs.push(run);
        Ok(())
    }

    /// Milliseconds from a wish to stop in mid-text to the end of the text, a few times.
    pub fn stop(&mut self) -> Result<Vec<f64>> {
        let script = format!("bench.stop({})", self.request);
        let mut stop = || {
            let found = self.page.evaluate_within(&script, PATIENCE);
            let found = found.map_err(failed)?;
            found.as_f64().ok_or_else(|| unclear(&found))
        };
        (0..STOPS).map(|_| stop()).collect()
    }

    /// Where this was measured.
    pub fn surroundings(&mut self) -> Result<Value> {
        let script = "({ userAgent: navigator.userAgent, cores: navigator.hardwareConcurrency, \
                      crossOriginIsolated })";
        let mut found = self.page.evaluate(script).map_err(failed)?;
        // The user agent names only the main version.
        let version = self.page.call("Browser.getVersion", json!({}));
        found["browser"] = version.map_err(failed)?["product"].clone();
        Ok(found)
    }
}

fn generate(page: &mut Page, request: &Value) -> Result<Run> {
    let script = format!("bench.generate({request})");
    let value = page.evaluate_within(&script, PATIENCE).map_err(failed)?;
    Run::of(&value).ok_or_else(|| unclear(&value))
}

fn unclear(value: &Value) -> Error {
    Error::State(format!("the page measured something else: {value}"))
}
