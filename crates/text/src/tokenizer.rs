use std::sync::Arc;

use crate::chat::{self, TemplateContext};
use crate::lexicon::Lexicon;
use crate::{Message, TextError, TextStream, bytes};

/// Control tokens that end a turn or a text, whatever the metadata says about the end token.
const TURN_ENDS: &[&str] = &[
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end_of_turn|>",
    "<|end|>",
    "<|return|>",
    "<end_of_turn>",
    "<EOT>",
    "[EOS]",
    "</s>",
];

/// Bytes of text encoded at a time where a text can be cut. The library needs up to 250 bytes for each byte of text, and
/// memory that a browser has once given to WebAssembly is never returned.
const PIECE: usize = 1 << 15;

/// Which special tokens an encoding gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialTokens {
    /// Those that the model wants around a text (beginning, end), and those written in the text.
    Add,
    /// Only those written in the text, as for a rendered chat template.
    Parse,
}

/// Turns text into ids and back. Cloning is cheap and shares the vocabulary.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
}

/// How ids become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoding {
    /// Tokens are bytes written in the byte-level alphabet.
    ByteLevel,
    /// The `tokenizers` crate's decoder decides (WordPiece, SentencePiece, …).
    Library,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpecialIds {
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub unknown: Option<u32>,
    pub padding: Option<u32>,
    pub mask: Option<u32>,
}

/// What a reader of some format has to find out.
#[derive(Debug)]
pub(crate) struct Parts {
    pub library: tokenizers::Tokenizer,
    pub decoding: Decoding,
    pub size: usize,
    /// Ids left out of text, ascending.
    pub hidden: Vec<u32>,
    /// Ids whose token is plain text and not in the byte-level alphabet, ascending.
    pub literal: Vec<u32>,
    /// Whether encoding a text is encoding its [`pieces`] one after the other.
    pub cut_at_spaces: bool,
    pub special: SpecialIds,
    pub add_bos: bool,
    pub add_eos: bool,
    pub chat_template: Option<String>,
    /// The numbers of what the library cuts a text into, where they are not the library's.
    pub lexicon: Option<Lexicon>,
}

#[derive(Debug)]
struct Inner {
    parts: Parts,
    end_ids: Vec<u32>,
}

impl Tokenizer {
    pub(crate) fn assemble(parts: Parts) -> Self {
        let mut end_ids: Vec<u32> = parts.special.eos.into_iter().collect();
        let named = |name: &&str| parts.library.token_to_id(name);
        for id in TURN_ENDS.iter().filter_map(named) {
            if parts.lexicon.is_none()
                && parts.hidden.binary_search(&id).is_ok()
                && !end_ids.contains(&id)
            {
                end_ids.push(id);
            }
        }
        Self {
            inner: Arc::new(Inner { parts, end_ids }),
        }
    }

    fn parts(&self) -> &Parts {
        &self.inner.parts
    }

    /// Ids of `text`: `[seq]`. A special token written in the text (`<|im_start|>`) becomes its id. A byte for which
    /// the vocabulary has no token leaves no id.
    ///
    /// # Errors
    /// The text cannot be encoded, as when the vocabulary lacks the unknown token it needs.
    pub fn encode(&self, text: &str, special: SpecialTokens) -> Result<Vec<u32>, TextError> {
        let parts = self.parts();
        let add = special == SpecialTokens::Add;
        let mut ids: Vec<u32> = parts
            .special
            .bos
            .filter(|_| add && parts.add_bos)
            .into_iter()
            .collect();
        if parts.cut_at_spaces {
            for piece in pieces(text, PIECE) {
                self.append_ids(piece, false, &mut ids)?;
            }
        } else {
            self.append_ids(text, add, &mut ids)?;
        }
        ids.extend(parts.special.eos.filter(|_| add && parts.add_eos));
        Ok(ids)
    }

    fn append_ids(
        &self,
        text: &str,
        add_special_tokens: bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        let Parts {
            library, lexicon, ..
        } = self.parts();
        let refused = |error: tokenizers::Error| TextError::Encode {
            reason: error.to_string(),
        };
        let Some(lexicon) = lexicon else {
            let encoding = library
                .encode_fast(text, add_special_tokens)
                .map_err(refused)?;
            ids.extend_from_slice(encoding.get_ids());
            return Ok(());
        };
        // What is fast leaves the pieces out.
        let (language, text) = lexicon.language(text);
        let encoding = library.encode(text, add_special_tokens).map_err(refused)?;
        ids.extend(language.map(|(id, _)| id));
        ids.extend(encoding.get_tokens().iter().map(|piece| lexicon.id(piece)));
        Ok(())
    }

