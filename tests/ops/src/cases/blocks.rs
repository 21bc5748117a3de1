//! Whole layers of a language model.

use glassformer_graph::{Binary, Encoding, Mask, NodeId, RopeLayout, Unary};

use super::Extent;
use crate::{Made, Net, On, Pair, Report};

const VOCAB: usize = 70;

/// Two layers.
fn layers(encoding: Encoding, [heads, kv_heads, width]: [usize; 3]) -> Made {
    let (hidden, ffn) = (heads * width, heads * width + 64);
    let mut net = Net::new(40);
    let rows = net.rows();
    let table = net.angles(width);
    let layout = RopeLayout::Interleaved;
    let mut x = net.source("embedding", hidden);
    for layer in 0..2 {
        let name = |what: &str| format!("{what} of layer {layer}");
        let n = net.norm(&name("norm"), x, hidden);
        let mut parts = Vec::new();
        for (what, heads) in [("q", heads), ("k", kv_heads), ("v", kv_heads)] {
            let shape = [heads * width, hidden];
            let flat = net.linear(&name(&format!("{what}, flat")), n, shape, encoding, false);
            parts.push(net.builder.split(&name(what), flat, heads).unwrap());
        }
        let states = [0; 2].map(|_| net.state([kv_heads, width]));
        let b = &mut net.builder;
        let q = b.rope(&name("q, turned"), parts[0], table, layout).unwrap();
        let k = b.rope(&name("k, turned"), parts[1], table, layout).unwrap();
        let k = b.append(&name("keys"), k, states[0]).unwrap();
        let v = b.append(&name("values"), parts[2], states[1]).unwrap();
        let scale = 1.0 / (width as f32).sqrt();
        let scores = b.attention_scores(&name("scores"), q, k, None, scale, Mask::Causal);
        let probs = b.softmax(&name("probs"), scores.unwrap()).unwrap();
        let context = b.attention_context(&name("context"), probs, v).unwrap();
        let joined = b.join(&name("joined"), context).unwrap();
        let o = net.linear(&name("o"), joined, [hidden, hidden], encoding, false);
        let b = &mut net.builder;
        x = b.binary(&name("attended"), x, o, Binary::Add).unwrap();
        let n = net.norm(&name("second norm"), x, hidden);
        let gate = net.linear(&name("gate"), n, [ffn, hidden], encoding, false);
        let up = net.linear(&name("up"), n, [ffn, hidden], encoding, false);
        let b = &mut net.builder;
        let act = b.unary(&name("act"), gate, Unary::Silu).unwrap();
        let gated = b.binary(&name("gated"), act, up, Binary::Mul).unwrap();
        let down = net.linear(&name("down"), gated, [hidden, ffn], encoding, false);
        let b = &mut net.builder;
        x = b.binary(&name("out"), x, down, Binary::Add).unwrap();
    }
    let x = net.builder.select_rows("selected", x, rows).unwrap();
    let n = net.norm("last norm", x, hidden);
    let logits = net.linear("logits", n, [VOCAB, hidden], encoding, false);
    net.finish(&[logits])
}

/// Two layers with nothing, everything and each node looked at, over the growth of the cache.
pub async fn blocks(on: On, extent: Extent) -> Report {
    let sizes: &[(Encoding, [usize; 3])] = match extent {
        Extent::All => &[(Encoding::Q4_1, [3, 1, 64]), (Encoding::F32, [4, 2, 6])],
        Extent::Some => &[(Encoding::Q4_1, [3, 1, 64])],
    };
    let mut report = Report::default();
    for &(encoding, heads) in sizes {
        let name = format!("layers of {encoding}, heads {heads:?}");
        let made = layers(encoding, heads);
        let mut pair = Pair::load(&name, &on, made).deep(5e-5);
        let shaders = pair.shaders(&[]);
        let per_layer = (shaders.len() - 3) / 2;
        // Heads of whole vectors make attention one dispatch.
        let expected = if heads[2].is_multiple_of(4) { 5 } else { 7 };
        pair.report
            .check(per_layer == expected, || format!("{name}: {shaders:?}"));
        let nodes = pair.nodes();
        let open = pair.open(1);
        // 50 in all. On a slow device only what nobody looks at comes in tiles.
        let all = extent == Extent::All;
        for (q_len, all) in [(5, all), (1, false), (1, true), (3, false), (40, all)] {
            let taps = if all { &nodes[..] } else { &[] };
            pair.run(open, q_len, &[q_len as u32 - 1], taps).await;
        }
        let alone: &[NodeId] = if extent == Extent::All { &nodes } else { &[] };
        for node in alone {
            pair.run(open, 1, &[0], &[*node]).await;
        }
        // On to 254, then token by token.
        let left = 254 - 50 - alone.len();
        for q_len in [left, 1, 1, 1, 2, 6] {
            pair.run(open, q_len, &[0], &[]).await;
        }
        pair.close(open);
        report.add(pair.report);
    }
    report
}
