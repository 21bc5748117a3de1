#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use crate::SpecialTokens::Parse;
use crate::testing::{ids, tokenizer};

fn pieces(ids: &[u32]) -> Vec<String> {
    let mut stream = tokenizer("smollm").stream();
    let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(id)).collect();
    pieces.push(stream.finish());
    pieces
}

#[test]
fn characters_come_whole() {
    assert_eq!(
        pieces(&ids(&["ðŁ", "¦", "Ģ", "Ġthe", "Ã©"])),
        ["", "", "🦀", " the", "é", ""]
    );
}

#[test]
fn joined_emoji_and_combining_marks_come_character_by_character() {
    let tokenizer = tokenizer("smollm");
    for text in [
        "👩🏽\u{200d}🚀",
        "🇫🇷🏴\u{e0067}",
        "你好，世界",
        "क्षत्रिय",
        "e\u{301}o\u{308}\u{304}",
        "السَّلامُ",
    ] {
        let got = pieces(&tokenizer.encode(text, Parse).unwrap());
        assert_eq!(got.concat(), text);
        assert!(got.iter().all(|piece| piece.chars().count() <= 1));
    }
}

#[test]
fn control_tokens_give_nothing_and_do_not_break_a_character() {
    assert_eq!(
        pieces(&ids(&["<|im_start|>", "Ã", "<|im_end|>", "©", "<tool>"])),
        ["", "", "", "é", "<tool>", ""]
    );
}

#[test]
fn unfinished_and_broken_characters_become_replacement_characters() {
    assert_eq!(pieces(&ids(&["ðŁ"])), ["", "\u{FFFD}"]);
    assert_eq!(pieces(&ids(&["ðŁ", "a"])), ["", "\u{FFFD}a", ""]);
    assert_eq!(pieces(&ids(&["Ģ"])), ["\u{FFFD}", ""]);
    assert_eq!(pieces(&[u32::MAX]), ["", ""]);
}

#[test]
fn stream_is_new_after_finish() {
    let mut stream = tokenizer("smollm").stream();
    assert_eq!(stream.push(ids(&["Ã"])[0]), "");
    assert_eq!(stream.finish(), "\u{FFFD}");
    assert_eq!(stream.push(ids(&["©"])[0]), "\u{FFFD}");
    assert_eq!(stream.finish(), "");
}

proptest! {
    #[test]
    fn any_ids_join_to_their_decoding(ids in prop::collection::vec(0_u32..300, 0..40)) {
        let tokenizer = tokenizer("smollm");
        prop_assert_eq!(pieces(&ids).concat(), tokenizer.decode(&ids));
        for id in ids {
            let _ = tokenizer.token_text(id);
        }
    }
}
