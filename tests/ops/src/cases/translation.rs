//! What translators need: logits of chosen words, recurrent states, and a source that beams share.

use glassformer_graph::{Binary, Encoding, Input, Mask, NodeId, StateKind, Unary};

use super::{Extent, lengths};
use crate::compare::input;
use crate::net::{CONTEXT, VOCAB};
use crate::{Made, Net, On, Pair, Random, Report};

/// Products with chosen rows of matrices of several encodings, as few and as many as there may be.
pub async fn chosen_rows(on: On, extent: Extent) -> Report {
    let all = [
        (Encoding::I8, 36, true),
        (Encoding::I8, 256, false),
        (Encoding::F32, 33, true),
        (Encoding::Q8_0, 64, false),
        (Encoding::F16, 1, true),
    ];
    let all = if extent == Extent::All {
        &all[..]
    } else {
        &all[..1]
    };
    let mut report = Report::default();
    for &(encoding, width, bias) in all {
        let mut net = Net::new(50);
        let words = net.words();
        let x = net.source("x", width);
        let matrix = net.matrix(VOCAB, width, encoding);
        let bias = bias.then(|| net.vector(VOCAB, Encoding::F32));
        let y = net.builder.linear_rows("y", x, words, matrix, bias);
        let made = net.finish(&[y.unwrap()]);
        let mut random = Random::new(51);
        let mut pair = Pair::load(&format!("rows of {encoding}, {width}"), &on, made);
        for &(batch, q_len) in lengths(extent) {
            let open = pair.open(batch);
            for count in [1, 2, 7, 40, 97] {
                let (ids, words) = (random.ids(batch * q_len), random.ids(count));
                let inputs = [input("ids", &ids), input("words", &words)];
                let at = format!("{count} words of batch {batch} of {q_len}");
                pair.compare(open, "run", &inputs, &[], &at).await;
            }
            pair.close(open);
        }
        report.add(pair.report);
    }
    report
}

/// A token's row, its factor, the nothing a text begins with, its place; then the cell of a recurrent
/// unit and what comes behind it. Sequences are copied, cut off, and go on from each other.
pub async fn recurrent(on: On, extent: Extent) -> Report {
    let widths: &[usize] = match extent {
        Extent::All => &[1, 33, 256],
        Extent::Some => &[33],
    };
    let mut report = Report::default();
    for &width in widths {
        let mut net = Net::new(60);
        let x = net.source("token", width);
        let other = net.source("other", width);
        let places = net.places(width);
        let b = &mut net.builder;
        let x = b.scale("scaled", x, (width as f32).sqrt()).unwrap();
        let x = b.zero_start("start", x).unwrap();
        let x = b.positions("placed", x, places).unwrap();
        let gate = b.unary("gate", other, Unary::Sigmoid).unwrap();
        let state = |b: &mut glassformer_graph::Builder, name: &str| {
            b.state_of(StateKind::Recurrent, name, &[width], CONTEXT)
        };
        let state_a = state(b, "a");
        let cell = b.recur("cell", [gate, x], state_a).unwrap();
        let out = b.unary("out", cell, Unary::Relu).unwrap();
        let sum = b.binary("sum", x, out, Binary::Add).unwrap();
        // One whose cell is read twice, and nothing but the cell.
        let state_b = state(b, "b");
        let plain = b.recur("plain", [gate, sum], state_b).unwrap();
        let twice = b.binary("twice", plain, plain, Binary::Mul).unwrap();
        let made = net.finish(&[sum, twice]);
        // A sum of many cells goes through all of them.
        let mut pair = Pair::load(&format!("cells of {width}"), &on, made).deep(4e-6);
        let shaders = pair.shaders(&[]);
        let expected = [
            "embedding",
            "embedding",
            "elementwise",
            "recur",
            "recur",
            "elementwise",
        ];
        pair.report
            .check(shaders == expected, || format!("{width}: {shaders:?}"));
        let nodes = pair.nodes();
        let mut open = pair.open(2);
        let steps: &[usize] = match extent {
            Extent::All => &[1, 1, 5, 2, 33, 1],
            Extent::Some => &[1, 3],
        };
        for &q_len in steps {
            pair.run(open, q_len, &[], &nodes).await;
            pair.run(open, q_len, &[], &[]).await;
        }
        // More sequences, fewer, as many in another order.
        let copy = pair.fork(open);
        for from in [
            &[1, 0, 1, 1, 0][..],
            &[4, 0, 2],
            &[2, 1, 0],
            &[0, 1, 2],
            &[1],
        ] {
            pair.reorder(&mut open, from);
            pair.run(open, 1, &[], &nodes).await;
            pair.run(open, 2, &[], &[]).await;
        }
        pair.run(copy, 1, &[], &nodes).await;
        pair.truncate(open, 0);
        pair.run(open, 2, &[], &nodes).await;
        report.add(pair.report);
    }
    report
}

