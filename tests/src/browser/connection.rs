//! One connection to the browser: commands out, answers and events in.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::{Error, Result};

/// How long a command may take; a script that waits for a promise has its own limit.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line of the console, or an error of the browser about the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// `log`, `info`, `warning`, `error`, or `exception` for what nobody caught.
    pub level: String,
    /// What it says.
    pub text: String,
    /// The script or resource it is about, if the browser knows.
    pub url: String,
}

/// What a page and its workers said and asked for.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The console of the page and of its workers, in order.
    pub console: Vec<Logged>,
    /// The address of every request, of the page and of its workers.
    pub requests: Vec<String>,
    /// The addresses of the workers that were started.
    pub workers: Vec<String>,
    /// Whether the page's process ended by accident.
    pub crashed: bool,
    /// What was recorded of threads.
    pub traced: Vec<Value>,
    /// Whether all of that is here.
    pub traced_all: bool,
}

/// A connection, with the log of everything that was attached through it.
#[derive(Debug)]
pub(super) struct Connection {
    socket: WebSocket<TcpStream>,
    last_id: u64,
    pub(super) log: Log,
    /// Sessions of attached workers and frames.
    pub(super) attached: Vec<String>,
    /// Sent to each worker before it runs: network conditions in force.
    pub(super) for_new: Vec<(&'static str, Value)>,
}

impl Connection {
    /// Connects to `host:port/path`.
    pub(super) fn open(endpoint: &str) -> Result<Self> {
        let broke = |e: &dyn std::fmt::Display| Error::Connection(e.to_string());
        let host = endpoint.split('/').next().unwrap_or_default();
        let stream = TcpStream::connect(host).map_err(|e| broke(&e))?;
        stream.set_nodelay(true).map_err(|e| broke(&e))?;
        // Screenshots of large pages are large messages.
        let config = tungstenite::protocol::WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let url = format!("ws://{endpoint}");
        let (socket, _) = tungstenite::client::client_with_config(url, stream, Some(config))
            .map_err(|e| broke(&e))?;
        Ok(Self {
            socket,
            last_id: 0,
            log: Log::default(),
            attached: Vec::new(),
            for_new: Vec::new(),
        })
    }

    /// Sends a command and waits for its answer.
    pub(super) fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: &Value,
    ) -> Result<Value> {
        self.call_within(session, method, params, PATIENCE)
    }

    /// Sends a command and waits for its answer, so long.
    pub(super) fn call_within(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: &Value,
        patience: Duration,
    ) -> Result<Value> {
        self.send(session, method, params)?;
        let id = self.last_id;
        let deadline = Instant::now() + patience;
        while let Some(message) = self.receive(deadline)? {
            if message["id"] != id {
                continue;
            }
            if let Some(error) = message.get("error") {
                return Err(Error::Refused {
                    method: method.to_owned(),
                    message: error["message"]
                        .as_str()
                        .unwrap_or("no reason given")
                        .to_owned(),
                });
            }
            return Ok(message["result"].clone());
        }
        Err(Error::Timeout {
            what: format!("the browser's answer to {method}"),
            seconds: patience.as_secs_f64(),
            details: String::new(),
        })
    }

    /// Sends a command whose answer does not matter.
    pub(super) fn send(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: &Value,
    ) -> Result<()> {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        self.socket
            .send(Message::text(message.to_string()))
            .map_err(|e| Error::Connection(e.to_string()))
    }

    /// Takes in events until the deadline.
    pub(super) fn listen(&mut self, deadline: Instant) -> Result<()> {
        while self.receive(deadline)?.is_some() {}
        Ok(())
    }

