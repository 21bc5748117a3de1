//! Text to token ids and back.
//!
//! A [`Tokenizer`] is made from the vocabulary in a GGUF file's metadata, from a `tokenizer.json`, from a SentencePiece
//! model, or from that and the `vocab.json` of MarianMT. It encodes through
//! the `tokenizers` crate, decodes whole sequences or one token at a time ([`TextStream`]), and renders the model's chat
//! template ([`Tokenizer::chat`]). [`StopStrings`] ends a generated text at a given string.
//!
//! Ids are `u32`; a sequence of them is `[seq]`.

mod bytes;
mod chat;
mod error;
mod gguf;
mod json;
mod lexicon;
mod pieces;
mod pretokenizer;
mod spm;
mod stop;
mod stream;
#[cfg(test)]
mod testing;
mod tokenizer;

pub use chat::Message;
pub use error::TextError;
pub use gguf::GgufVocabulary;
pub use pieces::{MASK, Piece};
pub use stop::{StopResult, StopStrings};
pub use stream::TextStream;
pub use tokenizer::{SpecialTokens, Tokenizer};