/// Heads of queries, of keys and values, and their width.
type Heads = [usize; 3];

/// Sources whose keys and values are stored, one of them by a product that nothing else reads; then
/// what attends to it and to itself.
fn translator([heads, kv_heads, width]: Heads, encoding: Encoding) -> Made {
    let (hidden, kv) = (heads * width, kv_heads * width);
    let mut net = Net::new(70);
    let states = ["keys", "values"].map(|name| {
        let row = [kv_heads, width];
        net.builder.state_of(StateKind::Source, name, &row, CONTEXT)
    });
    net.source_ids();
    let places = net.places(hidden);
    let x = net.source("token", hidden);
    let b = &mut net.builder;
    let x = b.positions("placed", x, places).unwrap();
    let own = net.linear("own", x, [hidden, hidden], encoding, true);
    let own = net.builder.split("own heads", own, heads).unwrap();
    let read = attend(&mut net, "own", [own, own, own], width, Mask::Lengths);
    let lengths = net.lengths();
    let vectors = [0; 2].map(|_| net.vector(hidden, Encoding::F32));
    let read = net.builder.layer_norm("read", read, vectors, 1e-5).unwrap();
    let mut stored = Vec::new();
    for (i, name) in ["keys", "values"].into_iter().enumerate() {
        let flat = net.linear(
            &format!("{name}, flat"),
            read,
            [kv, hidden],
            encoding,
            i == 0,
        );
        let split = net.builder.split(&format!("{name}, split"), flat, kv_heads);
        let split = split.unwrap();
        let store = net.builder.store(name, split, lengths, states[i]);
        stored.push(store.unwrap());
    }
    net.entry("encode", &[read]);

    let rows = net.rows();
    let x = net.source("written", hidden);
    let x = net.builder.positions("placed", x, places).unwrap();
    let query = net.linear("q, flat", x, [hidden, hidden], encoding, true);
    let query = net.builder.split("q", query, heads).unwrap();
    // A product that is appended where it is computed, and values that something else reads too.
    let own_states = [0; 2].map(|_| net.state([heads, width]));
    let key = net.linear("k, flat", x, [hidden, hidden], encoding, true);
    let key = net.builder.split("k", key, heads).unwrap();
    let keys = net.builder.append("own keys", key, own_states[0]).unwrap();
    let values = net.builder.append("own values", query, own_states[1]);
    let own = [query, keys, values.unwrap()];
    let itself = attend(&mut net, "itself", own, width, Mask::Causal);
    let again = net.builder.split("itself, split", itself, heads).unwrap();
    let [keys, values] = [("keys", states[0]), ("values", states[1])]
        .map(|(name, s)| net.builder.recall(name, s).unwrap());
    let cross = attend(
        &mut net,
        "source",
        [again, keys, values],
        width,
        Mask::Source,
    );
    let fed = net.linear("fed", cross, [hidden + 3, hidden], encoding, true);
    let active = net.builder.unary("active", fed, Unary::Silu).unwrap();
    let last = net.builder.select_rows("last", active, rows).unwrap();
    net.finish(&[last])
}

