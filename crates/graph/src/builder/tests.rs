#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Bindings, ExecError, Input, Run, SessionId};

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
        ..Bindings::default()
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
fn padded_sequences_need_their_lengths() {
    let mut b = Builder::new();
    let table = b.weight("wte", &[10, 8]).unwrap();
    let positions = b.weight("wpe", &[6, 8]).unwrap();
    let vector = b.weight("vector", &[8]).unwrap();
    let ids = ids(&mut b);
    let lengths = b.input("lengths", &[Symbol::Batch]).unwrap();
    let x = b.embedding("x", ids, table).unwrap();
    let p = b.position_embedding("p", positions, 2).unwrap();
    assert_eq!(b.shape(p).to_string(), "[batch, q_len, 8]");
    assert!(b.position_embedding("q", vector, 0).is_err());
    let x = b.binary("sum", x, p, Binary::Add).unwrap();
    let x = b.split("heads", x, 2).unwrap();
    let full = b.attention_scores("s", x, x, None, 0.5, Mask::Lengths);
    assert!(full.is_err(), "no lengths");
    let of_ids = b.padded_attention_scores("s", x, x, ids, None, 0.5);
    assert!(of_ids.unwrap_err().to_string().contains("[batch]"));
    let of_values = b.padded_attention_scores("s", x, x, x, None, 0.5);
    assert!(of_values.is_err());
    let scores = b.padded_attention_scores("s", x, x, lengths, None, 0.5);
    let probs = b.softmax("probs", scores.unwrap()).unwrap();
    let context = b.attention_context("context", probs, x).unwrap();
    b.entry("encode", &[context]).unwrap();
    let model = b.finish();

    let graph = &model.entries["encode"];
    let refused = |ids: &[u32], lengths: &[u32]| {
        let inputs = [("ids", ids), ("lengths", lengths)].map(|(name, data)| Input { name, data });
        let run = Run {
            session: SessionId(0),
            entry: "encode",
            inputs: &inputs,
            taps: &[],
        };
        let bindings = graph.bind(&run, lengths.len(), 0)?;
        graph.check_indices(&model, &run, &bindings)
    };
    assert_eq!(refused(&[1, 2, 3, 4, 5, 6], &[3, 2]), Ok(()));
    for lengths in [[0, 3], [3, 4]] {
        let error = refused(&[1, 2, 3, 4, 5, 6], &lengths).unwrap_err();
        assert!(matches!(error, ExecError::SequenceLength { max: 3, .. }));
    }
    // Two of the six rows come before the first position.
    let (wanted, max) = (5, 4);
    assert_eq!(refused(&[1; 4], &[4]), Ok(()));
    let full = ExecError::ContextFull { wanted, max };
    assert_eq!(refused(&[1; 5], &[5]), Err(full));
}

#[test]
fn a_window_sees_something() {
    let mut b = Builder::new();
    let table = b.weight("wte", &[10, 8]).unwrap();
    let ids = ids(&mut b);
    let x = b.embedding("x", ids, table).unwrap();
    let x = b.split("heads", x, 2).unwrap();
    let error = b.attention_scores("scores", x, x, None, 0.5, Mask::Window(0));
    assert_eq!(error, Err(GraphError::EmptyWindow("scores".into())));
    assert!(
        b.attention_scores("scores", x, x, None, 0.5, Mask::Window(1))
            .is_ok()
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
