//! Attention over caches around the lengths at which they grow, and over a run's own positions.

use glassformer_graph::{Mask, NodeId, RopeLayout};

use super::Extent;
use crate::{Net, On, Pair, Report};

/// Heads of queries, of keys and values, and their width.
fn heads(extent: Extent) -> &'static [[usize; 3]] {
    match extent {
        Extent::All => &[
            [3, 1, 2],
            [3, 3, 4],
            [3, 1, 33],
            [6, 2, 64],
            [1, 1, 128],
            [3, 1, 256],
        ],
        Extent::Some => &[[3, 1, 33], [3, 1, 64]],
    }
}

/// Scores, probabilities and context of one query.
fn attend(net: &mut Net, name: &str, qkv: [NodeId; 3], width: usize, mask: Mask) -> NodeId {
    attend_with(net, name, qkv, None, width, mask)
}

fn attend_with(
    net: &mut Net,
    name: &str,
    [q, k, v]: [NodeId; 3],
    bias: Option<NodeId>,
    width: usize,
    mask: Mask,
) -> NodeId {
    let with = if bias.is_some() { " with bias" } else { "" };
    let name = |what: &str| format!("{what} of {name} {mask:?}{with}");
    let scale = 1.0 / (width as f32).sqrt();
    let scores = if mask == Mask::Lengths {
        let lengths = net.lengths();
        let builder = &mut net.builder;
        builder.padded_attention_scores(&name("scores"), q, k, lengths, None, scale)
    } else {
        let builder = &mut net.builder;
        builder.attention_scores(&name("scores"), q, k, bias, scale, mask)
    };
    let builder = &mut net.builder;
    let probs = builder.softmax(&name("probs"), scores.unwrap()).unwrap();
    let context = builder.attention_context(&name("context"), probs, v);
    context.unwrap()
}

/// Attention whose scores others are added to, another for each sequence.
fn biased(net: &mut Net, name: &str, [q, k, v]: [NodeId; 3], width: usize) -> NodeId {
    let own = format!("bias of {name}");
    let scale = 0.7 / (width as f32).sqrt();
    let builder = &mut net.builder;
    let bias = builder.attention_scores(&own, q, k, None, scale, Mask::Full);
    let bias = Some(bias.unwrap());
    attend_with(net, name, [q, k, v], bias, width, Mask::Causal)
}

/// Query, key and value of a table each, `[batch, q_len, heads, width]`.
fn operands(net: &mut Net, name: &str, [heads, kv_heads, width]: [usize; 3]) -> [NodeId; 3] {
    [("q", heads), ("k", kv_heads), ("v", kv_heads)].map(|(what, heads)| {
        let flat = net.source(&format!("{what} of {name}, flat"), heads * width);
        let name = format!("{what} of {name}");
        net.builder.split(&name, flat, heads).unwrap()
    })
}

/// Every mask over a cache that passes its first growth.
pub async fn with_a_cache(on: On, extent: Extent) -> Report {
    let mut net = Net::new(4);
    let mut outputs = Vec::new();
    for (i, &sizes) in heads(extent).iter().enumerate() {
        let [_, kv_heads, width] = sizes;
        let name = format!("{sizes:?}");
        let [mut q, mut k, v] = operands(&mut net, &name, sizes);
        if width.is_multiple_of(2) {
            let table = net.angles(width);
            let layout = [RopeLayout::Half, RopeLayout::Interleaved][i % 2];
            for (what, node) in [("q", &mut q), ("k", &mut k)] {
                let name = format!("{what} of {name}, turned");
                *node = net.builder.rope(&name, *node, table, layout).unwrap();
            }
        }
        let states = [0; 2].map(|_| net.state([kv_heads, width]));
        let [k, v] = [("k", k, states[0]), ("v", v, states[1])].map(|(what, node, state)| {
            let name = format!("{what} of {name}, appended");
            net.builder.append(&name, node, state).unwrap()
        });
        for mask in [Mask::Full, Mask::Causal, Mask::Window(1), Mask::Window(200)] {
            outputs.push(attend(&mut net, &name, [q, k, v], width, mask));
        }
        if width == 64 {
            outputs.push(biased(&mut net, &name, [q, k, v], width));
        }
    }
    let made = net.finish(&outputs);
    let mut pair = Pair::load("cache", &on, made);
    let nodes = pair.nodes();
    let batches: &[usize] = match extent {
        Extent::All => &[1, 3],
        Extent::Some => &[1],
    };
    for &batch in batches {
        let open = pair.open(batch);
        // 3, 63, 64, 65, 254, 255, 256, 257, 258, 323, 324 in all.
        for (q_len, looked_at) in [
            (3, true),
            (60, false),
            (1, false),
            (1, true),
            (189, false),
            (1, false),
            (1, true),
            (1, false),
            (1, true),
            (65, false),
            (1, true),
        ] {
            let taps = if looked_at { &nodes[..] } else { &[] };
            pair.run(open, q_len, &[], taps).await;
        }
        pair.close(open);
    }
    pair.report
}

/// More keys than one workgroup attends to: several take a part each, of which some may be empty.
pub async fn over_many_keys(on: On, extent: Extent) -> Report {
    let sizes: &[[usize; 3]] = match extent {
        Extent::All => &[[2, 1, 64], [1, 1, 256]],
        Extent::Some => &[[1, 1, 64]],
    };
    let mut net = Net::new(7);
    let mut outputs = Vec::new();
    for &sizes in sizes {
        let name = format!("{sizes:?}");
        let [q, k, v] = operands(&mut net, &name, sizes);
        let [_, kv_heads, width] = sizes;
        let states = [0; 2].map(|_| net.state([kv_heads, width]));
        let [k, v] = [("k", k, states[0]), ("v", v, states[1])].map(|(what, node, state)| {
            let name = format!("{what} of {name}, appended");
            net.builder.append(&name, node, state).unwrap()
        });
        for mask in [Mask::Full, Mask::Causal, Mask::Window(100)] {
            outputs.push(attend(&mut net, &name, [q, k, v], width, mask));
        }
    }
    let made = net.finish(&outputs);
    // Sums of eight hundred products.
    let mut pair = Pair::load("many keys", &on, made).deep(6e-6);
    let open = pair.open(if extent == Extent::All { 2 } else { 1 });
    // 766, 768, 769, 771, 801 and 802 in all; up to 768, one workgroup has all.
    for q_len in [766, 2, 1, 2, 30, 1] {
        pair.run(open, q_len, &[], &[]).await;
    }
    pair.report
}

/// An encoder's: keys and values are this run's own.
pub async fn without_a_cache(on: On, extent: Extent) -> Report {
    let mut net = Net::new(5);
    let mut outputs = Vec::new();
    for &sizes in heads(extent) {
        let name = format!("{sizes:?}");
        let operands = operands(&mut net, &name, sizes);
        for mask in [Mask::Full, Mask::Causal, Mask::Window(3), Mask::Lengths] {
            outputs.push(attend(&mut net, &name, operands, sizes[2], mask));
        }
        if sizes[2] == 64 {
            outputs.push(biased(&mut net, &name, operands, sizes[2]));
        }
    }
    let made = net.finish(&outputs);
    let mut pair = Pair::load("no cache", &on, made);
    let nodes = pair.nodes();
    for &(batch, q_len) in super::lengths(extent) {
        let open = pair.open(batch);
        pair.run(open, q_len, &[], &nodes).await;
        pair.run(open, q_len, &[], &[]).await;
        pair.close(open);
    }
    pair.report
}
