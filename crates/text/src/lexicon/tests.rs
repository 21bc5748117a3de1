#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use crate::spm::testing::small_model;
use crate::{SpecialTokens, TextError, Tokenizer};

const VOCABULARY: &str = r#"{"</s>": 0, "<unk>": 1, "\u2581the": 2, "s": 3, "\u2581o": 4, "\u2581a": 5,
    ">>por<<": 6, "<pad>": 7}"#;

fn tokenizer() -> Tokenizer {
    Tokenizer::from_marian(&small_model(), VOCABULARY.as_bytes()).unwrap()
}

#[test]
fn pieces_get_the_numbers_of_the_vocabulary() {
    let tokenizer = tokenizer();
    let encode = |text: &str| tokenizer.encode(text, SpecialTokens::Parse).unwrap();
    // SentencePiece knows "/", the vocabulary does not.
    assert_eq!(encode("the a/thes"), [2, 5, 1, 1, 3]);
    assert_eq!(tokenizer.encode("a", SpecialTokens::Add).unwrap(), [5, 0]);
    assert_eq!(encode(">>por<< a"), [6, 5]);
    assert_eq!(encode(">>xxx<< a"), [1, 5]);
    assert_eq!(encode(">><<")[0], 1);
    assert_eq!(tokenizer.decode(&[2, 4, 3, 1, 0, 99]), "the os");
    assert_eq!(tokenizer.token_text(2), " the");
    assert_eq!(tokenizer.token_text(0), "</s>");
    assert_eq!(tokenizer.token_text(99), "");
    assert_eq!((tokenizer.vocab_size(), tokenizer.end_ids()), (8, &[0][..]));
    let pieces = tokenizer.pieces(">>por<< the a", None).unwrap();
    let ids: Vec<u32> = pieces.iter().map(|piece| piece.id).collect();
    assert_eq!(ids, [6, 2, 5, 0]);
    assert_eq!((pieces[0].span.clone(), pieces[2].span.end), (0..7, 13));
}

#[test]
fn vocabularies_that_fit_nothing_are_refused() {
    for wrong in [
        "",
        "[]",
        "{}",
        r#"{"</s>": 0}"#,
        r#"{"</s>": 0, "<unk>": 2}"#,
        r#"{"</s>": 0, "<unk>": 0}"#,
        r#"{"</s>": 0, "<unk>": 1, "</s>": 2}"#,
        r#"{"</s>": 0, "<unk>": -1}"#,
        r#"{"</s>": 0, "<unk>": "1"}"#,
    ] {
        let refused = Tokenizer::from_marian(&small_model(), wrong.as_bytes());
        assert!(
            matches!(refused, Err(TextError::Vocabulary { .. })),
            "{wrong}"
        );
    }
    let damaged = Tokenizer::from_marian(b"no model", VOCABULARY.as_bytes());
    assert!(matches!(damaged, Err(TextError::SentencePiece { .. })));
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
        let _ = Tokenizer::from_marian(&small_model(), &bytes);
        let _ = Tokenizer::from_marian(&bytes, VOCABULARY.as_bytes());
        let _ = Tokenizer::from_marian(&small_model(), &VOCABULARY.as_bytes()[..cut.index(VOCABULARY.len())]);
    }

    #[test]
    fn any_text_is_tokens_of_the_vocabulary(text in ".*") {
        let ids = tokenizer().encode(&text, SpecialTokens::Parse).unwrap();
        prop_assert!(ids.iter().all(|&id| id < 8));
    }
}
