//! What a file's bytes say before anything is decoded.

use crate::ImageError;

/// Most bytes of a file.
pub const MOST_BYTES: u64 = 64 << 20;

/// Least pixels of a side: below it every patch sees the same.
const LEAST_SIDE: usize = 4;

/// How many times as long as the other a side may be.
const MOST_RATIO: usize = 32;

/// Most pixels, in millions: decoded they take four bytes each, beside the model's weights.
const MOST_MEGAPIXELS: usize = 50;

/// Looks at a whole file: whether it is a picture, complete, and of a size that fits.
///
/// # Errors
/// Says what is wrong with it, in one sentence that names `file`.
pub fn check(file: &str, bytes: &[u8]) -> Result<(), ImageError> {
    let name = || file.to_owned();
    if bytes.len() as u64 > MOST_BYTES {
        let most = MOST_BYTES >> 20;
        return Err(ImageError::TooManyBytes { file: name(), most });
    }
    let whole = is_whole(bytes).ok_or_else(|| ImageError::NotAnImage { file: name() })?;
    // The size stands in front, so that it can be told of what is cut as well.
    match imagesize::blob_size(bytes) {
        Ok(size) => check_size(file, size.width, size.height)?,
        Err(_) if whole => {
            let reason = "its size cannot be found".into();
            return Err(ImageError::Damaged {
                file: name(),
                reason,
            });
        }
        Err(_) => {}
    }
    if whole {
        Ok(())
    } else {
        Err(ImageError::Truncated { file: name() })
    }
}

/// Whether a picture of so many pixels can be taken.
///
/// # Errors
/// Says why not, in one sentence that names `file`.
pub fn check_size(file: &str, width: usize, height: usize) -> Result<(), ImageError> {
    let file = || file.to_owned();
    let (short, long) = (width.min(height), width.max(height));
    if long > short.saturating_mul(MOST_RATIO) && long > LEAST_SIDE {
        return Err(ImageError::TooLong {
            file: file(),
            width,
            height,
            most: MOST_RATIO,
        });
    }
    if short < LEAST_SIDE {
        return Err(ImageError::TooSmall {
            file: file(),
            width,
            height,
            least: LEAST_SIDE,
        });
    }
    if width.saturating_mul(height) > MOST_MEGAPIXELS * 1_000_000 {
        return Err(ImageError::TooLarge {
            file: file(),
            width,
            height,
            most: MOST_MEGAPIXELS,
        });
    }
    Ok(())
}

/// Whether a picture is there to its end; nothing if it is of no known format. Decoders paint what is
/// missing grey, or refuse it, each in its own way, so this is found out first.
fn is_whole(bytes: &[u8]) -> Option<bool> {
    let contains = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|each| each == what);
    // Some programs leave bytes behind the end.
    let tail = &bytes[bytes.len().saturating_sub(1 << 16)..];
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(contains(tail, b"IEND"));
    }
    if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        // Short, as the same two bytes may stand in the picture's data.
        let tail = &tail[tail.len().saturating_sub(64)..];
        return Some(contains(tail, b"\0\x3b"));
    }
    if bytes.starts_with(b"\xff\xd8") {
        let scan = first_scan(bytes)?;
        return Some(contains(&bytes[scan..], b"\xff\xd9"));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        let length = bytes.get(4..8)?.try_into().ok().map(u32::from_le_bytes)?;
        return Some(bytes.len() as u64 >= u64::from(length) + 8);
    }
    if bytes.starts_with(b"BM") {
        let length = bytes.get(2..6)?.try_into().ok().map(u32::from_le_bytes)?;
        return Some(bytes.len() >= length as usize);
    }
    // What else a browser knows, such as AVIF, is for the browser to judge.
    imagesize::image_type(bytes).ok().map(|_| true)
}

/// Where a JPEG's compressed data begin. Previews in front of them have ends of their own.
fn first_scan(jpeg: &[u8]) -> Option<usize> {
    const SCAN: u8 = 0xda;
    let mut at = 2;
    loop {
        // A header that is cut counts as a scan without an end.
        let Some(&[mark, kind, high, low]) = jpeg.get(at..at + 4) else {
            return Some(jpeg.len());
        };
        if mark != 0xff {
            return None;
        }
        if kind == 0xff {
            at += 1;
            continue;
        }
        if kind == SCAN {
            return Some(at);
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(width: usize, height: usize) -> String {
        let error = check_size("a.png", width, height).err();
        error.map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn sizes_that_are_no_picture_or_do_not_fit_are_named() {
        assert_eq!(refused(640, 480), "");
        assert_eq!(refused(4, 128), "");
        assert!(refused(1, 1).contains("only 1 × 1 pixels"));
        assert!(refused(30_000, 2).contains("30000 × 2"));
        assert!(refused(10_000, 10_000).contains("at most 50 million"));
        assert!(refused(usize::MAX, usize::MAX).contains("at most 50 million"));
        assert!(refused(0, 0).contains("only 0 × 0"));
    }

    #[test]
    fn what_is_no_picture_says_so() {
        for bytes in [&b""[..], b"hello, this is text", &[0; 64]] {
            let error = check("notes.txt", bytes).err();
            assert!(matches!(error, Some(ImageError::NotAnImage { .. })));
        }
    }
}
