//! From pixels to a sequence, and from a sequence to one vector.

use glassformer_graph::{Encoding, Pool, Unary, Unfold};

use super::{Extent, lengths};
use crate::{Net, On, Pair, Report};

/// Patches, and squares that overlap and reach beyond the borders, of pictures that are not square;
/// then what a tower does with them.
pub async fn pictures(on: On, extent: Extent) -> Report {
    let patches = |side, height, width| Unfold {
        height,
        width,
        kernel: side,
        stride: side,
        padding: 0,
    };
    let squares = |stride, padding| Unfold {
        height: 7,
        width: 5,
        kernel: 3,
        stride,
        padding,
    };
    let all = [
        (patches(1, 1, 1), 1),
        (patches(4, 12, 8), 3),
        (squares(2, 1), 3),
        (squares(1, 1), 33),
        (squares(3, 0), 4),
        (squares(2, 4), 1),
    ];
    let all = if extent == Extent::All {
        &all[..]
    } else {
        &all[1..3]
    };
    let mut report = Report::default();
    for (i, &(unfold, channels)) in all.iter().enumerate() {
        let mut net = Net::new(i as u64);
        let shape = [unfold.height * unfold.width, channels];
        let pixels = net.builder.values("pixels", &shape).unwrap();
        let under = net.builder.unfold("under", pixels, unfold).unwrap();
        let width = channels * unfold.kernel * unfold.kernel;
        let places = unfold.places().unwrap().into_iter().product::<usize>();
        let seen = net.linear("seen", under, [36, width], Encoding::F32, true);
        let bent = net.builder.unary("bent", seen, Unary::QuickGelu).unwrap();
        // What a convolution made is a picture again.
        let again = Unfold {
            height: places,
            width: 1,
            kernel: 1,
            stride: 1,
            padding: 1,
        };
        net.builder.unfold("again", bent, again).unwrap();
        let first: Vec<_> = (0..i % 3).map(|_| net.vector(36, Encoding::F32)).collect();
        let sequence = net.builder.sequence("sequence", bent, &first).unwrap();
        let table = net.matrix(places + first.len(), 36, Encoding::F32);
        let positions = net.builder.position_embedding("positions", table, 0);
        let sum = net.builder.binary(
            "sum",
            sequence,
            positions.unwrap(),
            glassformer_graph::Binary::Add,
        );
        let pooled = net.builder.pool(
            "pooled",
            sum.unwrap(),
            None,
            Pool::MeanFrom(first.len().min(1)),
        );
        let one = net.linear("one", pooled.unwrap(), [33, 36], Encoding::F32, false);
        let vector = net.vector(7, Encoding::F32);
        net.builder.vector_value("vector", vector).unwrap();
        let made = net.finish(&[one]);
        let name = format!("{unfold:?} of {channels}");
        let mut pair = Pair::load(&name, &on, made).deep(1e-5);
        let nodes = pair.nodes();
        for batch in [1, 3, 6] {
            let open = pair.open(batch);
            pair.run(open, places + first.len(), &[], &nodes).await;
            pair.close(open);
        }
        report.add(pair.report);
    }
    report
}

/// The first, the last and the mean of sequences of one length and of several.
pub async fn pooling(on: On, extent: Extent) -> Report {
    let mut net = Net::new(5);
    let lengths_node = net.lengths();
    let mut last = None;
    for width in [1, 3, 33, 130] {
        let x = net.source(&format!("x of {width}"), width);
        for pool in [Pool::First, Pool::Last, Pool::MeanFrom(0)] {
            for lengths in [None, Some(lengths_node)] {
                let name = format!("{pool:?} of {width}, lengths {}", lengths.is_some());
                last = Some(net.builder.pool(&name, x, lengths, pool).unwrap());
            }
        }
    }
    let made = net.finish(&[last.unwrap()]);
    let mut pair = Pair::load("pooling", &on, made);
    let nodes = pair.nodes();
    for &(batch, q_len) in lengths(extent) {
        let open = pair.open(batch);
        pair.run(open, q_len, &[], &nodes).await;
        pair.close(open);
    }
    pair.report
}
