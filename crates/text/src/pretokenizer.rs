//! How text is cut into words before BPE, by the name GGUF metadata gives it.

use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::TextError;

/// Llama 3: numbers in groups of up to three digits.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2: the same with numbers digit by digit.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What happens to text before BPE, and whether a word that is a token is taken whole without looking at merges.
pub(crate) struct PreTokenization {
    pub normalizer: Option<NormalizerWrapper>,
    pub splitter: PreTokenizerWrapper,
    pub whole_words_first: bool,
}

/// Looks up `tokenizer.ggml.pre`. Each entry is what the model family's own tokenizer.json says.
pub(crate) fn by_name(
    pre: Option<&str>,
    add_space_prefix: bool,
) -> Result<PreTokenization, TextError> {
    let plain = |splitter| PreTokenization {
        normalizer: None,
        splitter,
        whole_words_first: false,
    };
    match pre.unwrap_or("default") {
        "default" | "gpt-2" | "gpt2" => {
            Ok(plain(ByteLevel::new(add_space_prefix, true, true).into()))
        }
        "smollm" => Ok(plain(sequence(vec![
            Digits::new(true).into(),
            ByteLevel::new(false, true, true).into(),
        ]))),
        "llama-bpe" | "llama3" | "llama-v3" => Ok(PreTokenization {
            whole_words_first: true,
            ..plain(split_by(LLAMA3)?)
        }),
        "qwen2" => Ok(PreTokenization {
            normalizer: Some(NFC.into()),
            ..plain(split_by(QWEN2)?)
        }),
        other => Err(TextError::UnsupportedPreTokenizer {
            name: other.to_owned(),
        }),
    }
}

fn sequence(steps: Vec<PreTokenizerWrapper>) -> PreTokenizerWrapper {
    PreTokenizerWrapper::Sequence(Sequence::new(steps))
}

fn split_by(pattern: &str) -> Result<PreTokenizerWrapper, TextError> {
    let split = Split::new(
        SplitPattern::Regex(pattern.to_owned()),
        SplitDelimiterBehavior::Isolated,
        false,
    )
    .map_err(|error| TextError::Build {
        reason: error.to_string(),
    })?;
    Ok(sequence(vec![
        split.into(),
        ByteLevel::new(false, true, false).into(),
    ]))
}
