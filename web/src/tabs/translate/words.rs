//! The words of a sentence, and how its tokens' attention becomes that of words.

use std::ops::Range;

use glassformer_engine::protocol::{Alternative, TranslateToken};

/// A word, or a run of punctuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// White space before it.
    pub before: String,
    /// What stands there.
    pub text: String,
    /// Its tokens.
    pub tokens: Range<usize>,
}

/// The tokens of a sentence without its end; every source has one.
pub fn of_source(tokens: &[TranslateToken]) -> &[TranslateToken] {
    tokens.split_last().map_or(&[], |(_, tokens)| tokens)
}

/// The tokens of a translation without its end.
pub fn of_target(found: &Alternative) -> &[TranslateToken] {
    if found.ended {
        of_source(&found.tokens)
    } else {
        &found.tokens
    }
}

/// The words of a text; in a row they are the text.
///
/// A vocabulary may write what it reads otherwise (ligatures, full-width letters). Then words are told
/// apart by white space alone, and where that does not help, the text is one word.
pub fn words(text: &str, tokens: &[TranslateToken]) -> Vec<Word> {
    let spaced = by_space(tokens);
    let joined: String = tokens.iter().map(|token| token.text.as_str()).collect();
    let lead = joined.len() - joined.trim_start().len();
    if joined[lead..] == *text {
        let groups = spaced.into_iter().flat_map(|word| parts(tokens, word));
        return groups.map(|group| exact(tokens, group)).collect();
    }
    let mut words = Vec::new();
    let mut rest = text;
    for word in text.split_whitespace() {
        let at = rest.find(word).unwrap_or(0);
        let index = words.len();
        words.push(Word {
            before: rest[..at].to_owned(),
            text: word.to_owned(),
            tokens: spaced.get(index).cloned().unwrap_or_default(),
        });
        rest = &rest[at + word.len()..];
    }
    if words.len() == spaced.len() {
        return words;
    }
    vec![Word {
        before: String::new(),
        text: text.to_owned(),
        tokens: 0..tokens.len(),
    }]
}

fn exact(tokens: &[TranslateToken], group: Range<usize>) -> Word {
    let whole: String = tokens[group.clone()]
        .iter()
        .map(|t| t.text.as_str())
        .collect();
    let text = whole.trim_start();
    let space = &whole[..whole.len() - text.len()];
    Word {
        // The first word's space is the vocabulary's, not the text's.
        before: if group.start == 0 { "" } else { space }.to_owned(),
        text: text.to_owned(),
        tokens: group,
    }
}

/// Tokens up to the next that begins with a space.
fn by_space(tokens: &[TranslateToken]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        match groups.last_mut() {
            Some(last) if !token.text.starts_with(' ') => last.end = i + 1,
            _ => groups.push(i..i + 1),
        }
    }
    groups
}

/// Punctuation around a word apart from it.
fn parts(tokens: &[TranslateToken], word: Range<usize>) -> Vec<Range<usize>> {
    let letters = |i: &usize| tokens[*i].text.chars().any(char::is_alphanumeric);
    let Some(first) = word.clone().find(letters) else {
        return vec![word];
    };
    let last = word.clone().rev().find(letters).unwrap_or(first);
    [word.start..first, first..last + 1, last + 1..word.end]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect()
}

/// Natural log of the probability of a word of a translation: the sum over its tokens.
pub fn log_prob(found: &Alternative, word: &Word) -> f64 {
    let tokens = found.tokens.get(word.tokens.clone()).unwrap_or_default();
    tokens.iter().filter_map(|token| token.log_prob).sum()
}

/// How much of its attention a word of the translation gave to each word of the source: the mean over
/// its tokens of the sums over theirs.
pub fn across(alignment: &[Vec<f32>], target: &Word, source: &[Word]) -> Vec<f32> {
    let rows = alignment.get(target.tokens.clone()).unwrap_or_default();
    let count = rows.len().max(1) as f32;
    let weight = |word: &Word| {
        let of = |row: &Vec<f32>| -> f32 {
            row.get(word.tokens.clone())
                .unwrap_or_default()
                .iter()
                .sum()
        };
        rows.iter().map(of).sum::<f32>() / count
    };
    source.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(texts: &[&str]) -> Vec<TranslateToken> {
        let token = |text: &&str| TranslateToken {
            id: 7,
            text: (*text).into(),
            log_prob: None,
        };
        texts.iter().map(token).collect()
    }

    fn shown(text: &str, pieces: &[&str]) -> Vec<(String, String, usize)> {
        let words = words(text, &tokens(pieces)).into_iter();
        words
            .map(|word| (word.before, word.text, word.tokens.len()))
            .collect()
    }

    fn word(before: &str, text: &str, count: usize) -> (String, String, usize) {
        (before.into(), text.into(), count)
    }

    #[test]
    fn pieces_make_words_and_punctuation_stands_apart() {
        let found = shown(
            "It's “well-known”, ok.",
            &[
                " It", "'", "s", " “", "well", "-", "known", "”", ",", " ok", ".",
            ],
        );
        let expected = [
            word("", "It's", 3),
            word(" ", "“", 1),
            word("", "well-known", 3),
            word("", "”,", 2),
            word(" ", "ok", 1),
            word("", ".", 1),
        ];
        assert_eq!(found, expected);
        assert_eq!(shown("…", &[" …"]), [word("", "…", 1)]);
        assert_eq!(shown("", &[]), []);
    }

    #[test]
    fn a_vocabulary_that_writes_otherwise_leaves_the_text_as_it_is() {
        let found = shown("ﬁne  day", &[" fi", "ne", " day"]);
        assert_eq!(found, [word("", "ﬁne", 2), word("  ", "day", 1)]);
        let found = shown("a\u{3000}b c", &[" ab", " c"]);
        assert_eq!(found, [word("", "a\u{3000}b c", 2)]);
    }

    #[test]
    fn attention_of_words_keeps_its_sum() {
        let source = words("ab c", &tokens(&[" a", "b", " c"]));
        let target = words("xy", &tokens(&[" x", "y"]));
        let alignment = vec![vec![0.5, 0.25, 0.25, 0.0], vec![0.0, 0.25, 0.5, 0.25]];
        let weights = across(&alignment, &target[0], &source);
        assert_eq!(weights, [0.5, 0.375]);
        assert_eq!(across(&[], &target[0], &source), [0.0, 0.0]);
    }
}
