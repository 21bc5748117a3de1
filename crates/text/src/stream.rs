use crate::bytes;
use crate::tokenizer::{Decoding, Tokenizer};

/// Tokens after which a text that still ends in U+FFFD is taken as it is: a character has at most four bytes.
const LONGEST_CHARACTER: usize = 4;

/// Decodes one id at a time, never showing half a character. For byte-level tokenizers what it returns, joined, equals
/// [`Tokenizer::decode`] of all ids.
#[derive(Debug, Clone)]
pub struct TextStream {
    tokenizer: Tokenizer,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Bytes of an unfinished character.
    Bytes(Vec<u8>),
    /// The ids since the last but one piece of text, how many of them made that piece, and its text. A decoder that
    /// treats the first token of a text in its own way needs that piece before it.
    Window {
        ids: Vec<u32>,
        shown: usize,
        text: String,
    },
}

impl TextStream {
    pub(crate) fn new(tokenizer: Tokenizer) -> Self {
        let state = match tokenizer.decoding() {
            Decoding::ByteLevel => State::Bytes(Vec::new()),
            Decoding::Library => State::Window {
                ids: Vec::new(),
                shown: 0,
                text: String::new(),
            },
        };
        Self { tokenizer, state }
    }

    /// Takes the next id; returns the text that is now certain, which may be empty. Control tokens give no text.
    pub fn push(&mut self, id: u32) -> String {
        match &mut self.state {
            State::Bytes(pending) => {
                self.tokenizer.append_bytes(id, pending);
                bytes::take_text(pending)
            }
            State::Window { ids, shown, text } => {
                if self.tokenizer.is_special(id) {
                    return String::new();
                }
                ids.push(id);
                let whole = self.tokenizer.decode(ids);
                if whole.ends_with(char::REPLACEMENT_CHARACTER)
                    && ids.len() - *shown < LONGEST_CHARACTER
                {
                    return String::new();
                }
                let new = after(&whole, text);
                if !new.is_empty() {
                    ids.drain(..*shown);
                    *shown = ids.len();
                    *text = self.tokenizer.decode(ids);
                }
                new
            }
        }
    }

    /// Ends the text: returns what was kept back, an unfinished character as U+FFFD. The stream is then as new.
    pub fn finish(&mut self) -> String {
        let rest = match &self.state {
            State::Bytes(pending) => String::from_utf8_lossy(pending).into_owned(),
            State::Window { ids, text, .. } => after(&self.tokenizer.decode(ids), text),
        };
        *self = Self::new(self.tokenizer.clone());
        rest
    }
}

/// What `whole` has beyond `shown`.
fn after(whole: &str, shown: &str) -> String {
    whole.get(shown.len()..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
