#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};

use super::*;
use crate::TempDir;

/// Sends a request head and returns the answer's head and body.
fn fetch(server: &Server, head: &str) -> (String, Vec<u8>) {
    let mut connection = TcpStream::connect(server.address).unwrap();
    connection
        .write_all(format!("{head}\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (
        String::from_utf8(answer[..split].to_vec()).unwrap(),
        answer[split + 4..].to_vec(),
    )
}

fn site() -> (TempDir, Server) {
    let folder = TempDir::new("server").unwrap();
    std::fs::create_dir_all(folder.path().join("site/deep")).unwrap();
    std::fs::create_dir_all(folder.path().join("models")).unwrap();
    std::fs::write(folder.path().join("secret"), "no").unwrap();
    std::fs::write(folder.path().join("site/index.html"), "<p>hello").unwrap();
    std::fs::write(folder.path().join("site/deep/a b.wasm"), "0123456789").unwrap();
    std::fs::write(folder.path().join("models/x.gguf"), "weights").unwrap();
    let site = folder.path().join("site");
    let models = folder.path().join("models");
    let server = Server::start(0, &[("/", &site), ("/models/", &models)]).unwrap();
    (folder, server)
}

#[test]
fn serves_files_with_their_types() {
    let (_folder, server) = site();
    let (head, body) = fetch(&server, "GET / HTTP/1.1");
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && head.contains("text/html"),
        "{head}"
    );
    assert_eq!(body, b"<p>hello");
    let (head, body) = fetch(&server, "GET /deep/a%20b.wasm?v=1 HTTP/1.1");
    assert!(
        head.contains("application/wasm") && head.contains("no-cache"),
        "{head}"
    );
    assert_eq!(body, b"0123456789");
    assert_eq!(fetch(&server, "GET /models/x.gguf HTTP/1.1").1, b"weights");
    let (head, body) = fetch(&server, "HEAD /models/x.gguf HTTP/1.1");
    assert!(head.contains("Content-Length: 7"), "{head}");
    assert!(body.is_empty());
    assert_eq!(server.requests()[1].path, "/deep/a b.wasm");
    assert_eq!(server.requests()[1].query, "v=1");
}

#[test]
fn stays_inside_its_folders() {
    let (_folder, server) = site();
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/models/..%2fsecret",
        "/models/../../secret",
        "/none",
    ] {
        let (head, _) = fetch(&server, &format!("GET {path} HTTP/1.1"));
        assert!(head.starts_with("HTTP/1.1 404"), "{path}: {head}");
    }
    let (head, _) = fetch(&server, "POST / HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
}

#[test]
fn answers_ranges() {
    let (_folder, server) = site();
    let part = |range: &str| {
        fetch(
            &server,
            &format!("GET /deep/a%20b.wasm HTTP/1.1\r\nRange: {range}"),
        )
    };
    let (head, body) = part("bytes=2-4");
    assert!(
        head.starts_with("HTTP/1.1 206") && head.contains("bytes 2-4/10"),
        "{head}"
    );
    assert_eq!(body, b"234");
    assert_eq!(part("bytes=7-").1, b"789");
    assert_eq!(part("bytes=-2").1, b"89");
    assert!(part("bytes=10-").0.starts_with("HTTP/1.1 416"));
}

#[test]
fn goes_wrong_as_told() {
    let (_folder, server) = site();
    let path = "/models/x.gguf";
    let with = |fault| {
        server.set_fault(path, fault);
        fetch(&server, "GET /models/x.gguf HTTP/1.1")
    };
    assert!(
        with(Fault {
            status: Some(500),
            ..Fault::default()
        })
        .0
        .starts_with("HTTP/1.1 500")
    );
    let (head, body) = with(Fault {
        cut_after: Some(3),
        ..Fault::default()
    });
    assert!(head.contains("Content-Length: 7"), "{head}");
    assert_eq!(body, b"wei");
    let (head, body) = with(Fault {
        truncate_to: Some(3),
        ..Fault::default()
    });
    assert!(head.contains("Content-Length: 3"), "{head}");
    assert_eq!(body, b"wei");
    let (_, body) = with(Fault {
        corrupt_at: Some(1),
        ..Fault::default()
    });
    assert_eq!(body, [b'w', !b'e', b'i', b'g', b'h', b't', b's']);
    let began = std::time::Instant::now();
    let (_, body) = with(Fault {
        bytes_per_second: Some(20),
        ..Fault::default()
    });
    assert_eq!(body, b"weights");
    assert!(
        began.elapsed() > Duration::from_millis(250),
        "{:?}",
        began.elapsed()
    );
    server.clear_faults();
    assert_eq!(fetch(&server, "GET /models/x.gguf HTTP/1.1").1, b"weights");
    let last = server.requests().pop().unwrap();
    assert_eq!((last.status, last.sent, last.finished), (200, 7, true));
}
