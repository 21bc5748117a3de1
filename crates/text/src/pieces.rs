//! Text as tokens that know where in it they stand.

use crate::{TextError, Tokenizer};

/// How people write a mask, whatever the model calls its own.
pub const MASK: &str = "[MASK]";

/// A token and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Vocabulary id.
    pub id: u32,
    /// 1 in the second sentence of models that know two, else 0.
    pub type_id: u32,
    /// Which sentence it is part of, 0 or 1; `None` for what the tokenizer puts around them.
    pub sentence: Option<usize>,
    /// Where it stands in its sentence, in bytes; empty for what the tokenizer put there.
    pub span: std::ops::Range<usize>,
    /// Which word of its sentence it is a part of, if it is of one.
    pub word: Option<u32>,
}

impl Tokenizer {
    /// Tokens of a sentence, or of two, with the special tokens that the model wants around them:
    /// `[seq]`.
    ///
    /// # Errors
    /// The text cannot be encoded.
    pub fn pieces(&self, first: &str, second: Option<&str>) -> Result<Vec<Piece>, TextError> {
        let library = self.library();
        let (language, first) = self.language(first);
        let before = language.map_or(0, |(_, bytes)| bytes);
        let encoding = match second {
            Some(second) => library.encode((first, second), true),
            None => library.encode(first, true),
        };
        let encoding = encoding.map_err(|error| TextError::Encode {
            reason: error.to_string(),
        })?;
        let sentences = encoding.get_sequence_ids();
        let pieces = encoding.get_ids().iter().enumerate().map(|(i, &id)| {
            let (start, end) = encoding.get_offsets()[i];
            let moved = if sentences[i] == Some(0) { before } else { 0 };
            Piece {
                id: self.own_id(id, &encoding.get_tokens()[i]),
                type_id: encoding.get_type_ids()[i],
                sentence: sentences[i],
                span: start + moved..end + moved,
                word: encoding.get_word_ids()[i],
            }
        });
        let around = |id: Option<u32>| {
            id.map(|id| Piece {
                id,
                type_id: 0,
                sentence: None,
                span: 0..0,
                word: None,
            })
        };
        let [begin, end] = self.added_around().map(around);
        let language = language.map(|(id, bytes)| Piece {
            id,
            type_id: 0,
            sentence: Some(0),
            span: 0..bytes,
            word: None,
        });
        let before = begin.into_iter().chain(language);
        Ok(before.chain(pieces).chain(end).collect())
    }

    /// The token behind which a word is to be found, where the model has one.
    pub fn mask_id(&self) -> Option<u32> {
        self.special_ids().mask
    }

    /// The token for what the vocabulary lacks, where there is one.
    pub fn unknown_id(&self) -> Option<u32> {
        self.special_ids().unknown
    }

    /// Into how many tokens the model takes a word in the middle of a text.
    ///
    /// # Errors
    /// The word cannot be encoded.
    pub fn pieces_of_word(&self, word: &str) -> Result<usize, TextError> {
        let pieces = self.pieces(&format!(" {word}"), None)?;
        let own = pieces.iter().filter(|piece| piece.sentence.is_some());
        Ok(own.count())
    }

    /// What a token adds to a text when it takes the place of a mask, and whether it goes on with the
    /// word before it (`##ing`).
    pub fn piece_text(&self, id: u32) -> (String, bool) {
        let text = self.token_text(id);
        match text.strip_prefix("##") {
            Some(rest) if self.mask_id().is_some() && !rest.is_empty() => (rest.to_owned(), true),
            _ => (text, false),
        }
    }

    /// The same text with the model's own mask where people wrote [`MASK`].
    pub fn with_own_masks(&self, text: &str) -> String {
        match self.mask_id() {
            Some(id) => text.replace(MASK, &self.token_text(id)),
            None => text.to_owned(),
        }
    }
}
