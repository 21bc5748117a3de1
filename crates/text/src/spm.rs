//! A tokenizer from a SentencePiece model (`.spm`), read directly.

use prost::Message as _;
use proto::{ModelProto, Piece, kind};
use tokenizers::decoders::DecoderWrapper;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::precompiled::Precompiled;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{NormalizerWrapper, Replace, Sequence, Strip};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};

use crate::TextError;
use crate::tokenizer::{Decoding, Parts, SpecialIds, Tokenizer};

/// SentencePiece's space.
const SPACE: char = '\u{2581}';

/// Put before pieces that text must never be cut into, such as `</s>`: a noncharacter, so that nobody
/// can type them.
pub(crate) const UNTYPED: char = '\u{ffff}';

/// The part of `sentencepiece_model.proto` that matters here.
mod proto {
    /// `ModelProto`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ModelProto {
        #[prost(message, repeated, tag = "1")]
        pub pieces: Vec<Piece>,
        #[prost(message, optional, tag = "2")]
        pub trainer: Option<Trainer>,
        #[prost(message, optional, tag = "3")]
        pub normalizer: Option<Normalizer>,
    }

    /// `ModelProto.SentencePiece`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Piece {
        #[prost(string, optional, tag = "1")]
        pub piece: Option<String>,
        #[prost(float, optional, tag = "2")]
        pub score: Option<f32>,
        #[prost(int32, optional, tag = "3")]
        pub kind: Option<i32>,
    }

    /// `TrainerSpec`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Trainer {
        #[prost(int32, optional, tag = "3")]
        pub model_type: Option<i32>,
        #[prost(bool, optional, tag = "35")]
        pub byte_fallback: Option<bool>,
    }

    /// `NormalizerSpec`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Normalizer {
        #[prost(bytes = "vec", optional, tag = "2")]
        pub charsmap: Option<Vec<u8>>,
        #[prost(bool, optional, tag = "3")]
        pub add_dummy_prefix: Option<bool>,
        #[prost(bool, optional, tag = "4")]
        pub remove_extra_whitespaces: Option<bool>,
        #[prost(bool, optional, tag = "5")]
        pub escape_whitespaces: Option<bool>,
    }

    /// Values of `Piece::kind`.
    pub mod kind {
        pub const NORMAL: i32 = 1;
        pub const UNKNOWN: i32 = 2;
        pub const CONTROL: i32 = 3;
        pub const UNUSED: i32 = 5;
        pub const BYTE: i32 = 6;
    }

    /// `TrainerSpec.model_type` of unigram models, which is what it is where nothing is said.
    pub const UNIGRAM: i32 = 1;
}

impl Tokenizer {
    /// Makes the tokenizer of a SentencePiece model: a unigram vocabulary with its normalisation. Its
    /// end token is the piece `</s>`; encoding adds it only where asked for.
    ///
    /// # Errors
    /// If the file is damaged, or a model of a kind that is not supported.
    pub fn from_spm(bytes: &[u8]) -> Result<Self, TextError> {
        Ok(Self::assemble(Self::parts_of_spm(bytes)?))
    }

