//! From pixels to a sequence, and from a sequence to one vector.

use glassformer_graph::{Dim, NodeId, Op, Pool};

use super::{Bound, Lowering, Result, Step, THREADS, at, unsupported};
use crate::kernel::{Count, Kernel, Place};
use crate::shaders::Variant;

impl Lowering<'_> {
    pub(super) fn picture(&self, id: NodeId) -> Result<Step> {
        let node = self.uses.graph().node(id);
        let place = |i: usize| self.place[node.inputs[i].0];
        let y = self.place[id.0];
        let width = self.width(id);
        let groups = [
            Count::fixed(width, THREADS),
            Count::new(node.shape.leading(), 1),
        ];
        // `[batch, places, channels]`.
        let fixed = |axis: usize| match self.shape(node.inputs[0]).0.get(axis) {
            Some(Dim::Fixed(n)) => *n,
            _ => 1,
        };
        let plain = |name| Kernel::new(name, Variant::default());
        Ok(match &node.op {
            Op::Vector { weight } => {
                let kernel = plain("vector")
                    .count("LEN", width)
                    .count("AT", self.vector(*weight)?);
                Bound::default()
                    .also(at::VECTORS, Place::Vectors)
                    .write(at::Y, y)
                    .dispatch(id, kernel, groups)
            }
            Op::Unfold(unfold) => {
                let [rows, columns] = unfold
                    .places()
                    .ok_or_else(|| unsupported("a picture without places"))?;
                let kernel = plain("unfold")
                    .count("HEIGHT", unfold.height)
                    .count("WIDTH", unfold.width)
                    .count("CHANNELS", fixed(2))
                    .count("KERNEL", unfold.kernel)
                    .count("STRIDE", unfold.stride)
                    .count("PADDING", unfold.padding)
                    .count("ROWS", rows)
                    .count("COLUMNS", columns);
                Bound::default()
                    .read(at::X, place(0))
                    .write(at::Y, y)
                    .dispatch(id, kernel, groups)
            }
            Op::Sequence { first } => {
                let mut kernel = plain("sequence")
                    .count("WIDTH", width)
                    .count("PLACES", fixed(1))
                    .count("FIRST", first.len());
                for (name, weight) in ["FIRST_AT", "SECOND_AT"].into_iter().zip(first) {
                    kernel = kernel.count(name, self.vector(*weight)?);
                }
                if first.len() > 2 {
                    return Err(unsupported(
                        "a sequence with more than two learned positions",
                    ));
                }
                Bound::default()
                    .read(at::X, place(0))
                    .also(at::VECTORS, Place::Vectors)
                    .write(at::Y, y)
                    .dispatch(id, kernel, groups)
            }
            Op::Pool(pool) => {
                let (kind, from) = match *pool {
                    Pool::First => (0, 0),
                    Pool::Last => (1, 0),
                    Pool::MeanFrom(from) => (2, from),
                };
                let kernel = plain("pool")
                    .count("WIDTH", width)
                    .count("KIND", kind)
                    .count("FROM", from)
                    .flag("LENGTHS", node.inputs.len() > 1);
                let lengths = node.inputs.get(1);
                let lengths = lengths.map_or(Place::Vectors, |id| self.place[id.0]);
                Bound::new()
                    .read(at::X, place(0))
                    .read(at::SECOND, lengths)
                    .write(at::Y, y)
                    .dispatch(id, kernel, groups)
            }
            other => return Err(unsupported(other.name())),
        })
    }
}
