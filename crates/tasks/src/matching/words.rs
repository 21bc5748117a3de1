//! The words of a text, and the text without each.

use std::ops::Range;

/// Most words that are left out one by one.
pub const MOST_WORDS: usize = 32;

/// The words of a text as byte ranges, at most [`MOST_WORDS`], each with the text that is left without it;
/// nothing where no other word is left.
pub fn words(text: &str) -> Vec<(Range<usize>, Option<String>)> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, c) in text.char_indices() {
        match found.last_mut() {
            _ if c.is_whitespace() => {}
            Some(last) if last.end == at => last.end = at + c.len_utf8(),
            _ => found.push(at..at + c.len_utf8()),
        }
    }
    found.truncate(MOST_WORDS);
    let without = |word: &Range<usize>| {
        let rest = format!(
            "{} {}",
            text[..word.start].trim_end(),
            text[word.end..].trim_start()
        );
        let rest = rest.trim().to_owned();
        (!rest.is_empty()).then_some(rest)
    };
    found
        .iter()
        .map(|word| (word.clone(), without(word)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_left_out_once() {
        let found = words("a  red café");
        let texts: Vec<_> = found.iter().map(|(_, rest)| rest.as_deref()).collect();
        assert_eq!(texts, [Some("red café"), Some("a café"), Some("a  red")]);
        assert_eq!(found[2].0, 7..12);
        assert_eq!(words("cat"), [(0..3, None)]);
        assert!(words("  ").is_empty());
        assert_eq!(words(&"a ".repeat(100)).len(), MOST_WORDS);
    }
}
