#![allow(clippy::unwrap_used)]
use super::*;
use crate::SpecialTokens::{Add, Parse};
use crate::testing::{ids, tokenizer, vocabulary};

fn encode(pre: &str, text: &str) -> Vec<u32> {
    tokenizer(pre).encode(text, Add).unwrap()
}

#[test]
fn each_way_of_splitting_treats_digits_as_its_model_does() {
    assert_eq!(encode("smollm", "abc123"), ids(&["abc", "1", "2", "3"]));
    assert_eq!(encode("qwen2", "abc123"), ids(&["abc", "1", "2", "3"]));
    assert_eq!(encode("gpt-2", "abc1231"), ids(&["abc", "123", "1"]));
    // Groups of three from the left, so that 3 and 1 never stand together and 12 does in the second group.
    assert_eq!(encode("llama-bpe", "32112"), ids(&["3", "2", "1", "12"]));
    assert_eq!(encode("llama-bpe", "31212"), ids(&["3", "12", "12"]));
    assert_eq!(encode("gpt-2", "11231"), ids(&["1", "123", "1"]));
    assert_eq!(encode("llama-bpe", "11231"), ids(&["1", "12", "3", "1"]));
}

#[test]
fn spaces_and_line_ends() {
    assert_eq!(encode("smollm", " the  the"), ids(&["Ġthe", "Ġ", "Ġthe"]));
    assert_eq!(encode("smollm", "a     the"), ids(&["a", "ĠĠĠĠ", "Ġthe"]));
    assert_eq!(encode("smollm", "\n\n"), ids(&["ĊĊ"]));
    // Llama's pattern joins a line end to the punctuation before it, GPT-2's does not.
    assert_eq!(encode("gpt-2", "!!\n\na"), ids(&["!!", "Ċ", "Ċ", "a"]));
    assert_eq!(encode("llama-bpe", "!!\n\na"), ids(&["!!", "ĊĊ", "a"]));
    assert_eq!(encode("llama-bpe", "the's"), ids(&["t", "he", "'s"]));
}

#[test]
fn missing_pre_is_gpt2() {
    let named = GgufVocabulary {
        pre: None,
        ..vocabulary("gpt-2")
    };
    let tokenizer = Tokenizer::from_gguf(named).unwrap();
    assert_eq!(tokenizer.encode("123", Add).unwrap(), ids(&["123"]));
}

#[test]
fn llama3_takes_a_known_word_whole() {
    assert_eq!(encode("llama-bpe", "whole"), ids(&["whole"]));
    assert_eq!(encode("gpt-2", "whole"), ids(&["w", "h", "o", "l", "e"]));
}

#[test]
fn qwen2_composes_characters() {
    assert_eq!(encode("qwen2", "e\u{301}"), ids(&["Ã©"]));
    assert_eq!(encode("gpt-2", "e\u{301}"), ids(&["e", "Ì", "ģ"]));
}

#[test]
fn special_tokens_in_text_become_their_ids() {
    let wanted = ids(&["a", "<|im_start|>", "<|im_end|>", "<tool>", "é!", "<", "|"]);
    assert_eq!(
        encode("smollm", "a<|im_start|><|im_end|><tool>é!<|"),
        wanted
    );
    // An unused token is not recognised in text.
    assert_eq!(
        encode("smollm", "[PAD0]"),
        ids(&["[", "P", "A", "D", "0", "]"])
    );
    assert_eq!(encode("smollm", ""), Vec::<u32>::new());
}

#[test]
fn beginning_and_end_are_added_when_wanted() {
    let both = GgufVocabulary {
        add_bos: true,
        add_eos: true,
        ..vocabulary("smollm")
    };
    let tokenizer = Tokenizer::from_gguf(both).unwrap();
    assert_eq!(
        tokenizer.encode("a", Add).unwrap(),
        ids(&["<|im_start|>", "a", "<|im_end|>"])
    );
    assert_eq!(
        tokenizer.encode("", Add).unwrap(),
        ids(&["<|im_start|>", "<|im_end|>"])
    );
    assert_eq!(tokenizer.encode("a", Parse).unwrap(), ids(&["a"]));
}

