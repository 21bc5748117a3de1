//! What the GPU computes at once, and graphs that nearly allow it.

use glassformer_graph::{Binary, Encoding, NodeId, RopeLayout, Unary};

use super::Extent;
use crate::{Net, On, Pair, Report};

/// A projection of normed numbers to query, key and value.
#[derive(Clone, Copy, Debug)]
struct Projection {
    hidden: usize,
    heads: [usize; 3],
    encodings: [Encoding; 3],
    bias: bool,
    norm: bool,
    layouts: [Option<RopeLayout>; 2],
    /// Whether it is one dispatch.
    fused: bool,
}

fn project(net: &mut Net, name: &str, p: Projection) -> [NodeId; 3] {
    let name = |what: &str| format!("{what} of {name}");
    let [heads, kv_heads, width] = p.heads;
    let mut x = net.source(&name("x"), p.hidden);
    if p.norm {
        x = net.norm(&name("norm"), x, p.hidden);
    }
    let table = net.angles(width.next_multiple_of(2));
    let parts = [("q", heads), ("k", kv_heads), ("v", kv_heads)];
    let mut ends = Vec::new();
    for (i, (what, heads)) in parts.into_iter().enumerate() {
        let shape = [heads * width, p.hidden];
        let flat = net.linear(&name(what), x, shape, p.encodings[i], p.bias);
        let split = name(&format!("{what}, split"));
        let mut node = net.builder.split(&split, flat, heads).unwrap();
        if let Some(&Some(layout)) = p.layouts.get(i) {
            let turned = name(&format!("{what}, turned"));
            node = net.builder.rope(&turned, node, table, layout).unwrap();
        }
        if i > 0 {
            let state = net.state([kv_heads, width]);
            let appended = name(&format!("{what}, appended"));
            node = net.builder.append(&appended, node, state).unwrap();
        }
        ends.push(node);
    }
    [ends[0], ends[1], ends[2]]
}

/// Projections with and without norm, bias and positions, in every encoding, each with every node
/// looked at alone and all at once.
pub async fn projections(on: On, extent: Extent) -> Report {
    use Encoding::{BF16, F16, F32, Q4_0, Q4_1, Q8_0};
    const HALF: Option<RopeLayout> = Some(RopeLayout::Half);
    const PAIRS: Option<RopeLayout> = Some(RopeLayout::Interleaved);
    let plain = Projection {
        hidden: 64,
        heads: [3, 1, 32],
        encodings: [Q4_1; 3],
        bias: false,
        norm: true,
        layouts: [PAIRS; 2],
        fused: true,
    };
    let of = |encoding: Encoding| Projection {
        encodings: [encoding; 3],
        ..plain
    };
    let mut projections = vec![
        plain,
        Projection {
            hidden: 33,
            heads: [3, 1, 2],
            bias: true,
            layouts: [HALF; 2],
            ..of(F16)
        },
        Projection {
            hidden: 576,
            heads: [9, 3, 64],
            layouts: [HALF; 2],
            ..of(Q4_0)
        },
        Projection {
            norm: false,
            ..of(Q8_0)
        },
        Projection {
            heads: [2, 2, 6],
            layouts: [None; 2],
            bias: true,
            ..of(F32)
        },
        // Keys turn and queries do not, or heads are odd, or encodings differ: one by one.
        Projection {
            layouts: [None, HALF],
            fused: false,
            ..of(BF16)
        },
        Projection {
            heads: [3, 1, 33],
            layouts: [None; 2],
            fused: false,
            ..of(F32)
        },
        Projection {
            encodings: [Q4_1, Q4_0, Q8_0],
            fused: false,
            ..plain
        },
    ];
    if extent == Extent::Some {
        projections.truncate(2);
    }
    let mut report = Report::default();
    for (i, p) in projections.into_iter().enumerate() {
        let mut net = Net::new(10 + i as u64);
        let ends = project(&mut net, "p", p);
        let made = net.finish(&ends);
        let mut pair = Pair::load(&format!("{p:?}"), &on, made).deep(2e-5);
        let shaders = pair.shaders(&[]);
        let fused = shaders.iter().any(|name| name == "project_vector");
        let normed = shaders.iter().any(|name| name == "rms_norm");
        pair.report
            .check(fused == p.fused, || format!("{p:?}: {shaders:?}"));
        pair.report.check(!normed, || format!("{p:?}: {shaders:?}"));
        look_everywhere(&mut pair, &[1, 5, 2, 33, 4, 1], extent).await;
        report.add(pair.report);
    }
    report
}

/// Runs sessions with no node looked at, each alone, and all.
async fn look_everywhere(pair: &mut Pair, lengths: &[usize], extent: Extent) {
    let nodes = pair.nodes();
    let (batches, lengths): (&[usize], _) = match extent {
        Extent::All => (&[1, 3], lengths),
        Extent::Some => (&[1], &lengths[..1]),
    };
    for &batch in batches {
        let open = pair.open(batch);
        for &q_len in lengths {
            pair.run(open, q_len, &[0], &[]).await;
        }
        pair.run(open, 2, &[1], &nodes).await;
        if extent == Extent::All {
            pair.run(open, 7, &[6, 3], &nodes).await;
        }
        if batch == 1 && extent == Extent::All {
            for node in &nodes {
                pair.run(open, 1, &[0], &[*node]).await;
            }
            for node in &nodes {
                pair.run(open, 6, &[5], &[*node]).await;
            }
        }
        pair.close(open);
    }
}

