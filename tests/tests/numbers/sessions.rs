//! Sessions on a small model, on the CPU in both precisions and on the GPU: whatever way a session came to hold its
//! positions, what follows is what a fresh run gives, and errors change nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::ops::Range;

use glassformer_graph::{ExecError, NodeId, Precision, SessionId, Tap, TapPolicy, Tensor};

use crate::golden::{self, Runner, max_diff};
use crate::small::{CONTEXT, VOCAB, ids, model, targets};

/// What the design promises. Rows are computed in the same order whatever runs beside them, so
/// differences are expected to be zero; this leaves kernels the freedom to change that.
const TOLERANCE: f32 = 1e-4;

/// Logits of all positions, from an empty session.
fn fresh(model: &mut Runner, ids: &[u32]) -> Tensor {
    let session = model.open(1);
    let logits = model.all(session, &[ids]);
    model.exec.close(session);
    logits
}

/// Rows of `[1, rows, vocab]`.
fn rows(tensor: &Tensor, rows: Range<usize>) -> &[f32] {
    let width = tensor.shape[2];
    &tensor.data[rows.start * width..rows.end * width]
}

#[track_caller]
fn assert_close(a: &[f32], b: &[f32], at: &str) {
    assert!(!a.is_empty(), "{at}");
    let diff = max_diff(a, b);
    assert!(diff <= TOLERANCE, "{at}: {diff:e}");
}

/// Runs `ids` in chunks; logits of all positions, and the state's keys and values after the last.
fn in_chunks(model: &mut Runner, ids: &[u32], chunk: usize) -> (Vec<f32>, Vec<Tensor>) {
    let session = model.open(1);
    let states = model.states();
    let taps = golden::taps(&states);
    let mut logits = Vec::new();
    for ids in ids.chunks(chunk) {
        let rows: Vec<u32> = (0..ids.len() as u32).collect();
        logits.extend(model.run(session, ids, &rows, &taps).unwrap().data);
    }
    assert_eq!(model.exec.len(session).unwrap(), ids.len());
    let states = states
        .iter()
        .map(|&node| model.last(session, node, &[]))
        .collect();
    model.exec.close(session);
    (logits, states)
}

#[test]
fn chunks_equal_token_by_token() {
    let ids = ids(1, 40);
    for target in targets("chunks_equal_token_by_token") {
        let mut model = model(target);
        let (logits, states) = in_chunks(&mut model, &ids, 1);
        assert_eq!(states.len(), 4);
        for chunk in [2, 3, 7, ids.len()] {
            let at = format!("{target:?}, chunks of {chunk}");
            let (chunked, chunked_states) = in_chunks(&mut model, &ids, chunk);
            assert_close(&chunked, &logits, &at);
            for (a, b) in chunked_states.iter().zip(&states) {
                assert_eq!(a.shape, [1, ids.len(), 2, 16], "{at}");
                assert_eq!(a.shape, b.shape, "{at}");
                assert_close(&a.data, &b.data, &format!("{at}, state"));
            }
        }
    }
}

#[test]
fn both_sides_of_a_fork_go_their_own_way() {
    for target in targets("both_sides_of_a_fork_go_their_own_way") {
        let mut model = model(target);
        // The second length is where the cache is full, so that both sides have to grow.
        for len in [11, 256] {
            let at = format!("{target:?}, forked at {len}");
            let (start, left, right) = (ids(2, len), ids(3, 9), ids(4, 9));
            let parent = model.open(1);
            model.all(parent, &[&start]);
            let child = model.exec.fork(parent).unwrap();
            assert_eq!(model.exec.len(child).unwrap(), len);
            // In turns, so that either could disturb the other.
            let mut ours = [Vec::new(), Vec::new()];
            for (a, b) in left.chunks(4).zip(right.chunks(4)) {
                ours[0].extend(model.all(parent, &[a]).data);
                ours[1].extend(model.all(child, &[b]).data);
            }
            for (ours, way) in ours.iter().zip([left, right]) {
                let expected = fresh(&mut model, &[&start[..], &way].concat());
                assert_close(ours, rows(&expected, len..len + 9), &at);
            }
            model.exec.close(parent);
            let after = model.all(child, &[&[5]]);
            assert_eq!(
                after.shape,
                [1, 1, VOCAB as usize],
                "{at}: the child outlives the parent"
            );
        }
    }
}

#[test]
fn after_truncating_it_goes_on_as_a_fresh_run() {
    let (start, more) = (ids(5, 300), ids(6, 6));
    for target in targets("after_truncating_it_goes_on_as_a_fresh_run") {
        let mut model = model(target);
        for len in [0, 1, 17, 255, 256, 257, 299, 300] {
            let session = model.open(1);
            model.all(session, &[&start]);
            model.exec.truncate(session, len).unwrap();
            assert_eq!(model.exec.len(session).unwrap(), len);
            let got = model.all(session, &[&more]);
            let expected = fresh(&mut model, &[&start[..len], &more].concat());
            let at = format!("{target:?}, truncated to {len}");
            assert_close(&got.data, rows(&expected, len..len + 6), &at);
        }
        let session = model.open(1);
        model.all(session, &[&start[..3]]);
        model.exec.truncate(session, 7).unwrap();
        assert_eq!(
            model.exec.len(session).unwrap(),
            3,
            "cutting back never makes it longer"
        );
    }
}