#[test]
fn space_prefix_is_gpt2s() {
    let prefixed = GgufVocabulary {
        add_space_prefix: true,
        ..vocabulary("gpt-2")
    };
    let tokenizer = Tokenizer::from_gguf(prefixed).unwrap();
    assert_eq!(
        tokenizer.encode("the the", Add).unwrap(),
        ids(&["Ġthe", "Ġthe"])
    );
}

#[test]
fn byte_without_a_token_is_dropped_before_merging() {
    let mut vocabulary = vocabulary("smollm");
    vocabulary.tokens[0x04] = "nothing".to_owned();
    let tokenizer = Tokenizer::from_gguf(vocabulary).unwrap();
    assert_eq!(tokenizer.encode("!\u{4}!", Add).unwrap(), ids(&["!!"]));
}

#[test]
fn turn_ends_are_control_tokens() {
    assert_eq!(
        tokenizer("smollm").end_ids(),
        ids(&["<|im_end|>", "<|endoftext|>"])
    );
    let mut plain = vocabulary("smollm");
    plain.eos = None;
    plain.token_types[ids(&["<|im_end|>"])[0] as usize] = 1;
    assert_eq!(
        Tokenizer::from_gguf(plain).unwrap().end_ids(),
        ids(&["<|endoftext|>"])
    );
}

#[track_caller]
fn refused(change: impl FnOnce(&mut GgufVocabulary)) -> TextError {
    let mut vocabulary = vocabulary("smollm");
    change(&mut vocabulary);
    Tokenizer::from_gguf(vocabulary).unwrap_err()
}

#[test]
fn unsupported_kinds_are_named() {
    let error = refused(|v| v.model = "llama".to_owned());
    assert_eq!(
        error,
        TextError::UnsupportedKind {
            kind: "llama".to_owned()
        }
    );
    assert!(error.to_string().contains("\"llama\""));
    let error = refused(|v| v.pre = Some("tekken".to_owned()));
    assert_eq!(
        error,
        TextError::UnsupportedPreTokenizer {
            name: "tekken".to_owned()
        }
    );
    assert!(error.to_string().contains("\"tekken\""));
}

#[test]
fn bad_vocabularies_are_refused() {
    assert_eq!(refused(|v| v.tokens.clear()), TextError::EmptyVocabulary);
    assert!(matches!(
        refused(|v| v.token_types.truncate(1)),
        TextError::TokenTypeCount { .. }
    ));
    let error = refused(|v| v.tokens[300 - 40] = "A".to_owned());
    assert_eq!(
        error,
        TextError::DuplicateToken {
            token: "A".to_owned(),
            first: 65,
            second: 260
        }
    );
    let size = vocabulary("smollm").tokens.len();
    for (name, change) in [
        (
            "beginning",
            (|v, id| v.bos = Some(id)) as fn(&mut GgufVocabulary, u32),
        ),
        ("end", |v, id| v.eos = Some(id)),
        ("unknown", |v, id| v.unknown = Some(id)),
        ("padding", |v, id| v.padding = Some(id)),
    ] {
        let id = size as u32;
        assert_eq!(
            refused(|v| change(v, id)),
            TextError::SpecialIdOutOfRange { name, id, size }
        );
    }
}

#[test]
fn bad_merges_are_refused() {
    for merge in ["", " ", "ab", " ab", "ab ", "a b c", "a  b"] {
        let error = refused(|v| v.merges.insert(3, merge.to_owned()));
        assert_eq!(
            error,
            TextError::MalformedMerge {
                index: 3,
                merge: merge.to_owned()
            }
        );
    }
    for (merge, missing) in [("nope a", "nope"), ("a nope", "nope"), ("x y", "xy")] {
        let error = refused(|v| v.merges[0] = merge.to_owned());
        assert_eq!(
            error,
            TextError::UnknownMergeToken {
                index: 0,
                token: missing.to_owned()
            }
        );
    }
}
