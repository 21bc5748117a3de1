#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::SpecialTokens::{Add, Parse};

/// A BERT of eight words: normalised, with [CLS] and [SEP] from a post-processor, and padding that is to be ignored.
const WORD_PIECE: &str = r###"{
  "version": "1.0",
  "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
  "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
  "added_tokens": [
    {"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 1, "content": "[UNK]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 2, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 3, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
  ],
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
  "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
    "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "play": 4, "##ing": 5, "we": 6, ".": 7, "love": 8}}
}"###;

/// A SentencePiece BPE with byte fallback, as Llama 2 and Gemma convert to.
const BYTE_FALLBACK: &str = r#"{
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [
    {"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 2, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
  ],
  "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
  "pre_tokenizer": null, "post_processor": null,
  "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
  "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null, "end_of_word_suffix": null,
    "fuse_unk": true, "byte_fallback": true,
    "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "<0xE2>": 3, "<0x82>": 4, "<0xAC>": 5, "▁": 6, "a": 7, "b": 8, "▁a": 9}, "merges": ["▁ a"]}
}"#;

const BYTE_LEVEL: &str = r#"{
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [{"id": 5, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
  "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
  "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
  "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
  "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
    "fuse_unk": false, "byte_fallback": false, "vocab": {"Ġ": 0, "a": 1, "Ġa": 2, "Ã": 3, "©": 4, "<|endoftext|>": 5}, "merges": ["Ġ a"]}
}"#;

fn stream(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    let mut stream = tokenizer.stream();
    let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(id)).collect();
    pieces.push(stream.finish());
    pieces
}

#[test]
fn word_piece() {
    let tokenizer = Tokenizer::from_json(WORD_PIECE.as_bytes(), None).unwrap();
    let ids = tokenizer.encode("We LOVE playing.", Add).unwrap();
    assert_eq!(ids, [2, 6, 8, 4, 5, 7, 3]);
    assert_eq!(tokenizer.encode("We zzz", Parse).unwrap(), [6, 1]);
    assert_eq!(tokenizer.decode(&ids), "we love playing.");
    assert_eq!(
        stream(&tokenizer, &ids),
        ["", "we", " love", " play", "ing", ".", "", ""]
    );
    assert_eq!(tokenizer.token_text(5), "##ing");
    assert_eq!(tokenizer.vocab_size(), 9);
    assert!(tokenizer.is_special(3) && !tokenizer.is_special(4));
}

#[test]
fn byte_fallback() {
    let config = br#"{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "add_bos_token": true, "model_max_length": 1e30,
        "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "{{ bos_token }}D"}]}"#;
    let tokenizer = Tokenizer::from_json(BYTE_FALLBACK.as_bytes(), Some(config)).unwrap();
    let ids = tokenizer.encode("a b\u{20ac} a", Add).unwrap();
    assert_eq!(ids, [1, 9, 6, 8, 3, 4, 5, 9]);
    assert_eq!(tokenizer.encode("a</s>", Parse).unwrap(), [9, 2]);
    assert_eq!(tokenizer.decode(&ids), "a b\u{20ac} a");
    assert_eq!(
        stream(&tokenizer, &ids),
        ["", "a", " ", "b", "", "", "\u{20ac}", " a", ""]
    );
    assert_eq!(
        stream(&tokenizer, &[9, 3, 4]).concat(),
        tokenizer.decode(&[9, 3, 4])
    );
    assert_eq!(
        stream(&tokenizer, &[9, 3, 8]).concat(),
        tokenizer.decode(&[9, 3, 8])
    );
    assert_eq!(
        (tokenizer.token_text(9), tokenizer.token_text(3)),
        (" a".to_owned(), "<0xE2>".to_owned())
    );
    assert_eq!(
        (tokenizer.bos_id(), tokenizer.end_ids()),
        (Some(1), &[2][..])
    );
    assert_eq!(tokenizer.chat(&[], false).unwrap(), "<s>D");
}

#[test]
fn byte_level() {
    let config = br#"{"eos_token": "<|endoftext|>", "add_bos_token": false, "chat_template": "x"}"#;
    let tokenizer = Tokenizer::from_json(BYTE_LEVEL.as_bytes(), Some(config)).unwrap();
    assert_eq!(
        tokenizer.encode("a a\u{e9}<|endoftext|>", Add).unwrap(),
        [1, 2, 3, 4, 5]
    );
    assert_eq!(tokenizer.decode(&[1, 2, 3, 4, 5]), "a a\u{e9}");
    assert_eq!(
        stream(&tokenizer, &[2, 3, 4, 5]),
        [" a", "", "\u{e9}", "", ""]
    );
    assert_eq!(tokenizer.end_ids(), [5]);
    assert_eq!(tokenizer.chat_template(), Some("x"));
}