    /// What a SentencePiece model says of itself.
    pub(crate) fn parts_of_spm(bytes: &[u8]) -> Result<Parts, TextError> {
        let refused = |reason| TextError::SentencePiece { reason };
        let model = ModelProto::decode(bytes)
            .map_err(|_| refused("it is damaged, or no SentencePiece model"))?;
        let trainer = model.trainer.unwrap_or_default();
        if trainer.model_type.unwrap_or(proto::UNIGRAM) != proto::UNIGRAM {
            return Err(refused("only unigram models are supported"));
        }
        let byte_fallback = trainer.byte_fallback.unwrap_or(false);
        let (mut vocab, mut hidden, mut unknown) = (Vec::new(), Vec::new(), None);
        for (id, piece) in (0..).zip(&model.pieces) {
            let text = piece.piece.as_deref().unwrap_or_default();
            let score = piece.score.unwrap_or(0.0);
            if text.is_empty() || !score.is_finite() {
                return Err(refused("its vocabulary is damaged"));
            }
            let typed = match piece.kind.unwrap_or(kind::NORMAL) {
                kind::NORMAL => true,
                kind::BYTE if byte_fallback => true,
                kind::UNKNOWN => {
                    unknown = Some(id);
                    false
                }
                kind::CONTROL | kind::UNUSED => false,
                _ => return Err(refused("its vocabulary has pieces of a kind not supported")),
            };
            let text = if typed {
                text.to_owned()
            } else {
                hidden.push(id);
                format!("{UNTYPED}{text}")
            };
            vocab.push((text, f64::from(score)));
        }
        let size = vocab.len();
        let end = |piece: &Piece| {
            piece.piece.as_deref() == Some("</s>") && piece.kind == Some(kind::CONTROL)
        };
        let eos = model.pieces.iter().position(end);
        let unknown = unknown.ok_or(refused("its vocabulary has no piece for what is unknown"))?;
        let build = |error: tokenizers::Error| TextError::Build {
            reason: error.to_string(),
        };
        let unigram = Unigram::from(vocab, Some(unknown as usize), byte_fallback).map_err(build)?;

        let rules = model.normalizer.unwrap_or_default();
        if !rules.escape_whitespaces.unwrap_or(true) {
            return Err(refused(
                "it keeps spaces as they are, which is not supported",
            ));
        }
        let mut steps: Vec<NormalizerWrapper> = Vec::new();
        if let Some(map) = rules.charsmap.filter(|map| !map.is_empty()) {
            check_charsmap(&map).ok_or(refused("its table of characters is damaged"))?;
            let map = Precompiled::from(&map)
                .map_err(|_| refused("its table of characters is damaged"))?;
            steps.push(map.into());
        }
        if rules.remove_extra_whitespaces.unwrap_or(true) {
            let spaces = ReplacePattern::Regex(" {2,}".into());
            steps.push(Replace::new(spaces, " ").map_err(build)?.into());
            steps.push(Strip::new(true, true).into());
        }
        let prefix = if rules.add_dummy_prefix.unwrap_or(true) {
            PrependScheme::Always
        } else {
            PrependScheme::Never
        };
        let mut library = tokenizers::Tokenizer::new(unigram);
        library.with_normalizer(Some(Sequence::new(steps)));
        library.with_pre_tokenizer(Some(Metaspace::new(SPACE, prefix, true)));
        let decoder: DecoderWrapper = Metaspace::new(SPACE, prefix, true).into();
        library.with_decoder(Some(decoder));
        Ok(Parts {
            library,
            decoding: Decoding::Library,
            size,
            hidden,
            literal: Vec::new(),
            cut_at_spaces: false,
            special: SpecialIds {
                eos: eos.map(|id| id as u32),
                unknown: Some(unknown),
                ..SpecialIds::default()
            },
            add_bos: false,
            add_eos: eos.is_some(),
            chat_template: None,
            lexicon: None,
        })
    }
}

/// Checks every step that a search in the table of characters may take: the library takes them
/// unchecked. The table is the length of a double array in bytes, its units (`u32`), and the texts that
/// its leaves point into.
fn check_charsmap(map: &[u8]) -> Option<()> {
    let (length, rest) = map.split_first_chunk::<4>()?;
    let (units, texts) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (units, []) = units.as_chunks::<4>() else {
        return None;
    };
    let texts = std::str::from_utf8(texts).ok()?;
    let unit = |i: usize| units.get(i).map(|&bytes| u32::from_le_bytes(bytes));
    unit(0)?;
    for i in 0..units.len() {
        let node = unit(i)?;
        // Leaves have the upper bit, so no search goes through them.
        if node >> 31 == 1 {
            continue;
        }
        let offset = (node >> 10) << ((node & 1 << 9) >> 6);
        let base = i ^ offset as usize;
        unit(base | 0xff)?;
        if node >> 8 & 1 == 1 {
            let at = (unit(base)? & !(1 << 31)) as usize;
            if !texts.is_char_boundary(at) {
                return None;
            }
        }
    }
    Some(())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
