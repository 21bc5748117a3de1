//! A tokenizer from GGUF metadata.

use std::collections::hash_map::Entry;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{AddedToken, ModelWrapper};

use crate::tokenizer::{Decoding, Parts, SpecialIds, Tokenizer};
use crate::{TextError, pretokenizer};

/// Words whose merges are remembered. Bounds what the cache may grow to (about 0.5 MB) in a long session.
const CACHED_WORDS: usize = 4096;

/// Values of `tokenizer.ggml.token_type`.
mod token_type {
    pub const UNKNOWN: i32 = 2;
    pub const CONTROL: i32 = 3;
    pub const USER_DEFINED: i32 = 4;
    pub const UNUSED: i32 = 5;
}

/// A vocabulary as GGUF metadata carries it (`tokenizer.ggml.*`), owned so that nothing is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GgufVocabulary {
    /// `tokenizer.ggml.model`: the kind of tokenizer; only `gpt2` (byte-level BPE) is supported.
    pub model: String,
    /// `tokenizer.ggml.pre`: how text is cut into words; absent means GPT-2's way.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`: `[vocab]`, in the byte-level alphabet.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.merges`: pairs `"a b"`, best first.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.token_type`: `[vocab]` (1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte), or
    /// empty when all are normal.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`.
    pub unknown: Option<u32>,
    /// `tokenizer.ggml.padding_token_id`.
    pub padding: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: bool,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: bool,
    /// `tokenizer.ggml.add_space_prefix`: a space before a text that lacks one; has a meaning for GPT-2's `pre` only.
    pub add_space_prefix: bool,
    /// `tokenizer.chat_template`: Jinja.
    pub chat_template: Option<String>,
}

impl Tokenizer {
    /// Makes the tokenizer that a GGUF file describes.
    ///
    /// # Errors
    /// An unsupported kind or `pre`; lists of unequal length; a token listed twice; a merge that is malformed or names
    /// a token outside the vocabulary; a special id outside the vocabulary.
    pub fn from_gguf(vocabulary: GgufVocabulary) -> Result<Self, TextError> {
        if vocabulary.model != "gpt2" {
            return Err(TextError::UnsupportedKind {
                kind: vocabulary.model,
            });
        }
        let pre = pretokenizer::by_name(vocabulary.pre.as_deref(), vocabulary.add_space_prefix)?;
        let special = special_ids(&vocabulary)?;
        let GgufVocabulary {
            tokens,
            merges,
            token_types,
            ..
        } = vocabulary;

        let size = tokens.len();
        let of_type = |wanted: &[i32]| -> Vec<u32> {
            (0_u32..)
                .zip(&token_types)
                .filter(|(_, kind)| wanted.contains(kind))
                .map(|(id, _)| id)
                .collect()
        };
        let hidden = of_type(&[token_type::UNKNOWN, token_type::CONTROL, token_type::UNUSED]);
        let literal = of_type(&[token_type::USER_DEFINED]);
        let in_text: Vec<AddedToken> = of_type(&[
            token_type::UNKNOWN,
            token_type::CONTROL,
            token_type::USER_DEFINED,
        ])
        .into_iter()
        .filter_map(|id| {
            let special = token_types.get(id as usize) != Some(&token_type::USER_DEFINED);
            let text = tokens.get(id as usize)?;
            Some(AddedToken::from(text.as_str(), special).normalized(false))
        })
        .collect();

        let vocab = vocab_map(tokens)?;
        let merges = split_merges(merges, &vocab)?;
        let model = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .cache_capacity(CACHED_WORDS)
            .ignore_merges(pre.whole_words_first)
            .build()
            .map_err(|error| TextError::Build {
                reason: error.to_string(),
            })?;

        let mut library = tokenizers::Tokenizer::new(ModelWrapper::BPE(model));
        library
            .with_normalizer(pre.normalizer)
            .with_pre_tokenizer(Some(pre.splitter));
        library.add_tokens(&in_text);

        Ok(Self::assemble(Parts {
            library,
            decoding: Decoding::ByteLevel,
            size,
            hidden,
            literal,
            cut_at_spaces: !vocabulary.add_space_prefix
                && in_text.iter().all(|token| !token.content.contains(' ')),
            special,
            add_bos: vocabulary.add_bos,
            add_eos: vocabulary.add_eos,
            chat_template: vocabulary.chat_template,
            lexicon: None,
        }))
    }
}

/// Checks the lengths of the lists and the ids of the special tokens.
fn special_ids(vocabulary: &GgufVocabulary) -> Result<SpecialIds, TextError> {
    let size = vocabulary.tokens.len();
    let types = vocabulary.token_types.len();
    if size == 0 {
        return Err(TextError::EmptyVocabulary);
    }
    if types != 0 && types != size {
        return Err(TextError::TokenTypeCount {
            tokens: size,
            types,
        });
    }
    let in_range = |name, id: Option<u32>| match id {
        Some(id) if id as usize >= size => Err(TextError::SpecialIdOutOfRange { name, id, size }),
        id => Ok(id),
    };
    Ok(SpecialIds {
        bos: in_range("beginning", vocabulary.bos)?,
        eos: in_range("end", vocabulary.eos)?,
        unknown: in_range("unknown", vocabulary.unknown)?,
        padding: in_range("padding", vocabulary.padding)?,
        mask: None,
    })
}

fn vocab_map(tokens: Vec<String>) -> Result<Vocab, TextError> {
    let mut vocab = Vocab::with_capacity(tokens.len());
    for (id, token) in (0_u32..).zip(tokens) {
        match vocab.entry(token) {
            Entry::Vacant(free) => {
                free.insert(id);
            }
            Entry::Occupied(taken) => {
                return Err(TextError::DuplicateToken {
                    token: taken.key().clone(),
                    first: *taken.get(),
                    second: id,
                });
            }
        }
    }
    Ok(vocab)
}

fn split_merges(merges: Vec<String>, vocab: &Vocab) -> Result<Vec<(String, String)>, TextError> {
    let mut joined = String::new();
    merges
        .into_iter()
        .enumerate()
        .map(|(index, merge)| {
            let pair = match merge.split_once(' ') {
                Some((left, right))
                    if !left.is_empty() && !right.is_empty() && !right.contains(' ') =>
                {
                    (left, right)
                }
                _ => return Err(TextError::MalformedMerge { index, merge }),
            };
            joined.clear();
            joined.push_str(pair.0);
            joined.push_str(pair.1);
            match [pair.0, pair.1, joined.as_str()]
                .into_iter()
                .find(|token| !vocab.contains_key(*token))
            {
                Some(missing) => Err(TextError::UnknownMergeToken {
                    index,
                    token: missing.to_owned(),
                }),
                None => Ok((pair.0.to_owned(), pair.1.to_owned())),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
