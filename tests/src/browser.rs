//! Drives Chromium over the DevTools protocol, with real input, as a person would use the page.
//!
//! A thin client of our own: the protocol gains enum values with every release, and clients
//! generated from its description break on them.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::TempDir;

mod connection;
mod input;
mod keys;
mod page;
mod tasks;

pub use connection::{Log, Logged};
pub use page::Page;

/// Why the browser did not do what it was told.
#[derive(thiserror::Error)]
pub enum Error {
    /// The browser did not start.
    #[error("{program} did not start: {reason}")]
    Launch {
        /// The program that was tried.
        program: PathBuf,
        /// What it said last.
        reason: String,
    },
    /// The connection to the browser broke.
    #[error("the connection to the browser broke: {0}")]
    Connection(String),
    /// The browser refused a command.
    #[error("the browser refused {method}: {message}")]
    Refused {
        /// The command.
        method: String,
        /// The browser's reason.
        message: String,
    },
    /// A script threw, or could not be understood.
    #[error("the script `{script}` failed: {message}")]
    Script {
        /// What was to be evaluated.
        script: String,
        /// The exception.
        message: String,
    },
    /// Something did not come true in time.
    #[error("waited {seconds:.1} s in vain for {what}{details}")]
    Timeout {
        /// What was expected.
        what: String,
        /// For how long.
        seconds: f64,
        /// What the page showed and logged meanwhile, one fact a line.
        details: String,
    },
    /// The page did something it must not do.
    #[error("{0}")]
    Unexpected(String),
    /// A file could not be written or read.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A test that ends with `?` shows the sentence, not the structure.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// The result of telling the browser something.
pub type Result<T> = std::result::Result<T, Error>;

/// A headless Chromium with a profile of its own; it ends when dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    endpoint: String,
    _profile: TempDir,
}

/// What every start needs: no window, no first-run pages, no traffic of the browser's own, and no
/// saving of effort in pages that are not in front.
const FLAGS: &[&str] = &[
    "--headless",
    "--remote-debugging-port=0",
    "--no-sandbox",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    // No name but this machine's is found, so a request to another host fails and is logged.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
];

/// WebGPU on Chromium's software adapter, for [`Browser::launch_with`].
pub const SOFTWARE_WEBGPU: &[&str] =
    &["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

impl Browser {
    /// Starts the browser.
    ///
    /// # Errors
    /// If it does not start within 60 s.
    pub fn launch(program: &Path) -> Result<Self> {
        Self::launch_with(program, &[])
    }

    /// Starts the browser with further flags.
    ///
    /// # Errors
    /// If it does not start within 60 s.
    pub fn launch_with(program: &Path, flags: &[&str]) -> Result<Self> {
        let failed = |reason: String| Error::Launch {
            program: program.to_owned(),
            reason,
        };
        let profile = TempDir::new("chromium").map_err(|e| failed(e.to_string()))?;
        let output = profile.path().join("stderr.log");
        let file = std::fs::File::create(&output).map_err(|e| failed(e.to_string()))?;
        let mut data_dir = std::ffi::OsString::from("--user-data-dir=");
        data_dir.push(profile.path());
        let child = Command::new(program)
            .args(FLAGS)
            .args(flags)
            .arg(data_dir)
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(|e| failed(e.to_string()))?;
        let mut browser = Self {
            child,
            endpoint: String::new(),
            _profile: profile,
        };
        // Chromium writes its port and the path of its endpoint here once it listens.
        let port_file = browser._profile.path().join("DevToolsActivePort");
        let began = Instant::now();
        loop {
            if let Ok(text) = std::fs::read_to_string(&port_file)
                && let Some((port, path)) = text.trim().split_once('\n')
            {
                browser.endpoint = format!("127.0.0.1:{port}{path}");
                return Ok(browser);
            }
            let ended = browser.child.try_wait().ok().flatten();
            if ended.is_some() || began.elapsed() > Duration::from_secs(60) {
                let said = std::fs::read_to_string(&output).unwrap_or_default();
                let lines: Vec<_> = said.lines().rev().take(5).collect();
                return Err(failed(
                    lines.into_iter().rev().collect::<Vec<_>>().join(" | "),
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Opens an empty page whose caches and storage are its own, as in a new private window.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn new_page(&self) -> Result<Page> {
        Page::open(&self.endpoint)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked first, so that its helper processes end in order; then made to.
        if connection::Connection::open(&self.endpoint)
            .and_then(|mut browser| browser.send(None, "Browser.close", &serde_json::json!({})))
            .is_ok()
        {
            let asked = Instant::now();
            while asked.elapsed() < Duration::from_secs(5) {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds Chromium or Chrome: the variable `CHROME`, the search path, the usual places.
pub fn find() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("CHROME").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(given));
    }
    const NAMES: &[&str] = &[
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "chrome",
    ];
    const PLACES: &[&str] = &[
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = |name: &&str| {
        std::env::split_paths(&path)
            .map(|folder| {
                folder
                    .join(OsStr::new(name))
                    .with_extension(std::env::consts::EXE_EXTENSION)
            })
            .find(|file| file.is_file())
    };
    NAMES
        .iter()
        .find_map(on_path)
        .or_else(|| PLACES.iter().map(PathBuf::from).find(|file| file.is_file()))
}
