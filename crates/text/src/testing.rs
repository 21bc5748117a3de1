//! A small vocabulary for tests: all 256 bytes, a few merges, a few special tokens.
#![allow(clippy::unwrap_used)]

use crate::bytes::character_of;
use crate::{GgufVocabulary, Tokenizer};

/// Pairs merged, best first. The last one makes the lead of every emoji (F0 9F).
pub const MERGES: &[&str] = &[
    "Ġ t",
    "h e",
    "Ġt he",
    "Ġ Ġ",
    "ĠĠ ĠĠ",
    "1 2",
    "12 3",
    "a b",
    "ab c",
    "Ã ©",
    "Ċ Ċ",
    "' s",
    "! !",
    "ð Ł",
];

/// Special tokens after the merged ones, with their types.
pub const SPECIAL: &[(&str, i32)] = &[
    ("<|endoftext|>", 3),
    ("<|im_start|>", 3),
    ("<|im_end|>", 3),
    ("<tool>", 4),
    ("é!", 4),
    ("[PAD0]", 5),
    ("whole", 1),
];

pub fn vocabulary(pre: &str) -> GgufVocabulary {
    let mut tokens: Vec<String> = (0..=255)
        .map(|byte| character_of(byte).to_string())
        .collect();
    tokens.extend(MERGES.iter().map(|merge| merge.replace(' ', "")));
    let mut token_types = vec![1; tokens.len()];
    for (token, kind) in SPECIAL {
        tokens.push((*token).to_owned());
        token_types.push(*kind);
    }
    let id = |token: &str| tokens.iter().position(|t| t == token).map(|i| i as u32);
    GgufVocabulary {
        model: "gpt2".to_owned(),
        pre: Some(pre.to_owned()),
        bos: id("<|im_start|>"),
        eos: id("<|im_end|>"),
        merges: MERGES.iter().map(|merge| (*merge).to_owned()).collect(),
        tokens,
        token_types,
        ..GgufVocabulary::default()
    }
}

pub fn tokenizer(pre: &str) -> Tokenizer {
    Tokenizer::from_gguf(vocabulary(pre)).unwrap()
}

/// Ids by the tokens' spelling in the vocabulary.
pub fn ids(tokens: &[&str]) -> Vec<u32> {
    let vocabulary = vocabulary("gpt-2");
    tokens
        .iter()
        .map(|token| vocabulary.tokens.iter().position(|t| t == token).unwrap() as u32)
        .collect()
}
