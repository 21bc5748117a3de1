//! One page of the browser.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::connection::{Connection, Log, Logged, exception, watching};
use super::{Error, Result};

/// How often a condition is looked at.
pub(super) const BEAT: Duration = Duration::from_millis(30);

/// A page with caches and storage of its own. Elements are named by their `data-testid`; the first
/// of that name counts.
#[derive(Debug)]
pub struct Page {
    /// How long an element may take to appear, become enabled and hold still before it is used;
    /// 10 s unless changed.
    pub patience: Duration,
    connection: Connection,
    session: String,
}

impl Page {
    pub(super) fn open(endpoint: &str) -> Result<Self> {
        let mut connection = Connection::open(endpoint)?;
        let mut browser = |method, params: Value| connection.call(None, method, &params);
        let context = browser(
            "Target.createBrowserContext",
            json!({ "disposeOnDetach": true }),
        )?;
        let context = &context["browserContextId"];
        let target = json!({
            "url": "about:blank", "browserContextId": context, "width": 1280, "height": 800,
        });
        let target = browser("Target.createTarget", target)?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser("Target.attachToTarget", attach)?;
        let session = session["sessionId"].as_str().unwrap_or_default().to_owned();
        let mut page = Self {
            patience: Duration::from_secs(10),
            connection,
            session,
        };
        for (method, params) in watching() {
            page.call(method, params)?;
        }
        page.call("Page.enable", json!({}))?;
        // Each page behaves as if it were in front.
        page.call(
            "Emulation.setFocusEmulationEnabled",
            json!({ "enabled": true }),
        )?;
        Ok(page)
    }

