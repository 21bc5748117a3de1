//! What the browser tests stand on.
//!
//! - [`server`] serves folders on this machine. `cargo xtask serve` uses it as it is; tests make it
//!   fail in chosen ways.
//! - [`browser`] drives Chromium with real input, and reports what the page requested and logged.
//! - [`prepared`] finds what `cargo xtask test` built for the journeys.
//!
//! The journeys and golden tests themselves are in `tests/tests/`.

use std::io::Write;
use std::path::PathBuf;

pub mod browser;
pub mod server;

mod temp;
pub use temp::TempDir;

/// The finished site, the default weights and the browser, for a journey through the page.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The built site (`GLASSFORMER_DIST`).
    pub dist: PathBuf,
    /// The folder the manifest's paths are relative to (`GLASSFORMER_MODELS`).
    pub models: PathBuf,
    /// The browser's program (`GLASSFORMER_CHROME`).
    pub chrome: PathBuf,
}

/// What `cargo xtask test` prepared, or nothing, after saying so with [`cannot_run`].
///
/// # Panics
/// If it is missing and `CI=true`.
pub fn prepared(test: &str) -> Option<Prepared> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.exists())
    };
    let found = || {
        Some(Prepared {
            dist: folder("GLASSFORMER_DIST")?,
            models: folder("GLASSFORMER_MODELS")?,
            chrome: folder("GLASSFORMER_CHROME")?,
        })
    };
    let found = found();
    if found.is_none() {
        cannot_run(
            test,
            "it needs the built page, the weights and Chromium: use `cargo xtask test`",
        );
    }
    found
}

/// The browser for a test that needs nothing else, or nothing, after saying so with [`cannot_run`].
///
/// # Panics
/// If there is none and `CI=true`.
pub fn chrome(test: &str) -> Option<PathBuf> {
    let given = std::env::var_os("GLASSFORMER_CHROME").map(PathBuf::from);
    let found = given.or_else(browser::find);
    if found.is_none() {
        cannot_run(
            test,
            "no Chromium was found: install it, or name it in the variable CHROME",
        );
    }
    found
}

/// Says loudly that a test did not run. Nothing may be skipped on the build server, where it fails.
///
/// # Panics
/// If `CI=true`.
pub fn cannot_run(test: &str, reason: &str) {
    let in_ci = std::env::var("CI").is_ok_and(|v| v == "true" || v == "1");
    assert!(!in_ci, "{test} cannot run: {reason}");
    // Written past the capture of the test harness, so that a passing run still shows it.
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: {test}: {reason} ***\n");
}
