//! As much of HTTP/1.1 as a browser needs to fetch files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::{Fault, Request, Shared};

/// Longer request heads are not from a browser that fetches files.
const MAX_HEAD: u64 = 64 * 1024;
/// How often a slow answer sends a piece.
const BEAT: Duration = Duration::from_millis(20);

/// Reads one request and answers it.
pub(super) fn answer(mut connection: TcpStream, shared: &Shared) -> io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(60)))?;
    connection.set_nodelay(true)?;
    let Some(mut request) = read_head(&connection)? else {
        return Ok(());
    };
    let fault = shared.fault(&request.path);

    let body = match open(&request, fault, shared) {
        Ok(body) => body,
        Err(status) => {
            request.status = status;
            request.finished = true;
            shared.arrived(request);
            let head = format!(
                "HTTP/1.1 {}\r\nContent-Length: 0\r\n{ALWAYS}\r\n",
                line(status)
            );
            return connection.write_all(head.as_bytes());
        }
    };
    request.status = if body.partial { 206 } else { 200 };
    let mut head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nAccept-Ranges: bytes\r\n{ALWAYS}",
        line(request.status),
        body.media_type,
        body.end - body.start,
    );
    if body.partial {
        head += &format!(
            "Content-Range: bytes {}-{}/{}\r\n",
            body.start,
            body.end - 1,
            body.total
        );
    }
    head += "\r\n";
    let only_head = request.method == "HEAD";
    let path = request.path.clone();
    let index = shared.arrived(request);
    connection.write_all(head.as_bytes())?;
    let sent = if only_head {
        Ok(())
    } else {
        send(&mut connection, body, fault, shared, &path, index)
    };
    shared.update(index, |request| request.finished = true);
    sent
}

/// Headers of every answer. Nothing is kept without asking, so a rebuilt page is seen at once.
const ALWAYS: &str = "Cache-Control: no-cache\r\nConnection: close\r\n";

/// The request without its answer, or nothing if the client sent none.
fn read_head(connection: &TcpStream) -> io::Result<Option<Request>> {
    let mut lines = BufReader::new(connection.take(MAX_HEAD)).lines();
    let Some(first) = lines.next().transpose()? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut range = None;
    for header in lines {
        let header = header?;
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("range")
        {
            range = Some(value.trim().to_owned());
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Some(Request {
        method: method.to_owned(),
        path: resolve_escapes(path),
        query: query.to_owned(),
        range,
        status: 0,
        sent: 0,
        finished: false,
    }))
}

/// Replaces `%41` by `A`; what is no escape stays as it is.
fn resolve_escapes(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What will be sent: the bytes `start..end` of a file that looks `total` bytes long.
struct Body {
    file: File,
    media_type: &'static str,
    start: u64,
    end: u64,
    total: u64,
    partial: bool,
}

/// Finds what the request asks for, or the status that says why not.
fn open(request: &Request, fault: Fault, shared: &Shared) -> Result<Body, u16> {
    if let Some(status) = fault.status {
        return Err(status);
    }
    if request.method != "GET" && request.method != "HEAD" {
        return Err(405);
    }
    let path = shared.locate(&request.path).ok_or(404_u16)?;
    let file = File::open(&path).map_err(|_| 404_u16)?;
    let length = file.metadata().map_err(|_| 500_u16)?.len();
    let total = fault.truncate_to.map_or(length, |end| end.min(length));
    let asked = match &request.range {
        Some(range) => parse_range(range, total),
        None => Range::Whole,
    };
    let (start, end, partial) = match asked {
        Range::Whole => (0, total, false),
        Range::Part(start, end) => (start, end, true),
        Range::Outside => return Err(416),
    };
    Ok(Body {
        file,
        media_type: media_type(&path),
        start,
        end,
        total,
        partial,
    })
}

enum Range {
    Whole,
    Part(u64, u64),
    Outside,
}

/// Understands one range, `bytes=first-last`, `bytes=first-` or `bytes=-count`. Several at once are
/// answered with the whole file, which a server may do.
fn parse_range(header: &str, total: u64) -> Range {
    let parse = || -> Option<(u64, u64)> {
        let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
        if first.is_empty() {
            return Some((total.saturating_sub(last.parse().ok()?), total));
        }
        let first: u64 = first.parse().ok()?;
        let last: u64 = if last.is_empty() {
            u64::MAX
        } else {
            last.parse().ok()?
        };
        (first <= last).then(|| (first, last.saturating_add(1).min(total)))
    };
    match parse() {
        None => Range::Whole,
        Some((start, end)) if start < end => Range::Part(start, end),
        Some(_) => Range::Outside,
    }
}

/// Sends the body, as slowly and as wrongly as the path's fault says.
fn send(
    connection: &mut TcpStream,
    mut body: Body,
    fault: Fault,
    shared: &Shared,
    path: &str,
    index: usize,
) -> io::Result<()> {
    body.file.seek(SeekFrom::Start(body.start))?;
    let stop = fault
        .cut_after
        .map_or(body.end, |n| body.end.min(body.start.saturating_add(n)));
    let mut at = body.start;
    let mut buffer = vec![0; 256 * 1024];
    while at < stop && !shared.stopping.load(Ordering::Relaxed) {
        let began = Instant::now();
        let speed = shared.fault(path).bytes_per_second;
        let most = match speed {
            Some(speed) => (speed * BEAT.as_millis() as u64 / 1000).clamp(1, buffer.len() as u64),
            None => buffer.len() as u64,
        };
        let wanted = most.min(stop - at) as usize;
        let count = body.file.read(&mut buffer[..wanted])?;
        if count == 0 {
            break;
        }
        let piece = &mut buffer[..count];
        if let Some(bad) = fault.corrupt_at
            && let Some(byte) = bad.checked_sub(at).and_then(|i| piece.get_mut(i as usize))
        {
            *byte = !*byte;
        }
        connection.write_all(piece)?;
        at += count as u64;
        shared.update(index, |request| request.sent += count as u64);
        if let Some(speed) = speed {
            let due = Duration::from_secs_f64(count as f64 / speed.max(1) as f64);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
    Ok(())
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "webmanifest") => "application/json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt" | "md" | "wgsl") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn line(status: u16) -> String {
    let reason = match status {
        200 => "OK",
        206 => "Partial Content",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    };
    format!("{status} {reason}")
}
