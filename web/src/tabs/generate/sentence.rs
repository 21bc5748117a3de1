//! What screen readers hear while text is written: whole sentences, not every token.

use glassformer_engine::protocol::FinishReason;

use super::status::reason_in_words;
use crate::format;

/// Collects written text into whole sentences.
#[derive(Default)]
pub struct Sentence {
    text: String,
}

impl Sentence {
    /// Adds text; gives back a sentence when one is complete.
    pub fn push(&mut self, text: &str) -> Option<String> {
        self.text.push_str(text);
        let end = self.text.rfind(['.', '!', '?', '\n', '。', '！', '？'])?;
        // "3.14" and "e.g." go on: a sentence ends before white space, or is long enough.
        let after = end + self.text[end..].chars().next().map_or(1, char::len_utf8);
        let complete = self.text[after..].starts_with(char::is_whitespace)
            || self.text[end..].starts_with('\n');
        if !complete || self.text[..after].trim().is_empty() {
            return None;
        }
        let rest = self.text.split_off(after);
        Some(std::mem::replace(&mut self.text, rest).trim().to_string())
    }

    /// What is left, and how it ended.
    pub fn end(&self, reason: FinishReason, tokens: u32) -> String {
        let count = format::counted(tokens.into(), "token");
        format!(
            "{} Writing ended after {count}: {}.",
            self.text.trim(),
            reason_in_words(reason)
        )
        .trim_start()
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(pieces: &[&str]) -> Vec<String> {
        let mut sentence = Sentence::default();
        pieces
            .iter()
            .filter_map(|piece| sentence.push(piece))
            .collect()
    }

    #[test]
    fn sentences_are_spoken_when_they_are_whole() {
        assert_eq!(
            spoken(&["The sky", " is", " blue", ".", " It", " is", "."]),
            ["The sky is blue."]
        );
        assert_eq!(
            spoken(&["pi is 3", ".", "14", " or so"]),
            Vec::<String>::new()
        );
        assert_eq!(spoken(&["one\n", "\n", "two", "\n"]), ["one", "two"]);
        assert_eq!(spoken(&["空は青い。", " そう"]), ["空は青い。"]);
    }

    #[test]
    fn the_end_names_its_reason() {
        let mut sentence = Sentence::default();
        sentence.push(" and so on");
        let end = sentence.end(FinishReason::Stopped, 1);
        assert_eq!(end, "and so on Writing ended after 1 token: stopped.");
        assert_eq!(
            Sentence::default().end(FinishReason::End, 0),
            "Writing ended after 0 tokens: the model ended it."
        );
    }
}
