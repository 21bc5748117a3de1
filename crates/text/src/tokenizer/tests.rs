#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::testing::{SPECIAL, ids, tokenizer, vocabulary};

#[test]
fn token_text_shows_every_token() {
    let tokenizer = tokenizer("smollm");
    let text = |token: &str| tokenizer.token_text(ids(&[token])[0]);
    assert_eq!(text("Ġthe"), " the");
    assert_eq!(text("ĊĊ"), "\n\n");
    assert_eq!(text("Ã©"), "é");
    assert_eq!(text("ðŁ"), "<0xF0><0x9F>");
    assert_eq!(text("â"), "<0xE2>");
    assert_eq!(text("<|im_start|>"), "<|im_start|>");
    assert_eq!(text("é!"), "é!");
    assert_eq!(tokenizer.token_text(u32::MAX), "");
}

#[test]
fn decoding_leaves_control_tokens_out() {
    let tokenizer = tokenizer("smollm");
    let sequence = ids(&[
        "<|im_start|>",
        "Ġthe",
        "<|im_end|>",
        "<tool>",
        "é!",
        "[PAD0]",
    ]);
    assert_eq!(tokenizer.decode(&sequence), " the<tool>é!");
    assert_eq!(tokenizer.vocab_size(), 256 + 14 + SPECIAL.len());
    assert_eq!(
        sequence
            .iter()
            .map(|&id| tokenizer.is_special(id))
            .collect::<Vec<_>>(),
        [true, false, true, false, false, true]
    );
    assert!(!tokenizer.is_special(u32::MAX));
    assert_eq!(tokenizer.bos_id(), Some(sequence[0]));
    assert_eq!(tokenizer.decode(&[ids(&["a"])[0], u32::MAX]), "a");
    assert_eq!(tokenizer.decode(&ids(&["ðŁ"])), "\u{FFFD}");
    assert_eq!(tokenizer.decode(&[]), "");
}

#[test]
fn chat_uses_the_vocabularys_special_tokens() {
    let template = "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m['content'] }}{{ eos_token }}{% endfor %}";
    let with_template = crate::GgufVocabulary {
        chat_template: Some(template.to_owned()),
        ..vocabulary("smollm")
    };
    let chatty = Tokenizer::from_gguf(with_template).unwrap();
    let messages = [Message {
        role: "user".to_owned(),
        content: "Hi".to_owned(),
    }];
    assert_eq!(
        chatty.chat(&messages, false).unwrap(),
        "<|im_start|>user:Hi<|im_end|>"
    );
    assert_eq!(chatty.chat_template(), Some(template));
    assert_eq!(
        tokenizer("smollm").chat(&messages, true),
        Err(TextError::NoChatTemplate)
    );
}

#[test]
fn pieces_end_only_before_single_spaces() {
    let cut = |text, size| pieces(text, size).collect::<Vec<_>>();
    assert_eq!(cut("ab cd  ef gh", 1), ["ab", " cd  ef", " gh"]);
    assert_eq!(cut("ab cd  ef gh", 4), ["ab cd  ef", " gh"]);
    assert_eq!(cut("a \n b ", 1), ["a \n b "]);
    assert_eq!(cut("é\u{3000} x y", 2), ["é\u{3000} x", " y"]);
    assert_eq!(cut("", 4), [""; 0]);
}

/// Text of fragments that meet in awkward ways, and of anything.
fn text() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        3 => prop::sample::select(vec![
            " ", "  ", " the", "the", "\n", "\r\n", "\t", "12", "123", "'s", "'S", "abc", "!!", "é", "e\u{301}", "你好",
            "👩🏽\u{200d}🚀", "🇫🇷", "\u{feff}", "\u{85}", "\u{3000}", "\0", "<tool>", "<|", "\u{301}",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(fragment, 0..12).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(text in text(), pre in prop::sample::select(vec!["smollm", "gpt-2", "llama-bpe"])) {
        let tokenizer = tokenizer(pre);
        let ids = tokenizer.encode(&text, SpecialTokens::Add).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids), text);
    }

    #[test]
    fn encoding_in_pieces_is_encoding_the_whole(
        text in text(), size in 1_usize..20, pre in prop::sample::select(vec!["smollm", "gpt-2", "llama-bpe", "qwen2"]),
    ) {
        let tokenizer = tokenizer(pre);
        let (mut whole, mut joined) = (Vec::new(), Vec::new());
        tokenizer.append_ids(&text, false, &mut whole).unwrap();
        for piece in pieces(&text, size) {
            tokenizer.append_ids(piece, false, &mut joined).unwrap();
        }
        prop_assert_eq!(joined, whole);
    }
}
