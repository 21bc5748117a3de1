#![allow(clippy::unwrap_used)]

use super::*;

/// BERT's tokenizer with a handful of words.
fn tokenizer() -> Tokenizer {
    const JSON: &str = r###"{"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [
            {"id": 1, "content": "[UNK]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 2, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 3, "content": "[SEP]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 4, "content": "[MASK]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "cat": 5, "##s": 6, "the": 7, "sat": 8, "é": 9}}}"###;
    Tokenizer::from_json(JSON.as_bytes(), None).unwrap()
}

fn masked(context: usize, text: &str, pair: Option<&str>) -> Result<Masked> {
    Masked::new(&tokenizer(), context, text, pair)
}

fn ids(masked: &Masked) -> Vec<u32> {
    masked.pieces.iter().map(|piece| piece.id).collect()
}

#[test]
fn masks_are_found_in_both_sentences() {
    let masked = masked(16, "The [MASK] sat", Some("[MASK] cats")).unwrap();
    assert_eq!(ids(&masked), [2, 7, 4, 8, 3, 4, 5, 6, 3]);
    assert_eq!(masked.masks, [2, 5]);
    assert_eq!(masked.shortened, []);
    assert_eq!(masked.unknown, 0);
    assert_eq!(masked.pieces[2].span, 4..10);
}

#[test]
fn what_cannot_be_filled_is_told() {
    let error = |text: &str| masked(16, text, None).unwrap_err();
    assert_eq!(error("the cat"), TaskError::NoMask("[MASK]"));
    assert_eq!(error(""), TaskError::NoMask("[MASK]"));
    assert_eq!(error("[MASK] [MASK]"), TaskError::OnlyMasks);
    assert_eq!(error("\u{8a9e} [MASK] xyz"), TaskError::AllUnknown);
    assert_eq!(masked(16, "the \u{8a9e} [MASK]", None).unwrap().unknown, 1);
}

#[test]
fn long_texts_are_cut_where_they_no_longer_fit() {
    let long = format!("[MASK] {}", "cats ".repeat(10_000));
    let masked_long = masked(16, &long, None).unwrap();
    assert_eq!(masked_long.pieces.len(), 16);
    let cut = masked_long.shortened[0];
    assert_eq!(cut.sentence, 0);
    assert_eq!(masked_long.sentences[0].len(), cut.bytes);
    assert!(long.starts_with(&masked_long.sentences[0]));

    // The longer of two loses its end, the other stays whole.
    let two = masked(12, "[MASK] the cat", Some(&"sat ".repeat(20))).unwrap();
    assert_eq!(two.pieces.len(), 12);
    assert_eq!(two.sentences[0], "[MASK] the cat");
    assert_eq!(two.shortened.len(), 1);
    assert_eq!(two.shortened[0].sentence, 1);

    let after = format!("{} [MASK]", "cat ".repeat(50));
    let error = masked(16, &after, None).unwrap_err();
    assert_eq!(error, TaskError::MasksCut { kept: 16 });
    // Cuts fall between characters, and always come to an end.
    for context in 3..8 {
        let text = format!("[MASK] {}", "\u{e9}\u{8a9e}".repeat(40));
        if let Ok(masked) = masked(context, &text, None) {
            assert!(masked.pieces.len() <= context);
        }
    }
}

#[test]
fn probabilities_are_ranked() {
    let logits = [0.0, 2.0, -1.0, 2.0, 1.0];
    let top = likeliest(&logits, 3);
    assert_eq!(top.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 3, 4]);
    let sum: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
    assert!((f64::from(top[0].1) - 2f64.exp() / sum).abs() < 1e-7);
    let all: f32 = likeliest(&logits, 99).iter().map(|(_, p)| p).sum();
    assert!((all - 1.0).abs() < 1e-6);
    // Logits whose exponentials would overflow.
    assert_eq!(likeliest(&[3e38, 0.0], 1), [(0, 1.0)]);
}
