//! The tokenizer that the default model's file carries, against a second implementation
//! (`tests/golden/tokenizer/generate.py`), and that of the tiny GGUF files.
#![allow(clippy::unwrap_used, reason = "tests")]

use glassformer_engine::text::{Message, SpecialTokens, Tokenizer};
use glassformer_graph::Precision;
use serde::Deserialize;

use crate::golden;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Text>,
    chat: Vec<Chat>,
}

#[derive(Deserialize)]
struct Tiny {
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Chat {
    messages: Vec<Message>,
    add_generation_prompt: bool,
    text: String,
}

fn check(tokenizer: &Tokenizer, case: &Text) {
    let ids = tokenizer.encode(&case.text, SpecialTokens::Parse).unwrap();
    assert_eq!(ids, case.ids, "{:?}", case.text);
    let mut stream = tokenizer.stream();
    let mut joined: String = ids.iter().map(|&id| stream.push(id)).collect();
    joined += &stream.finish();
    assert_eq!(joined, tokenizer.decode(&ids), "{:?}", case.text);
    // Without control tokens nothing is lost, unless the vocabulary lacks a byte: then U+FFFD
    // stands where a character was cut, or there are no ids at all.
    let whole = ids.iter().all(|&id| !tokenizer.is_special(id));
    if whole && joined != case.text {
        let bytes: usize = ids.iter().map(|&id| token_bytes(tokenizer, id)).sum();
        assert!(bytes < case.text.len(), "{:?} became {joined:?}", case.text);
    }
}

/// Bytes that a token stands for. One that is no whole character is shown as `<0xE2>`.
fn token_bytes(tokenizer: &Tokenizer, id: u32) -> usize {
    let shown = tokenizer.token_text(id);
    let hex = shown.matches("<0x").count();
    shown.len() - hex * "<0xE2".len()
}

#[test]
fn texts_and_chats_of_the_default_model() {
    let Some(model) = golden::smollm2("texts_and_chats_of_the_default_model", Precision::Fast)
    else {
        return;
    };
    let golden: Golden = golden::json("tokenizer/smollm2.json");
    assert!(golden.cases.len() >= 200 && golden.chat.len() >= 10);
    let tokenizer = &model.loaded.tokenizer;
    for case in &golden.cases {
        check(tokenizer, case);
    }
    for chat in &golden.chat {
        let text = tokenizer
            .chat(&chat.messages, chat.add_generation_prompt)
            .unwrap();
        assert_eq!(text, chat.text, "{:?}", chat.messages);
    }
}

#[test]
fn texts_of_the_tiny_models() {
    let golden: Tiny = golden::json("llama/tiny-blocks/tokenizer.json");
    let model = golden::tiny_blocks("q4_1", Precision::Exact);
    assert!(golden.texts.len() >= 4);
    for case in &golden.texts {
        check(&model.loaded.tokenizer, case);
    }
}
