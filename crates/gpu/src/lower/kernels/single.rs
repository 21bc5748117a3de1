//! Nodes by themselves.

use glassformer_graph::lower::lengths_and_bias;
use glassformer_graph::{Binary, Dim, NodeId, Op, RopeLayout, Symbol, WeightId};

use super::super::fuse::Token;
use super::attention::mask;
use super::{Bound, Lowering, Result, Step, THREADS, at, function, unsupported};
use crate::kernel::{Count, Kernel, Place};
use crate::shaders::Variant;
use crate::weights::Matrix;

impl Lowering<'_> {
    /// A node by itself; nothing if it only names another's value.
    pub(in crate::lower) fn single(&self, id: NodeId) -> Result<Vec<Step>> {
        let node = self.uses.graph().node(id);
        let place = |i: usize| self.place[node.inputs[i].0];
        let y = self.place[id.0];
        let leading = |per| Count::new(node.shape.leading(), per);
        let width = self.width(id);
        let plain = Variant::default();
        let step = match node.op {
            Op::Input | Op::Values | Op::Reshape => return Ok(Vec::new()),
            Op::Linear { .. } => return Err(unsupported("a product without a matrix")),
            Op::Embedding { weight } => return self.token(&Token::plain(id, place(0), weight)),
            Op::PositionEmbedding { weight, offset } => {
                let kernel = |kernel: Kernel| kernel.count("OFFSET", offset);
                let bound = |bound| bound;
                return self.table(id, weight, "position_embedding", kernel, bound);
            }
            Op::RmsNorm { weight, eps } => {
                let kernel = Kernel::new("rms_norm", plain)
                    .count("K", width)
                    .count("NORM_AT", self.vector(weight)?)
                    .with("NORM_EPS", eps);
                Bound::default()
                    .read(at::X, place(0))
                    .also(at::VECTORS, Place::Vectors)
                    .write(at::Y, y)
                    .dispatch(id, kernel, [leading(1), Count::fixed(1, 1)])
            }
            Op::LayerNorm { weight, bias, eps } => {
                let kernel = Kernel::new("layer_norm", plain)
                    .count("K", width)
                    .count("NORM_AT", self.vector(weight)?)
                    .count("BIAS_AT", self.vector(bias)?)
                    .with("NORM_EPS", eps);
                Bound::default()
                    .read(at::X, place(0))
                    .also(at::VECTORS, Place::Vectors)
                    .write(at::Y, y)
                    .dispatch(id, kernel, [leading(1), Count::fixed(1, 1)])
            }
            Op::Rope { table, layout } => {
                let (heads, row) = self.rows_of_heads(id);
                let kernel = Kernel::new("rope", plain)
                    .count("WIDTH", heads * width)
                    .count("HEAD_DIM", width)
                    .count("ROPE_AT", self.layout.table(table))
                    .flag("INTERLEAVED", layout == RopeLayout::Interleaved);
                Bound::new()
                    .read(at::X, place(0))
                    .also(at::VECTORS, Place::Vectors)
                    .write(at::Y, y)
                    .dispatch(id, kernel, [Count::fixed(heads * width / 2, THREADS), row])
            }
            // The product that is appended was computed there.
            Op::Append { .. } if place(0) == y => return Ok(Vec::new()),
            Op::Append { .. } => {
                let (heads, row) = self.rows_of_heads(node.inputs[0]);
                let kernel = Kernel::new("append", plain).count("WIDTH", heads * width);
                Bound::new().read(at::X, place(0)).write(at::Y, y).dispatch(
                    id,
                    kernel,
                    [Count::fixed(heads * width, THREADS), row],
                )
            }
            Op::AttentionScores { scale, mask: kind } => {
                self.check_attention(node.inputs[0], node.inputs[1])?;
                let kernel = Kernel::new("attention_scores", plain);
                let kernel = self.heads(kernel, node.inputs[0], node.inputs[1]);
                let (lengths, bias) = lengths_and_bias(kind, &node.inputs);
                let kernel = mask(kernel, kind)
                    .with("SCALE", scale)
                    .flag("BIAS", bias.is_some())
                    .flag(
                        "BIAS_OF_EACH",
                        bias.is_some_and(|id| self.shape(id) == &node.shape),
                    );
                let lengths = self.lengths(node.inputs[1], lengths);
                let bias = bias.map_or(Place::Vectors, |id| self.place[id.0]);
                let groups = [Count::new(&node.shape.0[3..], THREADS), leading(1)];
                Bound::new()
                    .read(at::X, place(0))
                    .read(at::SECOND, place(1))
                    .write(at::Y, y)
                    .read(at::OTHER, bias)
                    .read(at::LAST, lengths)
                    .dispatch(id, kernel, groups)
            }
            Op::Vector { .. } | Op::Unfold(_) | Op::Sequence { .. } | Op::Pool(_) => {
                self.picture(id)?
            }
            Op::Softmax => {
                let Some(Dim::Fixed(heads)) = node.shape.0.get(1) else {
                    return Err(unsupported("a softmax over something else than keys"));
                };
                let of_source = node.shape.0.last() == Some(&Symbol::SourceLen.into());
                let kernel = Kernel::new("softmax", plain)
                    .count("ROWS", *heads)
                    .flag("OF_SOURCE", of_source);
                Bound::new().read(at::X, place(0)).write(at::Y, y).dispatch(
                    id,
                    kernel,
                    [Count::fixed(1, 1), leading(1)],
                )
            }
            Op::AttentionContext => {
                self.check_attention(id, node.inputs[1])?;
                let kernel = Kernel::new("attention_context", plain);
                let kernel = self.heads(kernel, id, node.inputs[1]);
                let (heads, row) = self.rows_of_heads(id);
                Bound::new()
                    .read(at::X, place(0))
                    .read(at::SECOND, place(1))
                    .write(at::Y, y)
                    .read(at::LAST, self.lengths(node.inputs[1], None))
                    .dispatch(id, kernel, [Count::fixed(heads * width, THREADS), row])
            }
            Op::Unary(unary) => self.elementwise(id, function(unary), place(0), Place::Vectors),
            Op::Binary(Binary::Add) => self.elementwise(id, 7, place(0), place(1)),
            Op::Binary(Binary::Mul) => self.elementwise(id, 8, place(0), place(1)),
            Op::Scale { factor } => {
                let mut step = self.elementwise(id, 9, place(0), Place::Vectors);
                step.dispatch.kernel = step.dispatch.kernel.with("FACTOR", factor);
                step
            }
            Op::LinearRows { weight, bias } => return self.linear_rows(id, weight, bias),
            Op::Positions { .. }
            | Op::ZeroStart
            | Op::Recur { .. }
            | Op::Store { .. }
            | Op::Recall { .. } => return self.translation(id),
            Op::SelectRows => {
                let kernel = Kernel::new("select_rows", plain).count("WIDTH", width);
                Bound::new()
                    .read(at::X, place(0))
                    .read(at::SECOND, place(1))
                    .write(at::Y, y)
                    .dispatch(id, kernel, [Count::fixed(width, THREADS), leading(1)])
            }
        };
        Ok(vec![step])
    }

    /// Rows of a table, from each part of its matrix those that it has.
    pub(super) fn table(
        &self,
        id: NodeId,
        weight: WeightId,
        operation: &'static str,
        with: impl Fn(Kernel) -> Kernel,
        bind: impl Fn(Bound) -> Bound,
    ) -> Result<Vec<Step>> {
        let matrix = self.matrix(weight)?;
        let weights = Some(matrix.format);
        let variant = Variant {
            weights,
            ..Variant::default()
        };
        let leading = Count::new(self.shape(id).leading(), 1);
        let step = |(first, part): (usize, Matrix)| {
            let mut kernel = with(Kernel::new(operation, variant))
                .count("K", part.cols)
                .count("ROW0", part.row0);
            if !matrix.is_whole() {
                kernel = kernel.count("FIRST", first).count("COUNT", part.rows);
            }
            let groups = [
                Count::fixed(part.cols.div_ceil(16), THREADS),
                leading.clone(),
            ];
            bind(Bound::new().matrix(part))
                .write_part(first, at::Y, self.place[id.0])
                .dispatch(id, kernel, groups)
        };
        Ok(matrix.parts().map(step).collect())
    }

    fn elementwise(&self, id: NodeId, function: u8, a: Place, b: Place) -> Step {
        let width = self.width(id);
        let kernel = Kernel::new("elementwise", Variant::default())
            .count("WIDTH", width)
            .with("FUNCTION", function);
        let leading = Count::new(self.shape(id).leading(), 1);
        Bound::default()
            .read(at::X, a)
            .read(at::SECOND, b)
            .write(at::Y, self.place[id.0])
            .dispatch(id, kernel, [Count::fixed(width, THREADS), leading])
    }

    /// The heads of `[batch, q_len, heads, head_dim]`, and a workgroup for each position.
    pub(super) fn rows_of_heads(&self, id: NodeId) -> (usize, Count) {
        let dims = &self.shape(id).0;
        let heads = match dims.get(2) {
            Some(Dim::Fixed(heads)) => *heads,
            _ => 1,
        };
        (heads, Count::new(&dims[..2.min(dims.len())], 1))
    }
}
