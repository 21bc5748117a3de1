//! Journeys through the page in headless Chromium, on the finished site with the real model.
//!
//! Each journey has a server and a private browser context of its own, so caches start empty.
#![allow(clippy::unwrap_used, reason = "a journey that cannot go on has failed")]

#[path = "journeys/attention.rs"]
mod attention;
#[path = "journeys/attention_limits.rs"]
mod attention_limits;
#[path = "journeys/bad_input.rs"]
mod bad_input;
#[path = "journeys/files.rs"]
mod files;
#[path = "journeys/fill_mask.rs"]
mod fill_mask;
#[path = "journeys/generate.rs"]
mod generate;
#[path = "journeys/lens.rs"]
mod lens;
#[path = "journeys/loading.rs"]
mod loading;
#[path = "journeys/many_pictures.rs"]
mod many_pictures;
#[path = "journeys/matching.rs"]
mod matching;
#[path = "journeys/parts.rs"]
mod parts;
#[path = "journeys/pictures.rs"]
mod pictures;
#[path = "journeys/restart.rs"]
mod restart;
#[path = "journeys/translate.rs"]
mod translate;
#[path = "journeys/webgpu.rs"]
mod webgpu;
#[path = "journeys/workers.rs"]
mod workers;

use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use glassformer_tests::browser::{Browser, Page, SOFTWARE_WEBGPU};
use glassformer_tests::server::Server;
use glassformer_tests::{Prepared, prepared};

/// Where the default model is served.
const WEIGHTS: &str = "/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";

/// Long enough for a load and some tokens on a busy machine with two cores.
const LONG: Duration = Duration::from_secs(120);

/// Long enough for anything that does not compute.
const SHORT: Duration = Duration::from_secs(15);

/// Journeys run side by side, except for those that measure the page.
static MACHINE: RwLock<()> = RwLock::new(());

/// A journey's share of the machine, held until it ends.
enum Turn {
    Shared(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

impl Turn {
    // A journey that failed says nothing about the machine.
    fn shared() -> Self {
        Self::Shared(MACHINE.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn alone() -> Self {
        Self::Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A page of its own, the site it is on, and what was prepared.
struct Journey {
    page: Page,
    server: Server,
    _browser: Browser,
    prepared: Prepared,
    _turn: Turn,
}

impl Journey {
    /// Opens the page with this fragment, or says why not.
    fn begin(name: &str, fragment: &str) -> Option<Self> {
        Self::begin_with(name, fragment, Turn::shared(), &[])
    }

    /// As [`Self::begin`], with no other journey under way.
    fn begin_alone(name: &str, fragment: &str) -> Option<Self> {
        Self::begin_with(name, fragment, Turn::alone(), &[])
    }

    /// As [`Self::begin`], with a GPU: the browser's software adapter.
    fn begin_gpu(name: &str, fragment: &str) -> Option<Self> {
        Self::begin_with(name, fragment, Turn::shared(), SOFTWARE_WEBGPU)
    }

    fn begin_with(name: &str, fragment: &str, turn: Turn, flags: &[&str]) -> Option<Self> {
        let prepared = prepared(name)?;
        let mounts: [(&str, &Path); 2] = [("/models/", &prepared.models), ("/", &prepared.dist)];
        let server = Server::start(0, &mounts).unwrap();
        let browser = Browser::launch_with(&prepared.chrome, flags).unwrap();
        let page = browser.new_page().unwrap();
        let mut journey = Self {
            page,
            server,
            _browser: browser,
            prepared,
            _turn: turn,
        };
        journey.open(fragment);
        Some(journey)
    }

    /// Goes to the page with this fragment.
    fn open(&mut self, fragment: &str) {
        // Another address first: a change of fragment alone loads nothing.
        self.page.goto("about:blank").unwrap();
        let url = format!("{}#{fragment}", self.server.url());
        self.page.goto(&url).unwrap();
        // The input of whichever tab is open.
        self.wait("document.querySelector('[data-testid$=-input]')", SHORT);
    }

    fn wait(&mut self, script: &str, limit: Duration) {
        self.page.wait_for(script, limit).unwrap();
    }

    /// Presses Run and waits until writing has ended.
    fn run_to_the_end(&mut self) {
        self.page.click("generate-run").unwrap();
        self.finished();
    }

    /// Waits until writing has ended, by itself or not.
    fn finished(&mut self) {
        self.wait(
            "document.querySelector('[data-testid=generate-token]')",
            LONG,
        );
        self.wait(
            "document.querySelector('[data-testid=generate-stop]')?.disabled ?? true",
            LONG,
        );
    }

    fn string(&mut self, script: &str) -> String {
        self.page
            .evaluate(script)
            .unwrap()
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Ids and log-probabilities of the tokens on the page.
    fn tokens(&mut self) -> Vec<(u32, f64)> {
        let script = "[...document.querySelectorAll('[data-testid=generate-token]')]\
                      .map(t => [Number(t.dataset.id), Number(t.dataset.logprob)])";
        let tokens = self.page.evaluate(script).unwrap();
        let token = |t: &serde_json::Value| Some((t[0].as_u64()? as u32, t[1].as_f64()?));
        tokens
            .as_array()
            .unwrap()
            .iter()
            .filter_map(token)
            .collect()
    }

    /// The sentence in the tab's error place, once there is one.
    fn error(&mut self) -> String {
        let sentence = "document.querySelector('[data-testid=generate-error] p')?.innerText";
        self.wait(sentence, LONG);
        self.string(sentence)
    }

    fn downloads(&self) -> usize {
        let requests = self.server.requests();
        requests
            .iter()
            .filter(|r| r.path == WEIGHTS && r.method == "GET")
            .count()
    }

    /// No console error, no request to another host.
    fn expect_quiet(&mut self) {
        let own = self.server.url();
        self.page.expect_quiet(&own).unwrap();
    }
}