    /// The next message, after taking note of it; nothing once the deadline has passed.
    fn receive(&mut self, deadline: Instant) -> Result<Option<Value>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // A zero timeout would mean none.
            let left = left.max(Duration::from_millis(1));
            self.socket
                .get_mut()
                .set_read_timeout(Some(left))
                .map_err(|e| Error::Connection(e.to_string()))?;
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    let message: Value = serde_json::from_str(&text)
                        .map_err(|e| Error::Connection(e.to_string()))?;
                    self.note(&message)?;
                    return Ok(Some(message));
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(e))
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    if Instant::now() >= deadline {
                        return Ok(None);
                    }
                }
                Err(e) => return Err(Error::Connection(e.to_string())),
            }
        }
    }

    /// Keeps what an event says; lets new workers run once they are watched.
    fn note(&mut self, message: &Value) -> Result<()> {
        let params = &message["params"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match message["method"].as_str().unwrap_or_default() {
            "Runtime.consoleAPICalled" => {
                let words = params["args"]
                    .as_array()
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                let words: Vec<_> = words.iter().map(describe).collect();
                self.log.console.push(Logged {
                    level: text(&params["type"]),
                    text: words.join(" "),
                    url: text(&params["stackTrace"]["callFrames"][0]["url"]),
                });
            }
            "Runtime.exceptionThrown" => {
                let details = &params["exceptionDetails"];
                self.log.console.push(Logged {
                    level: "exception".to_owned(),
                    text: exception(details),
                    url: text(&details["url"]),
                });
            }
            "Log.entryAdded" => {
                let entry = &params["entry"];
                self.log.console.push(Logged {
                    level: text(&entry["level"]),
                    text: text(&entry["text"]),
                    url: text(&entry["url"]),
                });
            }
            "Network.requestWillBeSent" => self.log.requests.push(text(&params["request"]["url"])),
            "Network.webSocketCreated" => self.log.requests.push(text(&params["url"])),
            "Tracing.dataCollected" => {
                let events = params["value"].as_array();
                self.log
                    .traced
                    .extend(events.into_iter().flatten().cloned());
            }
            "Tracing.tracingComplete" => self.log.traced_all = true,
            "Inspector.targetCrashed" => self.log.crashed = true,
            "Target.attachedToTarget" => self.welcome(params)?,
            "Target.detachedFromTarget" => {
                self.attached
                    .retain(|session| *session != params["sessionId"]);
            }
            _ => {}
        }
        Ok(())
    }

    /// Watches a worker (or a frame in a process of its own) that waits to be allowed to run.
    fn welcome(&mut self, params: &Value) -> Result<()> {
        let info = &params["targetInfo"];
        let Some(session) = params["sessionId"].as_str() else {
            return Ok(());
        };
        if info["type"]
            .as_str()
            .is_some_and(|kind| kind.contains("worker"))
        {
            self.log
                .workers
                .push(info["url"].as_str().unwrap_or_default().to_owned());
        }
        // The page itself is attached by a call, which sets it up.
        if info["type"] == "page" {
            return Ok(());
        }
        self.attached.push(session.to_owned());
        for (method, params) in watching() {
            self.send(Some(session), method, &params)?;
        }
        for (method, params) in self.for_new.clone() {
            self.send(Some(session), method, &params)?;
        }
        self.send(Some(session), "Runtime.runIfWaitingForDebugger", &json!({}))
    }
}

/// The commands that make a page or worker report its console, its requests and its workers.
pub(super) fn watching() -> [(&'static str, Value); 4] {
    let attach = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
    [
        ("Runtime.enable", json!({})),
        ("Log.enable", json!({})),
        ("Network.enable", json!({})),
        ("Target.setAutoAttach", attach),
    ]
}

/// A value of the page as the console would show it.
fn describe(object: &Value) -> String {
    match &object["value"] {
        Value::String(text) => text.clone(),
        Value::Null => object["description"]
            .as_str()
            .or(object["subtype"].as_str())
            .or(object["type"].as_str())
            .unwrap_or_default()
            .to_owned(),
        value => value.to_string(),
    }
}

/// What an exception says.
pub(super) fn exception(details: &Value) -> String {
    let thrown = describe(&details["exception"]);
    if thrown.is_empty() {
        details["text"].as_str().unwrap_or_default().to_owned()
    } else {
        thrown
    }
}