    /// Sends a command of the DevTools protocol to the page, for what has no method here.
    ///
    /// # Errors
    /// If the browser refuses it or is gone.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        self.connection.call(Some(&self.session), method, &params)
    }

    /// Goes to an address and waits until the page and its scripts are loaded.
    ///
    /// # Errors
    /// If there is nothing at the address, or it takes more than 30 s.
    pub fn goto(&mut self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", json!({ "url": url }))?;
        if let Some(reason) = answer["errorText"].as_str() {
            return Err(Error::Unexpected(format!("{url} did not open: {reason}")));
        }
        self.wait_for(
            "document.readyState === 'complete'",
            Duration::from_secs(30),
        )
    }

    /// Loads the page again.
    ///
    /// # Errors
    /// As [`Page::goto`].
    pub fn reload(&mut self) -> Result<()> {
        self.evaluate("window.beforeReload = true")?;
        self.call("Page.reload", json!({}))?;
        let done = "!window.beforeReload && document.readyState === 'complete'";
        self.wait_for(done, Duration::from_secs(30))
    }

    /// The value of a script's last expression, or of the promise it gives, which may take 60 s.
    ///
    /// # Errors
    /// If the script throws or its promise is rejected.
    pub fn evaluate(&mut self, script: &str) -> Result<Value> {
        self.evaluate_within(script, Duration::from_secs(60))
    }

    /// As [`Page::evaluate`], with another limit.
    ///
    /// # Errors
    /// As [`Page::evaluate`], or if the promise takes longer.
    pub fn evaluate_within(&mut self, script: &str, limit: Duration) -> Result<Value> {
        let params = json!({
            "expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let session = Some(self.session.as_str());
        let answer = self
            .connection
            .call_within(session, "Runtime.evaluate", &params, limit)?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(Error::Script {
                script: script.to_owned(),
                message: exception(details),
            }),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until a script gives a true value.
    ///
    /// # Errors
    /// If it does not in time, naming a screenshot and what the console says; if the script throws.
    pub fn wait_for(&mut self, script: &str, limit: Duration) -> Result<()> {
        let began = Instant::now();
        let condition = format!("Boolean({script})");
        loop {
            match self.evaluate_within(&condition, limit.max(Duration::from_secs(10))) {
                Ok(Value::Bool(true)) => return Ok(()),
                // The page was replaced while the script ran: look again in the new one.
                Ok(_) | Err(Error::Refused { .. }) => {}
                Err(e) => return Err(e),
            }
            if began.elapsed() > limit {
                return Err(self.timeout(&format!("`{script}`"), limit));
            }
            self.pause(BEAT)?;
        }
    }

    /// Lets time pass while taking note of what the page does.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn pause(&mut self, time: Duration) -> Result<()> {
        self.connection.listen(Instant::now() + time)
    }

    /// The text of an element, empty if there is no such element.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn text(&mut self, testid: &str) -> Result<String> {
        let script = format!(
            "document.querySelector({})?.textContent ?? ''",
            selector(testid)
        );
        Ok(self
            .evaluate(&script)?
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// How many elements have this name.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn count(&mut self, testid: &str) -> Result<u64> {
        let script = format!("document.querySelectorAll({}).length", selector(testid));
        Ok(self.evaluate(&script)?.as_u64().unwrap_or_default())
    }

    /// Writes a picture of the page as it looks in a window of this size (in CSS pixels) and in
    /// the dark or light appearance; then goes back to the usual ones.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn screenshot(&mut self, path: &Path, width: u32, height: u32, dark: bool) -> Result<()> {
        self.set_window(width, height, dark)?;
        // Two frames: one to lay out, one to paint.
        self.evaluate(
            "new Promise(f => requestAnimationFrame(() => requestAnimationFrame(() => f(0))))",
        )?;
        let taken = self.capture(path);
        self.call("Emulation.clearDeviceMetricsOverride", json!({}))?;
        self.call("Emulation.setEmulatedMedia", json!({ "features": [] }))?;
        taken
    }

    /// Gives the window a size (in CSS pixels) and the dark or light appearance, to stay.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn set_window(&mut self, width: u32, height: u32, dark: bool) -> Result<()> {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .map(drop)
    }

    /// Takes the network away from the page and its workers, or gives it back.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn set_offline(&mut self, offline: bool) -> Result<()> {
        let method = "Network.emulateNetworkConditions";
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.connection.for_new.retain(|(name, _)| *name != method);
        self.connection.for_new.push((method, conditions.clone()));
        for session in self.connection.attached.clone() {
            self.connection.send(Some(&session), method, &conditions)?;
        }
        self.call(method, conditions).map(drop)
    }

    /// What the page and its workers said and asked for, until now.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn log(&mut self) -> Result<&Log> {
        self.pause(Duration::from_millis(1))?;
        Ok(&self.connection.log)
    }

    /// Errors on the console, and exceptions nobody caught.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn errors(&mut self) -> Result<Vec<Logged>> {
        let bad =
            |logged: &&Logged| ["error", "assert", "exception"].contains(&logged.level.as_str());
        Ok(self.log()?.console.iter().filter(bad).cloned().collect())
    }

    /// Requests that went, or would have gone, to another host than the one of this address.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn foreign_requests(&mut self, own: &str) -> Result<Vec<String>> {
        let local = ["data:", "blob:", "about:"];
        let foreign = |url: &&String| {
            !url.starts_with(own) && !local.iter().any(|scheme| url.starts_with(scheme))
        };
        Ok(self
            .log()?
            .requests
            .iter()
            .filter(foreign)
            .cloned()
            .collect())
    }

    /// Fails if the console shows an error, the page crashed, or a request went to another host.
    ///
    /// # Errors
    /// If so, with all of them.
    pub fn expect_quiet(&mut self, own: &str) -> Result<()> {
        let mut found: Vec<String> = self.errors()?.iter().map(line).collect();
        found.extend(
            self.foreign_requests(own)?
                .iter()
                .map(|url| format!("request to {url}")),
        );
        if self.log()?.crashed {
            found.push("the page crashed".to_owned());
        }
        if found.is_empty() {
            return Ok(());
        }
        Err(Error::Unexpected(format!(
            "the page was not quiet:\n{}",
            found.join("\n")
        )))
    }

    fn capture(&mut self, path: &Path) -> Result<()> {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" }))?;
        let encoded = answer["data"].as_str().unwrap_or_default();
        let file = |source| Error::File {
            path: path.to_owned(),
            source,
        };
        let png = data_encoding::BASE64
            .decode(encoded.as_bytes())
            .map_err(|e| Error::Connection(e.to_string()))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(file)?;
        }
        std::fs::write(path, png).map_err(file)
    }

    /// The error of something that did not come true, with what there is to see.
    pub(super) fn timeout(&mut self, what: &str, limit: Duration) -> Error {
        let mut details = String::new();
        let name: String = what
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let picture = screenshots().join(format!(
            "{:.60}-{}.png",
            name.trim_matches('-'),
            std::process::id()
        ));
        if self.capture(&picture).is_ok() {
            details += &format!("\nscreenshot: {}", picture.display());
        }
        for logged in self.connection.log.console.iter().rev().take(20).rev() {
            details += &format!("\nconsole {}", line(logged));
        }
        if self.connection.log.crashed {
            details += "\nthe page crashed";
        }
        Error::Timeout {
            what: what.to_owned(),
            seconds: limit.as_secs_f64(),
            details,
        }
    }
}

/// A CSS selector for a `data-testid`, as a JavaScript string.
pub(super) fn selector(testid: &str) -> Value {
    Value::String(format!(
        "[data-testid={}]",
        Value::String(testid.to_owned())
    ))
}

fn line(logged: &Logged) -> String {
    let place = if logged.url.is_empty() {
        String::new()
    } else {
        format!(" ({})", logged.url)
    };
    format!("{}: {}{place}", logged.level, logged.text)
}

/// Where pictures of failures go: `GLASSFORMER_SCREENSHOTS`, or `screenshots` where the program runs, which for a test
/// is its package.
fn screenshots() -> PathBuf {
    let given = std::env::var_os("GLASSFORMER_SCREENSHOTS");
    let folder = given.map_or_else(|| PathBuf::from("screenshots"), PathBuf::from);
    std::path::absolute(&folder).unwrap_or(folder)
}
