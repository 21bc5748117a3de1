//! A static file server on this machine, which can be told to fail.
//!
//! One thread per connection, one request per connection: a page is a handful of files. What is
//! served is read at the time of the request, so a rebuilt site shows on reload.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

mod http;

/// How the answers for one path go wrong. Everything unset is as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Answer with this status and an empty body.
    pub status: Option<u16>,
    /// Send no faster than this. A change counts at once, also for answers under way.
    pub bytes_per_second: Option<u64>,
    /// Announce the whole length, then close the connection after this many bytes of the body.
    pub cut_after: Option<u64>,
    /// Serve the file as if it ended here, with the length to match.
    pub truncate_to: Option<u64>,
    /// Flip the bits of the byte at this offset in the file.
    pub corrupt_at: Option<u64>,
}

/// One request, as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// The path with escapes resolved and without the query, as in [`Server::set_fault`].
    pub path: String,
    /// The query after `?`, empty if there is none.
    pub query: String,
    /// The header `Range`, if the client sent one.
    pub range: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// How many bytes of the body were sent before it ended or the client went away.
    pub sent: u64,
    /// Whether the answer is over.
    pub finished: bool,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

/// What the threads share.
#[derive(Debug, Default)]
struct Shared {
    /// Longest prefix first.
    mounts: Vec<(String, PathBuf)>,
    faults: Mutex<HashMap<String, Fault>>,
    log: Mutex<Vec<Request>>,
    stopping: AtomicBool,
}

impl Server {
    /// Serves folders on `127.0.0.1:port`, any free port if `port` is 0. Each mount is a path
    /// that begins and ends with `/`, and the folder behind it; the longest match counts.
    ///
    /// # Errors
    /// If the port is taken, or the system has none to give.
    pub fn start(port: u16, mounts: &[(&str, &Path)]) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let mut mounts: Vec<_> = mounts
            .iter()
            .map(|(prefix, folder)| ((*prefix).to_owned(), folder.to_path_buf()))
            .collect();
        mounts.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let shared = Arc::new(Shared {
            mounts,
            ..Shared::default()
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self {
            address,
            shared,
            accepting: Some(accepting),
        })
    }

    /// The address of the root, such as `http://127.0.0.1:8080/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Makes answers for this path go wrong from now on, in place of what was set before.
    pub fn set_fault(&self, path: &str, fault: Fault) {
        lock(&self.shared.faults).insert(path.to_owned(), fault);
    }

    /// Makes every path answer as it should.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// All requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.log).clone()
    }

    /// Waits for as long as the server runs, which is for ever unless its socket fails.
    pub fn wait(mut self) {
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.accepting.take() {
            // Wakes the thread that waits for a connection.
            let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
            if woken.is_ok() {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn fault(&self, path: &str) -> Fault {
        lock(&self.faults).get(path).copied().unwrap_or_default()
    }

    /// The file behind a path, if the path belongs to a mount and does not climb out of it.
    fn locate(&self, path: &str) -> Option<PathBuf> {
        let (rest, folder) = self
            .mounts
            .iter()
            .find_map(|(prefix, folder)| Some((path.strip_prefix(prefix.as_str())?, folder)))?;
        let strange = |part: &str| part == ".." || part.contains(['\\', ':', '\0']);
        if rest.split('/').any(strange) {
            return None;
        }
        let file = folder.join(rest.trim_start_matches('/'));
        Some(if file.is_dir() {
            file.join("index.html")
        } else {
            file
        })
    }

    fn arrived(&self, request: Request) -> usize {
        let mut log = lock(&self.log);
        log.push(request);
        log.len() - 1
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut Request)) {
        if let Some(request) = lock(&self.log).get_mut(index) {
            change(request);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A client that goes away is its own business.
            let _ = http::answer(connection, &shared);
        });
    }
}

/// A panic elsewhere leaves these lists whole: each change is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