/// Products with norms before and sums or gates behind them, and what looks like that.
pub async fn products(on: On, extent: Extent) -> Report {
    let encodings: &[Encoding] = match extent {
        Extent::All => &[Encoding::F32, Encoding::Q4_1],
        Extent::Some => &[Encoding::Q4_1],
    };
    let mut report = Report::default();
    for &encoding in encodings {
        let wide = encoding.block_len() == 1;
        let (a, b) = if wide { (31, 45) } else { (32, 96) };
        let made = neighbours(a, b, encoding);
        let name = format!("neighbours of {encoding}");
        let mut pair = Pair::load(&name, &on, made).deep(2e-5);
        let shaders = pair.shaders(&[]);
        let count = |name: &str| shaders.iter().filter(|shader| *shader == name).count();
        // `gated` and `gated twice`; every other pair of factors is no gate.
        let expected = [("gate_up_vector", 2), ("rms_norm", 2)];
        for (name, expected) in expected {
            pair.report.check(count(name) == expected, || {
                format!("{name} is there {} times: {shaders:?}", count(name))
            });
        }
        look_everywhere(&mut pair, &[1, 4, 5, 32, 33], extent).await;
        report.add(pair.report);
    }
    report
}

fn neighbours(a: usize, b: usize, encoding: Encoding) -> crate::Made {
    let mut net = Net::new(30);
    let rows = net.rows();
    let x = net.source("x", a);
    let y = net.source("y", a);
    let mut outputs = Vec::new();
    let linear = |net: &mut Net, name: &str, x, shape| net.linear(name, x, shape, encoding, false);

    // A residual before or behind the product, or a product itself; the same product twice.
    let residual = [("left", true), ("right", false)].map(|(name, left)| {
        let product = net.linear(name, x, [a, a], encoding, left);
        let (p, q) = if left { (product, y) } else { (y, product) };
        let name = format!("{name} sum");
        net.builder.binary(&name, p, q, Binary::Add).unwrap()
    });
    outputs.extend(residual);
    let [p, q] = ["first", "second"].map(|name| linear(&mut net, name, residual[0], [a, a]));
    outputs.push(net.builder.binary("both", p, q, Binary::Add).unwrap());
    let p = linear(&mut net, "doubled", y, [a, a]);
    outputs.push(net.builder.binary("double", p, p, Binary::Add).unwrap());
    let p = linear(&mut net, "read twice", residual[1], [a, a]);
    outputs.push(net.builder.binary("once", p, x, Binary::Add).unwrap());
    outputs.push(net.builder.binary("twice", p, y, Binary::Mul).unwrap());

    // Gates: of a norm, of plain numbers, and not gates.
    let gate = |net: &mut Net, name: &str, [g, u]: [NodeId; 2], bias: bool, swap: bool| {
        let gate = net.linear(&format!("{name} gate"), g, [b, a], encoding, bias);
        let up = net.linear(&format!("{name} up"), u, [b, a], encoding, false);
        let silu = Unary::Silu;
        let act = net.builder.unary(&format!("{name} act"), gate, silu);
        let (p, q) = if swap {
            (up, act.unwrap())
        } else {
            (act.unwrap(), up)
        };
        net.builder.binary(name, p, q, Binary::Mul).unwrap()
    };
    let n = net.norm("norm", residual[0], a);
    let gated = gate(&mut net, "gated", [n, n], false, false);
    let down = linear(&mut net, "down", gated, [a, b]);
    let out = net.builder.binary("out", residual[0], down, Binary::Add);
    let out = out.unwrap();
    outputs.push(out);
    outputs.push(gate(&mut net, "gated twice", [out, out], false, false));
    let z = net.source("z", a);
    outputs.push(gate(&mut net, "biased", [z, z], true, false));
    let z = net.source("w", a);
    outputs.push(gate(&mut net, "swapped", [z, z], false, true));
    outputs.push(gate(&mut net, "of two", [y, z], false, false));

    // Norms: one that something else reads too, one of each head, and one of selected rows.
    let n = net.norm("shared norm", out, a);
    outputs.push(linear(&mut net, "of shared", n, [a, a]));
    outputs.push(net.builder.binary("shared", n, y, Binary::Mul).unwrap());
    let flat = linear(&mut net, "heads, flat", x, [3 * a, a]);
    let heads = net.builder.split("heads", flat, 3).unwrap();
    let n = net.norm("head norm", heads, a);
    outputs.push(linear(&mut net, "of heads", n, [5, a]));
    let turned = net.builder.unary("turned heads", n, Unary::Silu).unwrap();
    outputs.push(net.builder.join("joined", turned).unwrap());
    let selected = net.builder.select_rows("selected", out, rows).unwrap();
    let n = net.norm("last norm", selected, a);
    let p = linear(&mut net, "of selected", n, [a, a]);
    outputs.push(net.builder.binary("end", p, selected, Binary::Add).unwrap());
    net.finish(&outputs)
}
