//! Operations that need no past, each straight behind a table.

use glassformer_graph::{Binary, Encoding, Precision, Unary};

use super::{Extent, lengths};
use crate::net::{ENCODINGS, VOCAB, columns};
use crate::{Net, On, Pair, Random, Report};

/// Widths that are no multiple of anything, and those of small models.
fn widths(extent: Extent) -> &'static [usize] {
    match extent {
        Extent::All => &[1, 3, 31, 33, 576, 1536],
        Extent::Some => &[33],
    }
}

/// Norms, functions of each number or pair, selected rows.
pub async fn elements(on: On, extent: Extent) -> Report {
    let mut net = Net::new(1);
    let rows = net.rows();
    let mut last = None;
    for &width in widths(extent) {
        let name = |what: &str| format!("{what} of {width}");
        let x = net.source(&name("x"), width);
        let y = net.source(&name("y"), width);
        net.norm(&name("norm"), x, width);
        let vectors = [0; 2].map(|_| net.vector(width, Encoding::F32));
        let builder = &mut net.builder;
        let norm = builder.layer_norm(&name("layer norm"), x, vectors, 1e-5);
        norm.unwrap();
        for (what, function) in [
            ("silu", Unary::Silu),
            ("gelu", Unary::Gelu),
            ("gelu by tanh", Unary::GeluTanh),
            ("quick gelu", Unary::QuickGelu),
            ("relu", Unary::Relu),
            ("sigmoid", Unary::Sigmoid),
        ] {
            builder.unary(&name(what), x, function).unwrap();
        }
        for (what, b, function) in [
            ("sum", y, Binary::Add),
            ("double", x, Binary::Add),
            ("product", y, Binary::Mul),
            ("square", x, Binary::Mul),
        ] {
            builder.binary(&name(what), x, b, function).unwrap();
        }
        builder.scale(&name("scaled"), x, 0.3).unwrap();
        last = Some(builder.select_rows(&name("rows"), x, rows).unwrap());
    }
    let made = net.finish(&[last.unwrap()]);
    let mut pair = Pair::load("elements", &on, made);
    let nodes = pair.nodes();
    for &(batch, q_len) in lengths(extent) {
        let open = pair.open(batch);
        let last = q_len as u32 - 1;
        let choices = [&[last, 0, last / 2][..], &[], &[last]];
        let count = if extent == Extent::All { 3 } else { 1 };
        for rows in &choices[..count] {
            pair.run(open, q_len, rows, &nodes).await;
        }
        pair.close(open);
    }
    pair.report
}

/// Matrix products and tables of every encoding, alone and stacked.
pub async fn products(on: On, extent: Extent) -> Report {
    let mut report = Report::default();
    // A software adapter compiles tiles for seconds: 4-bit blocks are in `blocks`, f32 is in none.
    // In half precision every layout of weights is another shader, and long sums are wanted.
    let half = on.precision == Precision::Fast;
    let encodings = match extent {
        Extent::All => &ENCODINGS[..],
        Extent::Some if half => &[
            Encoding::F32,
            Encoding::F16,
            Encoding::Q8_0,
            Encoding::Q4_1,
            Encoding::I8,
        ],
        Extent::Some => &[Encoding::F16, Encoding::Q8_0, Encoding::I8],
    };
    for &encoding in encodings {
        let mut net = Net::new(2);
        let mut last = None;
        let whole = |width: &usize| width.next_multiple_of(columns(encoding));
        let mut widths: Vec<usize> = widths(extent).iter().map(whole).collect();
        if half {
            widths.push(1536);
        }
        widths.dedup();
        for width in widths {
            let name = |what: &str| format!("{what} of {width}");
            let x = net.source(&name("x"), width);
            // Three that read the same value lie in one pair of buffers.
            let stack = [("two", 2, true), ("odd", 33, true), ("more", 70, false)];
            let stack = if extent == Extent::All {
                &stack[..]
            } else {
                &stack[1..2]
            };
            for (what, rows, bias) in stack {
                let product = net.linear(&name(what), x, [*rows, width], encoding, *bias);
                last = Some(product);
            }
            let (ids, table) = (net.ids(), net.matrix(VOCAB, width, encoding));
            let builder = &mut net.builder;
            builder.embedding(&name("table"), ids, table).unwrap();
            builder
                .position_embedding(&name("positions"), table, 3)
                .unwrap();
            if extent == Extent::Some {
                continue;
            }
            // One alone, and a table that is a matrix too.
            let y = net.source(&name("y"), width);
            net.linear(&name("one"), y, [1, width], encoding, false);
            net.builder.linear(&name("tied"), x, table, None).unwrap();
        }
        let made = net.finish(&[last.unwrap()]);
        let mut pair = Pair::load(&format!("products of {encoding}"), &on, made);
        let nodes = pair.nodes();
        for &(batch, q_len) in lengths(extent) {
            let open = pair.open(batch);
            pair.run(open, q_len, &[], &nodes).await;
            pair.close(open);
        }
        report.add(pair.report);
    }
    report
}