    /// The token of a language before a text, its bytes there, and the text behind it.
    pub(crate) fn language<'t>(&self, text: &'t str) -> (Option<(u32, usize)>, &'t str) {
        match &self.parts().lexicon {
            Some(lexicon) => lexicon.language(text),
            None => (None, text),
        }
    }

    /// Number of tokens.
    pub fn vocab_size(&self) -> usize {
        self.parts().size
    }

    /// Whether `id` is a control token, one that [`Tokenizer::decode`] leaves out.
    pub fn is_special(&self, id: u32) -> bool {
        self.parts().hidden.binary_search(&id).is_ok()
    }

    /// The token put before a text, where the vocabulary names one.
    pub fn bos_id(&self) -> Option<u32> {
        self.parts().special.bos
    }

    /// Tokens at which generation ends: the vocabulary's end token first, then control tokens known to end a turn.
    pub fn end_ids(&self) -> &[u32] {
        &self.inner.end_ids
    }

    /// One token shown on its own: spaces kept, control tokens by name, bytes that are no whole character as `<0xE2>`.
    /// Empty for an id outside the vocabulary.
    pub fn token_text(&self, id: u32) -> String {
        let Some(token) = self.token(id) else {
            return String::new();
        };
        if self.is_special(id) || self.parts().literal.binary_search(&id).is_ok() {
            return match token.strip_prefix(crate::spm::UNTYPED) {
                Some(name) => name.to_owned(),
                None => token,
            };
        }
        match self.parts().decoding {
            Decoding::ByteLevel => {
                let mut spelled = Vec::with_capacity(token.len());
                bytes::append(&token, &mut spelled);
                bytes::visible_text(&spelled)
            }
            // SentencePiece writes a space as U+2581.
            Decoding::Library => token.replace('\u{2581}', " "),
        }
    }

    /// Text of `ids` (`[seq]`), without control tokens and without ids outside the vocabulary. Bytes that are no
    /// character, as where a sequence is cut off, become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        match self.parts().decoding {
            Decoding::ByteLevel => {
                let mut spelled = Vec::with_capacity(4 * ids.len());
                for &id in ids {
                    self.append_bytes(id, &mut spelled);
                }
                String::from_utf8(spelled)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
            }
            Decoding::Library => {
                let told = ids.iter().copied().filter(|&id| !self.is_special(id));
                if let Some(lexicon) = &self.parts().lexicon {
                    return lexicon.decode(told);
                }
                let told: Vec<u32> = told.collect();
                let decoded = self.parts().library.decode(&told, true);
                decoded.unwrap_or_else(|_| told.iter().map(|&id| self.token_text(id)).collect())
            }
        }
    }

    /// A token as its vocabulary has it.
    fn token(&self, id: u32) -> Option<String> {
        match &self.parts().lexicon {
            Some(lexicon) => lexicon.token(id).map(str::to_owned),
            None => self.parts().library.id_to_token(id),
        }
    }

    /// The vocabulary's number of what the library cut out of a text.
    pub(crate) fn own_id(&self, id: u32, piece: &str) -> u32 {
        match &self.parts().lexicon {
            Some(lexicon) => lexicon.id(piece),
            None => id,
        }
    }

    pub(crate) fn library(&self) -> &tokenizers::Tokenizer {
        &self.parts().library
    }

    pub(crate) fn special_ids(&self) -> SpecialIds {
        self.parts().special
    }

    /// The tokens before and behind every text that the library does not put there itself.
    pub(crate) fn added_around(&self) -> [Option<u32>; 2] {
        let parts = self.parts();
        [
            parts.special.bos.filter(|_| parts.add_bos),
            parts.special.eos.filter(|_| parts.add_eos),
        ]
    }

    pub(crate) fn decoding(&self) -> Decoding {
        self.parts().decoding
    }

    /// Appends what `id` contributes to a byte-level text.
    pub(crate) fn append_bytes(&self, id: u32, out: &mut Vec<u8>) {
        if self.is_special(id) {
            return;
        }
        if let Some(token) = self.token(id) {
            if self.parts().literal.binary_search(&id).is_ok() {
                out.extend_from_slice(token.as_bytes());
            } else {
                bytes::append(&token, out);
            }
        }
    }

    /// A decoder that takes one id at a time.
    pub fn stream(&self) -> TextStream {
        TextStream::new(self.clone())
    }

    /// The Jinja source of the chat template, if the model has one.
    pub fn chat_template(&self) -> Option<&str> {
        self.parts().chat_template.as_deref()
    }

    /// The prompt that the chat template makes of `messages`; encode it with [`SpecialTokens::Parse`].
    /// `add_generation_prompt` ends it where the assistant is to speak.
    ///
    /// # Errors
    /// There is no template, it is malformed, or it refuses these messages.
    pub fn chat(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, TextError> {
        let source = self.chat_template().ok_or(TextError::NoChatTemplate)?;
        let name = |id: Option<u32>| id.and_then(|id| self.token(id));
        let special = self.parts().special;
        chat::render(
            source,
            &TemplateContext {
                messages,
                tools: None,
                documents: None,
                add_generation_prompt,
                bos_token: name(special.bos),
                eos_token: name(special.eos),
                unk_token: name(special.unknown),
                pad_token: name(special.padding),
            },
        )
    }
}

/// Cuts `text` into pieces of about `size` bytes, only before a single space between two visible characters. Every
/// pattern in [`crate::pretokenizer`] starts a word there and none looks past it, so the words stay the same.
fn pieces(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let is_cut = |at: usize| {
            let visible = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
            rest.as_bytes()[at] == b' '
                && visible(rest[..at].chars().next_back())
                && visible(rest[at + 1..].chars().next())
        };
        let cut = (size..rest.len())
            .find(|&at| is_cut(at))
            .unwrap_or(rest.len());
        let (piece, after) = rest.split_at(cut);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests;
