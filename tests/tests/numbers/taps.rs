//! Taps on a small model: they show what was computed, cost what they must and change nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use glassformer_graph::{ExecError, NodeId, Precision, Role, Tap, TapPolicy};

use crate::golden::{self, DECODE, Target, max_diff};
use crate::small::{ids, model, targets};

/// A tap of this node.
fn tap(node: NodeId, policy: TapPolicy) -> [Tap; 1] {
    [Tap { node, policy }]
}

/// What each step does and for which node, without where its values are.
fn work(steps: &[String]) -> Vec<String> {
    let work = |step: &String| step.split(' ').take(2).collect::<Vec<_>>().join(" ");
    steps.iter().map(work).collect()
}

#[test]
fn taps_add_only_what_they_must() {
    for target in targets("taps_add_only_what_they_must") {
        added_steps(target);
    }
}

fn added_steps(target: Target) {
    let mut used = model(target);
    let untapped = model(target).exec.steps(DECODE, &[]).unwrap();
    let (probs, stream) = (used.probs(0), used.residual(1));
    let session = used.open(1);
    for node in [probs, stream] {
        used.run(session, &[1, 2, 3], &[2], &tap(node, TapPolicy::Append))
            .unwrap();
    }
    assert_eq!(used.exec.steps(DECODE, &[]).unwrap(), untapped);

    // A value that is computed anyway costs no step.
    let steps = used
        .exec
        .steps(DECODE, &tap(stream, TapPolicy::Last))
        .unwrap();
    assert_eq!(work(&steps), work(&untapped));

    // Looking into one attention takes that one apart and leaves the others.
    let steps = used
        .exec
        .steps(DECODE, &tap(probs, TapPolicy::Last))
        .unwrap();
    let mut expected = work(&untapped);
    let at = "model.layers.0.self_attn";
    let fused = expected
        .iter()
        .position(|step| step.starts_with("attention") && step.ends_with(&format!("{at}.context")));
    let parts = ["attention_scores", "softmax", "attention_context"].into_iter();
    let parts = parts
        .zip(["scores", "probs", "context"])
        .map(|(op, part)| format!("{op} {at}.{part}"));
    expected.splice(fused.unwrap()..=fused.unwrap(), parts);
    assert_eq!(work(&steps), expected);
}

#[test]
fn taps_change_nothing() {
    let (start, more) = (ids(12, 29), ids(13, 4));
    for target in targets("taps_change_nothing") {
        let mut model = model(target);
        let all: Vec<NodeId> = model.graph().ids().collect();
        let (plain, tapped) = (model.open(1), model.open(1));
        let taps = golden::taps(&all);
        for ids in [&start[..]].into_iter().chain(more.chunks(1)) {
            let rows: Vec<u32> = (0..ids.len() as u32).collect();
            let a = model.run(plain, ids, &rows, &[]).unwrap();
            let b = model.run(tapped, ids, &rows, &taps).unwrap();
            // On the CPU one function computes a row of attention whether or not it is fused; on the
            // GPU another shader does, in another order. Logits of this model are about 12.
            let tolerance = match target {
                Target::Cpu(_) => 0.0,
                Target::Gpu(..) => 5e-6 * golden::max_abs(&a.data),
            };
            let diff = max_diff(&a.data, &b.data);
            assert!(diff <= tolerance, "{target:?}: {diff:e}");
        }
    }
}

#[test]
fn taps_keep_the_last_run_or_all() {
    let mut model = model(Precision::Exact);
    let (last, all) = (model.probs(0), model.probs(1));
    let session = model.open(1);
    let taps = [tap(last, TapPolicy::Last), tap(all, TapPolicy::Append)].concat();
    let mut seen = Vec::new();
    for ids in [&[1, 2, 3][..], &[4], &[5, 6]] {
        model.run(session, ids, &[0], &taps).unwrap();
        seen.push(model.last(session, all, &[]));
    }
    let shapes: Vec<_> = seen.iter().map(|tensor| tensor.shape.clone()).collect();
    assert_eq!(shapes, [[1, 4, 3, 3], [1, 4, 1, 4], [1, 4, 2, 6]]);
    assert_eq!(model.kept(session, all, &[]).unwrap(), seen);
    let only = model.kept(session, last, &[]).unwrap();
    assert_eq!(only.len(), 1);
    assert_eq!(only[0].shape, [1, 4, 2, 6]);

    // A fork has what was kept; the last value goes with the next run, all with truncating.
    let fork = model.exec.fork(session).unwrap();
    assert_eq!(model.kept(fork, all, &[]).unwrap(), seen);
    model.run(session, &[7], &[0], &[]).unwrap();
    let name = model.graph().node(last).name.clone();
    assert_eq!(
        model.kept(session, last, &[]),
        Err(ExecError::NotKept(name.clone()))
    );
    model.exec.truncate(fork, 2).unwrap();
    assert!(model.kept(fork, all, &[]).is_err());
}

#[test]
fn a_part_of_a_value_is_selected_by_its_first_axes() {
    let mut model = model(Precision::Exact);
    let node = model.role(Role::AttentionProbs {
        stack: golden::STACK,
        layer: 1,
    });
    let session = model.open(2);
    let taps = tap(node, TapPolicy::Last);
    model
        .run(session, &[ids(14, 5), ids(15, 5)].concat(), &[4], &taps)
        .unwrap();
    let whole = model.last(session, node, &[]);
    assert_eq!(whole.shape, [2, 4, 5, 5]);
    for (b, head) in [(0, 0), (0, 3), (1, 0), (1, 2)] {
        let part = model.last(session, node, &[b, head]);
        assert_eq!(part.shape, [5, 5]);
        let at = (b * 4 + head) * 25;
        assert_eq!(part.data, whole.data[at..at + 25]);
        let row = model.last(session, node, &[b, head, 3]);
        assert_eq!(row.data, part.data[15..20]);
    }
    for (select, index, len) in [
        (&[2][..], 2, 2),
        (&[0, 4], 4, 4),
        (&[1, 3, 5], 5, 5),
        (&[0, 0, 0, 0, 0], 0, 0),
    ] {
        let error = ExecError::OutOfRange {
            what: "Index",
            index,
            len,
        };
        assert_eq!(model.kept(session, node, select), Err(error), "{select:?}");
    }
}
