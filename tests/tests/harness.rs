//! The harness tested on a page of its own, so that a journey that fails points at the site.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use glassformer_tests::browser::{Browser, Error, Result};
use glassformer_tests::server::{Fault, Server};
use glassformer_tests::{TempDir, chrome};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Harness</title>
<style>
  body { background: white } @media (prefers-color-scheme: dark) { body { background: black } }
  #late { position: fixed; inset: 0 }
</style>
<textarea data-testid="input">old</textarea>
<button data-testid="run">Run</button> <button data-testid="off" disabled>Off</button>
<input type="file" data-testid="file" multiple>
<div data-testid="zone" style="height: 3em">Drop</div>
<button data-testid="shy" style="position: relative">Shy</button>
<div style="height: 3000px"></div><button data-testid="far">Far below</button>
<p data-testid="output"></p><p data-testid="keys"></p><p data-testid="from-worker"></p>
<script>
  const at = (name) => document.querySelector(`[data-testid="${name}"]`);
  at("run").onclick = (e) => at("output").textContent = e.isTrusted + ":" + at("input").value;
  at("shy").addEventListener("mouseenter", () => at("shy").style.left = "20em", { once: true });
  document.body.onclick = (e) => { if (e.target === document.body) at("output").textContent = "missed" };
  at("shy").onclick = () => at("output").textContent += "shy";
  at("far").onclick = () => at("output").textContent = "far";
  at("file").onchange = async (e) => {
    const files = [...e.target.files];
    at("output").textContent = (await Promise.all(files.map(async (f) => f.name + "=" + await f.text()))).join();
  };
  at("zone").ondragover = (e) => e.preventDefault();
  at("zone").ondrop = async (e) => {
    e.preventDefault();
    at("output").textContent = "dropped " + await e.dataTransfer.files[0].text();
  };
  addEventListener("keydown", (e) => { if (e.key === "Enter" && e.ctrlKey) at("keys").textContent += "Control+Enter;" });
  window.startWorker = () => {
    const worker = new Worker("worker.js");
    worker.onmessage = (e) => at("from-worker").textContent = e.data;
    return worker;
  };
</script>"#;

const WORKER: &str = r#"
console.log("worker", { toString: () => "here" }.toString(), 7);
fetch("data.txt").then((r) => r.text()).then(postMessage, (e) => postMessage("failed: " + e.message));
onmessage = (e) => {
  if (e.data !== "fetch again") throw new Error("worker " + e.data);
  fetch("data.txt").then((r) => r.text()).then(() => postMessage("again"), (e) => postMessage("failed: " + e.message));
};
"#;

/// The server, and the folder behind it.
fn site() -> (TempDir, Server) {
    let folder = TempDir::new("harness").unwrap();
    std::fs::write(folder.path().join("index.html"), PAGE).unwrap();
    std::fs::write(folder.path().join("worker.js"), WORKER).unwrap();
    std::fs::write(folder.path().join("data.txt"), "x".repeat(100_000)).unwrap();
    let server = Server::start(0, &[("/", folder.path())]).unwrap();
    (folder, server)
}