/// Context of one attention, `[.., heads · width]`.
fn attend(net: &mut Net, name: &str, [q, k, v]: [NodeId; 3], width: usize, mask: Mask) -> NodeId {
    let name = |what: &str| format!("{what} of {name}");
    let scale = 1.0 / (width as f32).sqrt();
    let lengths = (mask == Mask::Lengths).then(|| net.lengths());
    let b = &mut net.builder;
    let scores = match lengths {
        Some(lengths) => b.padded_attention_scores(&name("scores"), q, k, lengths, None, scale),
        None => b.attention_scores(&name("scores"), q, k, None, scale, mask),
    };
    let probs = b.softmax(&name("probs"), scores.unwrap()).unwrap();
    let context = b.attention_context(&name("context"), probs, v).unwrap();
    b.join(&name("joined"), context).unwrap()
}

/// Sources that grow, one and several of different lengths, and beams that attend to them, copied, chosen
/// and cut back.
pub async fn sources(on: On, extent: Extent) -> Report {
    let all: &[(Heads, Encoding)] = &[
        ([2, 1, 32], Encoding::I8),
        ([3, 3, 12], Encoding::F32),
        // Attention in three steps.
        ([1, 1, 33], Encoding::F16),
    ];
    let all = if extent == Extent::All {
        all
    } else {
        &all[..1]
    };
    let mut report = Report::default();
    for &(heads, encoding) in all {
        let name = format!("source of {encoding}, heads {heads:?}");
        let made = translator(heads, encoding);
        let mut pair = Pair::load(&name, &on, made).deep(3e-5);
        let shaders = pair.shaders_of("encode", &[]);
        pair.report
            .check(!shaders.contains(&"append".to_owned()), || {
                format!("{name}: {shaders:?}")
            });
        let mut random = Random::new(71);
        let shaders = pair.shaders(&[]);
        let appended = shaders.iter().filter(|name| *name == "append").count();
        pair.report
            .check(appended == 1, || format!("{name}: {shaders:?}"));
        let nodes = pair.nodes();
        let read = pair.nodes_of("encode");
        let all: &[(usize, usize)] = match extent {
            Extent::All => &[(1, 1), (1, 5), (3, 5), (3, 3), (1, 3), (2, 65), (1, 200)],
            Extent::Some => &[(1, 5), (3, 5)],
        };
        for &(count, len) in all {
            let mut open = pair.open(count);
            let ids = random.ids(count * len);
            // The last is whole; others may be shorter.
            let mut lengths: Vec<u32> = (1..count).map(|_| 1 + random.below(len) as u32).collect();
            lengths.push(len as u32);
            let inputs: [Input<'_>; 2] = [input("ids", &ids), input("lengths", &lengths)];
            for taps in [&read[..], &[]] {
                let at = format!("{lengths:?} of sources");
                pair.compare(open, "encode", &inputs, taps, &at).await;
            }
            for (q_len, taps) in [(3, &nodes[..]), (1, &[]), (6, &[])] {
                pair.run(open, q_len, &[0, q_len as u32 - 1], taps).await;
            }
            let last = count as u32 - 1;
            for from in [&[0, last, last][..], &[2, 1, 0, 0, 1], &[0, 4]] {
                pair.reorder(&mut open, from);
                for taps in [&nodes[..], &[]] {
                    pair.run(open, 1, &[0], taps).await;
                }
            }
            let copy = pair.fork(open);
            pair.truncate(open, 4);
            pair.run(open, 2, &[1], &nodes).await;
            pair.run(copy, 1, &[0], &nodes).await;
            pair.close(copy);
            // Others in their place.
            let ids = random.ids(2 * len);
            let lengths = [len as u32, 1];
            let inputs: [Input<'_>; 2] = [input("ids", &ids), input("lengths", &lengths)];
            pair.truncate(open, 0);
            pair.compare(open, "encode", &inputs, &[], "other sources")
                .await;
            pair.run(open, 1, &[0], &nodes).await;
            pair.close(open);
        }
        report.add(pair.report);
    }
    report
}