#[test]
fn growing_caches_keep_what_they_hold() {
    // Two different sequences: growing moves the second one.
    let (a, b) = (ids(7, 520), ids(8, 520));
    for target in targets("growing_caches_keep_what_they_hold") {
        let mut model = model(target);
        let expected = [fresh(&mut model, &a), fresh(&mut model, &b)];
        for len in [1, 255, 256, 257, 511, 512, 513] {
            let at = format!("{target:?}, {len} positions");
            let session = model.open(2);
            model.all(session, &[&a[..len], &b[..len]]);
            // Three single steps cross the growth wherever it is, then a chunk.
            for step in [
                len..len + 1,
                len + 1..len + 2,
                len + 2..len + 3,
                len + 3..len + 7,
            ] {
                let got = model.all(session, &[&a[step.clone()], &b[step.clone()]]);
                let (ours_a, ours_b) = got.data.split_at(got.data.len() / 2);
                assert_close(ours_a, rows(&expected[0], step.clone()), &at);
                assert_close(ours_b, rows(&expected[1], step.clone()), &at);
            }
            assert_eq!(model.exec.len(session).unwrap(), len + 7);
            model.exec.close(session);
        }
    }
}

#[test]
fn equal_sequences_of_a_batch_give_equal_rows() {
    let ids = ids(9, 23);
    for target in targets("equal_sequences_of_a_batch_give_equal_rows") {
        let mut model = model(target);
        let expected = fresh(&mut model, &ids);
        let session = model.open(2);
        let first = model.all(session, &[&ids[..20], &ids[..20]]);
        let second = model.all(session, &[&ids[20..], &ids[20..]]);
        for (got, positions) in [(first, 0..20), (second, 20..23)] {
            let (a, b) = got.data.split_at(got.data.len() / 2);
            assert_eq!(a, b, "{target:?}");
            assert_close(a, rows(&expected, positions), "beside a single sequence");
        }
    }
}

#[test]
fn a_full_session_says_so_and_stays_usable() {
    let ids = ids(10, 12);
    for target in targets("a_full_session_says_so_and_stays_usable") {
        let mut model = model(target);
        let expected = fresh(&mut model, &ids);
        let session = model.exec.open(1, 10).unwrap();
        model.all(session, &[&ids[..8]]);
        let full = ExecError::ContextFull {
            wanted: 12,
            max: 10,
        };
        assert_eq!(model.run(session, &ids[8..], &[0], &[]), Err(full));
        assert_eq!(model.exec.len(session).unwrap(), 8);
        let got = model.all(session, &[&ids[8..10]]);
        assert_close(&got.data, rows(&expected, 8..10), "filled to the brim");
        let full = ExecError::ContextFull {
            wanted: 11,
            max: 10,
        };
        assert_eq!(model.run(session, &ids[10..11], &[0], &[]), Err(full));
        model.exec.truncate(session, 9).unwrap();
        let got = model.all(session, &[&ids[9..10]]);
        assert_close(&got.data, rows(&expected, 9..10), "after making room");

        // No session is longer than the model's tables, whatever was asked for.
        let session = model.open(1);
        let wanted = CONTEXT as usize + 1;
        let full = ExecError::ContextFull {
            wanted,
            max: CONTEXT as usize,
        };
        assert_eq!(model.run(session, &vec![1; wanted], &[0], &[]), Err(full));
    }
}

#[test]
fn what_does_not_exist_is_an_error_before_anything_changes() {
    let ids = ids(11, 8);
    let mut model = model(Precision::Exact);
    let expected = fresh(&mut model, &ids);
    let session = model.open(1);
    model.all(session, &[&ids[..5]]);
    let out_of_range = |what, index, len| Err(ExecError::OutOfRange { what, index, len });

    let (vocab, none) = (VOCAB as usize, &[][..]);
    assert_eq!(
        model.run(session, &[1, VOCAB, 2], &[0], none),
        out_of_range("Token", vocab, vocab)
    );
    assert_eq!(
        model.run(session, &[1, 2], &[2], none),
        out_of_range("Row", 2, 2)
    );
    let tap = Tap {
        node: NodeId(usize::MAX),
        policy: TapPolicy::Last,
    };
    let unknown = model.run(session, &[1], &[0], &[tap]);
    assert!(
        matches!(unknown, Err(ExecError::Unknown { what: "node", .. })),
        "{unknown:?}"
    );
    let empty = model.run(session, &[], &[], none);
    assert!(
        matches!(empty, Err(ExecError::InputShape { .. })),
        "{empty:?}"
    );
    assert!(model.kept(session, NodeId(usize::MAX), &[]).is_err());

    assert_eq!(model.exec.len(session).unwrap(), 5);
    let got = model.all(session, &[&ids[5..]]);
    assert_close(&got.data, rows(&expected, 5..8), "after the errors");

    model.exec.close(session);
    for gone in [session, SessionId(u32::MAX)] {
        let unknown = model.run(gone, &[1], &[0], none);
        assert!(
            matches!(
                unknown,
                Err(ExecError::Unknown {
                    what: "session",
                    ..
                })
            ),
            "{unknown:?}"
        );
        assert!(model.exec.len(gone).is_err() && model.exec.fork(gone).is_err());
    }
}