#[test]
fn drives_a_page() -> Result<()> {
    let Some(chrome) = chrome("harness::drives_a_page") else {
        return Ok(());
    };
    let (folder, server) = site();
    let browser = Browser::launch(&chrome)?;
    let mut page = browser.new_page()?;
    page.goto(&server.url())?;

    // Real input: trusted events, every kind of character, over what was there.
    page.fill("input", "Grüße, World! 日本 🦀\nA+b")?;
    page.click("run")?;
    assert_eq!(page.text("output")?, "true:Grüße, World! 日本 🦀\nA+b");
    page.press("Control+Enter")?;
    assert_eq!(page.text("keys")?, "Control+Enter;");
    page.fill("input", "")?;
    page.click("run")?;
    assert_eq!(page.text("output")?, "true:");
    page.click("far")?;
    assert_eq!(page.text("output")?, "far");
    // It steps aside when the mouse comes: nothing else gets the click.
    page.click("shy")?;
    assert_eq!(page.text("output")?, "farshy");

    // Files, from the dialog and dropped.
    let file = folder.path().join("note.md");
    std::fs::write(&file, "hello").unwrap();
    page.choose_files("file", &[&file])?;
    page.wait_for("at('output').textContent === 'note.md=hello'", 5 * SECOND)?;
    page.drop_files("zone", &[&file])?;
    page.wait_for("at('output').textContent === 'dropped hello'", 5 * SECOND)?;

    // Promises, values, and scripts that throw.
    assert_eq!(
        page.evaluate("Promise.resolve({ a: [1, null] })")?,
        json!({ "a": [1, null] })
    );
    let thrown = page.evaluate("nothing.here").unwrap_err().to_string();
    assert!(thrown.contains("nothing is not defined"), "{thrown}");
    page.expect_quiet(&server.url())?;

    // A page starts without what another one stored.
    page.evaluate("localStorage.setItem('kept', '1')")?;
    page.reload()?;
    assert_eq!(page.evaluate("localStorage.getItem('kept')")?, json!("1"));
    let mut other = browser.new_page()?;
    other.goto(&server.url())?;
    assert_eq!(other.evaluate("localStorage.getItem('kept')")?, json!(null));
    Ok(())
}

#[test]
fn says_why_something_cannot_be_used() -> Result<()> {
    let Some(chrome) = chrome("harness::says_why_something_cannot_be_used") else {
        return Ok(());
    };
    let (_folder, server) = site();
    let browser = Browser::launch(&chrome)?;
    let mut page = browser.new_page()?;
    page.goto(&server.url())?;
    page.patience = SECOND;
    page.evaluate("console.info('a hint')")?;
    let error = page.click("off").unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("it is disabled") && text.contains("a hint"),
        "{text}"
    );
    let picture = text
        .lines()
        .find_map(|l| l.strip_prefix("screenshot: "))
        .unwrap();
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
    std::fs::remove_file(picture).unwrap();
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<div id=late class=veil></div>')",
    )?;
    let text = page.click("run").unwrap_err().to_string();
    assert!(text.contains("covered by <div class='veil'>"), "{text}");
    let picture = text
        .lines()
        .find_map(|l| l.strip_prefix("screenshot: "))
        .unwrap();
    std::fs::remove_file(picture).unwrap();
    Ok(())
}

#[test]
fn hears_the_page_and_its_workers() -> Result<()> {
    let Some(chrome) = chrome("harness::hears_the_page_and_its_workers") else {
        return Ok(());
    };
    let (_folder, server) = site();
    let browser = Browser::launch(&chrome)?;
    let mut page = browser.new_page()?;
    page.goto(&server.url())?;
    page.evaluate("window.worker = startWorker(); 0")?;
    page.wait_for(
        "at('from-worker').textContent.length === 100000",
        10 * SECOND,
    )?;
    let url = server.url();
    let log = page.log()?;
    assert!(
        log.requests.contains(&format!("{url}data.txt")),
        "the worker's request: {:?}",
        log.requests
    );
    assert_eq!(log.workers, [format!("{url}worker.js")]);
    assert!(
        log.console.iter().any(|l| l.text == "worker here 7"),
        "{:?}",
        log.console
    );
    page.expect_quiet(&url)?;

    // Each of these alone must be seen.
    page.evaluate(
        "console.error('said', new Error('so')); setTimeout(() => { throw new Error('uncaught') })",
    )?;
    page.evaluate("worker.postMessage('broke')")?;
    page.evaluate("fetch('missing.txt').then(() => 0)")?;
    page.evaluate("fetch('http://another.example/x').catch(() => 0)")?;
    page.pause(SECOND)?;
    let text = page.expect_quiet(&url).unwrap_err().to_string();
    for part in [
        "said Error: so",
        "Error: uncaught",
        "worker broke",
        "404",
        "request to http://another.example/x",
    ] {
        assert!(text.contains(part), "{part} is missing from: {text}");
    }
    Ok(())
}