/// Matrices that are larger than a binding may be: tables, products with bias and residual, and
/// such as would lie behind each other were they smaller. For a device of [`SMALL_BINDING`].
pub async fn parts(on: On) -> Report {
    let mut report = Report::default();
    for (encoding, rows) in [
        (Encoding::F32, 301),
        (Encoding::F16, 301),
        (Encoding::Q8_0, 601),
        (Encoding::I8, 601),
        (Encoding::Q4_1, 1201),
    ] {
        let mut net = Net::new(6);
        let (ids, table) = (net.ids(), net.matrix(VOCAB, 2048, encoding));
        net.builder.embedding("table", ids, table).unwrap();
        let x = net.source("x", 576);
        let y = net.source("y", rows);
        net.linear("plain", x, [rows, 576], encoding, false);
        let product = net.linear("biased", x, [rows, 576], encoding, true);
        let sum = net.builder.binary("sum", product, y, Binary::Add);
        let made = net.finish(&[sum.unwrap()]);
        let mut pair = Pair::load(&format!("parts of {encoding}"), &on, made).deep(3e-6);
        let shaders = pair.shaders(&[]);
        let products = shaders.iter().filter(|name| *name == "linear_vector");
        let products = products.count();
        pair.report.check(products >= 2 * 3, || {
            format!("{encoding}: {products} products of parts")
        });
        let nodes = pair.nodes();
        let open = pair.open(1);
        for q_len in [1, 11] {
            pair.run(open, q_len, &[], &nodes).await;
            pair.run(open, q_len, &[], &[]).await;
        }
        report.add(pair.report);
    }
    report
}

/// Bytes that hold the values of [`parts`], and none of its matrices.
pub const SMALL_BINDING: u64 = 128 << 10;

/// Every number of tables of odd shapes, whatever the pieces they came in.
pub async fn weights_in_pieces(on: On, extent: Extent) -> Report {
    let mut report = Report::default();
    let mut random = Random::new(3);
    let all: Vec<u32> = (0..VOCAB as u32).collect();
    let times = if extent == Extent::All { 8 } else { 1 };
    for encoding in ENCODINGS {
        for _ in 0..times {
            let mut net = Net::new(random.draw());
            let ids = net.ids();
            let mut last = None;
            for i in 0..4 {
                let width = (1 + random.below(70)).next_multiple_of(columns(encoding));
                let table = net.matrix(VOCAB, width, encoding);
                last = Some(
                    net.builder
                        .embedding(&format!("table {i} of {width}"), ids, table)
                        .unwrap(),
                );
            }
            let made = net.finish(&[last.unwrap()]);
            let mut pair = Pair::load(&format!("pieces of {encoding}"), &on, made);
            let nodes = pair.nodes();
            let open = pair.open(1);
            pair.run_ids(open, &all, &[], &nodes).await;
            report.add(pair.report);
        }
    }
    report
}
