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