#[test]
fn sees_the_network_fail() -> Result<()> {
    let Some(chrome) = chrome("harness::sees_the_network_fail") else {
        return Ok(());
    };
    let (_folder, server) = site();
    let browser = Browser::launch(&chrome)?;
    let mut page = browser.new_page()?;
    page.goto(&server.url())?;
    let length =
        "fetch('data.txt', { cache: 'no-store' }).then((r) => r.text()).then((t) => t.length)";

    server.set_fault(
        "/data.txt",
        Fault {
            cut_after: Some(50_000),
            ..Fault::default()
        },
    );
    assert!(matches!(page.evaluate(length), Err(Error::Script { .. })));
    server.set_fault(
        "/data.txt",
        Fault {
            truncate_to: Some(50_000),
            ..Fault::default()
        },
    );
    assert_eq!(page.evaluate(length)?, json!(50_000));
    server.set_fault(
        "/data.txt",
        Fault {
            bytes_per_second: Some(200_000),
            ..Fault::default()
        },
    );
    let began = std::time::Instant::now();
    assert_eq!(page.evaluate(length)?, json!(100_000));
    let took = began.elapsed();
    assert!(took > SECOND / 3 && took < 5 * SECOND, "{took:?}");

    // A slow answer can be left while it is under way, and the server sees that.
    server.set_fault(
        "/data.txt",
        Fault {
            bytes_per_second: Some(20_000),
            ..Fault::default()
        },
    );
    let cancelled = "(async () => {
        const stop = new AbortController();
        setTimeout(() => stop.abort(), 300);
        return fetch('data.txt?cancelled', { signal: stop.signal }).then((r) => r.text()).then(() => 'whole', (e) => e.name);
    })()";
    assert_eq!(page.evaluate(cancelled)?, json!("AbortError"));
    page.pause(SECOND)?;
    let last = server.requests().pop().unwrap();
    assert!(last.finished && last.sent < 100_000, "{last:?}");

    // Without a network neither the page nor its worker gets anything.
    server.clear_faults();
    page.evaluate("window.worker = startWorker(); 0")?;
    page.wait_for(
        "at('from-worker').textContent.length === 100000",
        10 * SECOND,
    )?;
    page.set_offline(true)?;
    assert!(matches!(page.evaluate(length), Err(Error::Script { .. })));
    page.evaluate("worker.postMessage('fetch again')")?;
    page.wait_for(
        "at('from-worker').textContent.startsWith('failed')",
        5 * SECOND,
    )?;
    page.set_offline(false)?;
    page.evaluate("worker.postMessage('fetch again')")?;
    page.wait_for("at('from-worker').textContent === 'again'", 5 * SECOND)?;
    assert_eq!(page.evaluate(length)?, json!(100_000));
    Ok(())
}

#[test]
fn takes_pictures() -> Result<()> {
    let Some(chrome) = chrome("harness::takes_pictures") else {
        return Ok(());
    };
    let (folder, server) = site();
    let browser = Browser::launch(&chrome)?;
    let mut page = browser.new_page()?;
    page.goto(&server.url())?;
    let mut shot = |name: &str, width, height, dark| -> Result<(u32, u32, usize)> {
        let path = folder.path().join("pictures").join(name);
        page.screenshot(&path, width, height, dark)?;
        Ok(png_size(&path))
    };
    let light = shot("light.png", 390, 800, false)?;
    let dark = shot("dark.png", 390, 800, true)?;
    assert_eq!((light.0, light.1), (390, 800));
    let read = |name: &str| std::fs::read(folder.path().join("pictures").join(name)).unwrap();
    assert_ne!(
        read("light.png"),
        read("dark.png"),
        "{} and {} bytes",
        light.2,
        dark.2
    );
    assert_eq!(shot("wide.png", 2560, 600, false)?.0, 2560);
    assert_eq!(page.evaluate("innerWidth")?, json!(1280));
    Ok(())
}

/// Width, height and file size of a PNG.
fn png_size(path: &Path) -> (u32, u32, usize) {
    let bytes = std::fs::read(path).unwrap();
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20), bytes.len())
}
