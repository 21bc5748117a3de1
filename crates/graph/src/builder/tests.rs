#![allow(clippy::unwrap_used)]

use super::*;
use crate::Bindings;

fn ids(b: &mut Builder) -> NodeId {
    b.input("ids", &[Symbol::Batch, Symbol::QueryLen]).unwrap()
}

#[test]
fn shapes_follow_from_operands() {
    let mut b = Builder::new();
    let table = b.weight("wte", &[10, 8]).unwrap();
    let q = b.weight("q", &[8, 8]).unwrap();
    let k = b.weight("k", &[4, 8]).unwrap();
    let state = b.state("k", &[1, 4], 64);
    let ids = ids(&mut b);
    let x = b.embedding("x", ids, table).unwrap();
    let query = b.linear("query", x, q, None).unwrap();
    let query = b.split("query.heads", query, 2).unwrap();
    let key = b.linear("key", x, k, None).unwrap();
    let key = b.split("key.heads", key, 1).unwrap();
    let keys = b.append("keys", key, state).unwrap();
    let scores = b
        .attention_scores("scores", query, keys, None, 0.5, Mask::Causal)
        .unwrap();
    let probs = b.softmax("probs", scores).unwrap();
    let context = b.attention_context("context", probs, keys).unwrap();
    let joined = b.join("joined", context).unwrap();
    assert_eq!(b.shape(keys).to_string(), "[batch, kv_len, 1, 4]");
    assert_eq!(b.shape(scores).to_string(), "[batch, 2, q_len, kv_len]");
    assert_eq!(b.shape(joined).to_string(), "[batch, q_len, 8]");
    b.set_role(probs, Role::Logits);
    b.entry("decode", &[joined]).unwrap();
    let model = b.finish();
    let graph = &model.entries["decode"];
    assert!(graph.appends());
    assert_eq!(graph.role(Role::Logits), graph.find("probs"));
    let bound = Bindings {
        batch: 1,
        query_len: 3,
        kv_len: 7,
        rows: 0,
    };
    assert_eq!(graph.node(scores).shape.bind(&bound), [1, 2, 3, 7]);
    assert_eq!(bound.past_len(), 4);
}

#[test]
fn misfits_are_named() {
    let mut b = Builder::new();
    let table = b.weight("wte", &[10, 8]).unwrap();
    let wrong = b.weight("wrong", &[8, 9]).unwrap();
    let gain = b.weight("gain", &[9]).unwrap();
    let ids = ids(&mut b);
    let x = b.embedding("x", ids, table).unwrap();
    let message = b
        .linear("layer.0.q", x, wrong, None)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("layer.0.q") && message.contains("9 columns"),
        "{message}"
    );
    assert!(b.rms_norm("norm", x, gain, 1e-5).is_err());
    assert!(b.split("heads", x, 3).is_err());
    assert!(b.linear("bias", x, gain, None).is_err());
    assert_eq!(
        b.embedding("x", ids, table),
        Err(GraphError::DuplicateName("x".into()))
    );
    assert_eq!(
        b.weight("wte", &[1]),
        Err(GraphError::DuplicateName("wte".into()))
    );
}

#[test]
fn masks_say_which_keys_are_seen() {
    assert_eq!(Mask::Full.range(0, 5), 0..5);
    assert_eq!(Mask::Causal.range(2, 5), 0..3);
    assert_eq!(Mask::Window(2).range(2, 5), 1..3);
    assert_eq!(Mask::Window(9).range(2, 5), 0..3);
}

#[test]
fn ids_and_states_are_read_by_what_knows_them() {
    let mut b = Builder::new();
    let table = b.weight("wte", &[10, 8]).unwrap();
    let state = b.state("k", &[2, 4], 64);
    let angles = b.table("angles", &[64, 2, 2], vec![0.0; 256]).unwrap();
    let ids = ids(&mut b);
    let x = b.embedding("x", ids, table).unwrap();
    assert!(b.unary("of ids", ids, Unary::Silu).is_err());
    assert!(b.embedding("of numbers", x, table).is_err());
    assert!(b.select_rows("by ids", x, ids).is_err());
    let heads = b.split("heads", x, 2).unwrap();
    let keys = b.append("keys", heads, state).unwrap();
    let message = b
        .binary("sum", keys, keys, Binary::Add)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "The model does not fit together at sum: add cannot read keys."
    );
    assert!(b.join("joined", keys).is_err());
    // Positions turn before they are appended, and by head.
    let layout = RopeLayout::Half;
    assert!(b.rope("turned late", keys, angles, layout).is_err());
    let narrow = b.weight("narrow", &[10, 4]).unwrap();
    let flat = b.embedding("flat", ids, narrow).unwrap();
    assert!(b.rope("turned flat", flat, angles, layout).is_err());
    assert!(b.rope("turned", heads, angles, layout).is_ok());
}

#[test]
fn layer_norms_have_the_width_of_their_input() {
    let mut b = Builder::new();
    let table = b.weight("wte", &[10, 8]).unwrap();
    let [gain, bias, wide] =
        [("gain", 8), ("bias", 8), ("wide", 9)].map(|(name, len)| b.weight(name, &[len]).unwrap());
    let ids = ids(&mut b);
    let x = b.embedding("x", ids, table).unwrap();
    assert!(b.layer_norm("wide gain", x, [wide, bias], 1e-5).is_err());
    let message = b
        .layer_norm("wide bias", x, [gain, wide], 1e-5)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "The model does not fit together at wide bias: wide [9] does not have the width of its input."
    );
    let y = b.layer_norm("norm", x, [gain, bias], 1e-5).unwrap();
    assert_eq!(b.shape(y).to_string(), "[batch, q_len, 8]");
}
