//! Cutting a text into sentences, so that putting their translations back leaves everything between
//! them as it was.

/// A sentence, or something that is none, and what is between it and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'t> {
    /// What stands there.
    pub text: &'t str,
    /// Whether there is anything in it to translate.
    pub is_sentence: bool,
}

/// Cuts a text in the language `language` (ISO 639-1, such as "en"). The pieces in a row are the text.
///
/// Line breaks end a sentence; abbreviations, initials and quotes do not. Numbers of lists stay as they
/// are.
pub fn pieces<'t>(language: &str, text: &'t str) -> Vec<Piece<'t>> {
    let mut found = Vec::new();
    let mut done = 0;
    let mut add = |from: usize, to: usize, is_sentence: bool| {
        if from < to {
            let text = &text[from..to];
            found.push(Piece { text, is_sentence });
        }
    };
    let mut start = 0;
    for line in text.split_inclusive(['\n', '\r', '\u{2028}', '\u{2029}', '\u{85}']) {
        for segment in sentencex::segment(language, line) {
            // Segments are parts of the line.
            let Some(at) = offset_in(line, segment) else {
                continue;
            };
            let trimmed = segment.trim();
            if !trimmed.chars().any(char::is_alphanumeric) || is_marker(trimmed) {
                continue;
            }
            let at = start + at + (segment.len() - segment.trim_start().len());
            add(done, at, false);
            done = at;
            for part in parts(trimmed) {
                let at = at + offset_in(trimmed, part).unwrap_or_default();
                add(done, at, false);
                add(at, at + part.len(), true);
                done = at + part.len();
            }
        }
        start += line.len();
    }
    add(done, text.len(), false);
    found
}

/// Bytes of a sentence beyond which it is cut, where there are words, before anybody makes tokens of it: that takes some
/// hundred bytes for each.
const MOST_BYTES: usize = 1 << 14;

/// A sentence, or the parts of one that is no sentence any more.
fn parts(sentence: &str) -> impl Iterator<Item = &str> {
    let mut rest = sentence;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len();
        if end > MOST_BYTES {
            end = (0..=MOST_BYTES).rfind(|at| rest.is_char_boundary(*at))?;
            end = rest[..end]
                .rfind(char::is_whitespace)
                .filter(|at| *at > 0)
                .unwrap_or(end);
        }
        let part = &rest[..end];
        rest = rest[end..].trim_start();
        Some(part)
    })
}

/// Whether this is the number or letter of an item of a list: it stays as it is.
fn is_marker(text: &str) -> bool {
    let Some(label) = text.strip_suffix(['.', ')']) else {
        return false;
    };
    let is_number = !label.is_empty() && label.chars().all(|c| c.is_ascii_digit());
    is_number || label.chars().count() == 1
}

/// Where a part of a text begins in it, if it is one.
fn offset_in(text: &str, part: &str) -> Option<usize> {
    let at = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    (at + part.len() <= text.len()).then_some(at)
}

#[cfg(test)]
mod tests;