#[test]
fn bad_files_are_refused() {
    for bad in [
        &b""[..],
        b"{}",
        b"[]",
        b"\xFF",
        br#"{"model": {"type": "Nope"}}"#,
        br#"{"model": {"type": "BPE"}}"#,
    ] {
        assert!(matches!(
            Tokenizer::from_json(bad, None),
            Err(TextError::Json { .. })
        ));
    }
    let map = r#"{"type": "Precompiled", "precompiled_charsmap": "%%"}"#;
    for normalizer in [
        map.to_owned(),
        format!(r#"{{"type": "Sequence", "normalizers": [{map}]}}"#),
    ] {
        let bad = BYTE_LEVEL.replace(
            r#""normalizer": null"#,
            &format!(r#""normalizer": {normalizer}"#),
        );
        assert_ne!(bad, BYTE_LEVEL);
        assert!(matches!(
            Tokenizer::from_json(bad.as_bytes(), None),
            Err(TextError::Json { .. })
        ));
    }
    let config = Tokenizer::from_json(BYTE_LEVEL.as_bytes(), Some(b"{\"eos_token\": 7}"));
    assert!(matches!(config, Err(TextError::Config { .. })));
}

proptest! {
    #[test]
    fn damaged_files_do_not_panic(
        file in prop::sample::select(vec![WORD_PIECE, BYTE_FALLBACK, BYTE_LEVEL]),
        at in any::<prop::sample::Index>(), length in 0_usize..12, replacement in "[\\x20-\\x7e]{0,6}",
    ) {
        let mut bytes = file.as_bytes().to_vec();
        let start = at.index(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, replacement.into_bytes());
        let encoded = Tokenizer::from_json(&bytes, None)
            .and_then(|tokenizer| Ok((tokenizer.encode("We love \u{20ac} a playing. </s>", Add)?, tokenizer)));
        if let Ok((ids, tokenizer)) = encoded {
            prop_assert_eq!(stream(&tokenizer, &ids).len(), ids.len() + 1);
        }
    }
}

/// Two sentences and a mask, as BERT's tokenizers encode them.
#[test]
fn pieces_know_their_place() {
    let json = WORD_PIECE
        .replace(
            r##"{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}"##,
            r###"{"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                    {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                    "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}}"###,
        )
        .replace(
            r#""added_tokens": ["#,
            r#""added_tokens": [{"id": 9, "content": "[MASK]", "single_word": false, "lstrip": true, "rstrip": false, "normalized": false, "special": true},"#,
        )
        .replace(r#""love": 8"#, r#""love": 8, "[MASK]": 9"#);
    let tokenizer = Tokenizer::from_json(json.as_bytes(), None).unwrap();
    assert_eq!(tokenizer.mask_id(), Some(9));
    assert_eq!(tokenizer.unknown_id(), Some(1));
    let pieces = tokenizer.pieces("Wé [MASK] Playing", Some("we.")).unwrap();
    let ids: Vec<u32> = pieces.iter().map(|piece| piece.id).collect();
    assert_eq!(ids, [2, 6, 9, 4, 5, 3, 6, 7, 3]);
    let types: Vec<u32> = pieces.iter().map(|piece| piece.type_id).collect();
    assert_eq!(types, [0, 0, 0, 0, 0, 0, 1, 1, 1]);
    let sentences: Vec<Option<usize>> = pieces.iter().map(|piece| piece.sentence).collect();
    let (a, b) = (Some(0), Some(1));
    assert_eq!(sentences, [None, a, a, a, a, None, b, b, None]);
    // Bytes of the text as it was typed, the accent's included.
    let spans: Vec<_> = pieces.iter().map(|piece| piece.span.clone()).collect();
    assert_eq!(spans[1..5], [0..3, 3..10, 11..15, 15..18]);
    assert_eq!(spans[6..8], [0..2, 2..3]);
    assert_eq!(pieces[3].word, pieces[4].word);
    assert_ne!(pieces[1].word, pieces[3].word);
    let count = |word: &str| tokenizer.pieces_of_word(word).unwrap();
    assert_eq!([count("Playing"), count("we"), count("")], [2, 1, 0]);

    let other = Tokenizer::from_json(json.replace("[MASK]", "<mask>").as_bytes(), None).unwrap();
    assert_eq!(other.mask_id(), Some(9));
    assert_eq!(other.with_own_masks("we [MASK]"), "we <mask>");
    let none = Tokenizer::from_json(WORD_PIECE.as_bytes(), None).unwrap();
    assert_eq!(none.mask_id(), None);
}
