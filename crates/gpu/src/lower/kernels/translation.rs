//! What translators need: a token with its place in the text, the recurrent unit of students, what
//! belongs to the source, and the logits of chosen words.

use glassformer_graph::{Dim, NodeId, Op, Symbol, WeightId};

use super::super::fuse::{Recurrent, Source, Token};
use super::{Bound, Lowering, Result, Step, THREADS, at, function, unsupported};
use crate::kernel::{Count, Kernel, Place};
use crate::shaders::Variant;
use crate::weights::Matrix;

impl Lowering<'_> {
    /// A node by itself; nothing if it only names what a session holds.
    pub(super) fn translation(&self, id: NodeId) -> Result<Vec<Step>> {
        let node = self.uses.graph().node(id);
        let place = |i: usize| self.place[node.inputs[i].0];
        let y = self.place[id.0];
        let width = self.width(id);
        let groups = [
            Count::fixed(width, THREADS),
            Count::new(node.shape.leading(), 1),
        ];
        let kernel = |name| Kernel::new(name, Variant::default()).count("WIDTH", width);
        let step = match node.op {
            Op::Recall { .. } => return Ok(Vec::new()),
            // The product that is stored was computed there.
            Op::Store { .. } if place(0) == y => return Ok(Vec::new()),
            Op::Store { .. } => {
                let (heads, row) = self.rows_of_heads(id);
                let all = heads * width;
                let kernel = Kernel::new("append", Variant::default())
                    .count("WIDTH", all)
                    .flag("WHOLE", true);
                Bound::new().read(at::X, place(0)).write(at::Y, y).dispatch(
                    id,
                    kernel,
                    [Count::fixed(all, THREADS), row],
                )
            }
            Op::Positions { table } => Bound::new()
                .read(at::X, place(0))
                .also(at::VECTORS, Place::Vectors)
                .write(at::Y, y)
                .dispatch(
                    id,
                    kernel("positions").count("TABLE_AT", self.layout.table(table)),
                    groups,
                ),
            Op::ZeroStart => Bound::new().read(at::X, place(0)).write(at::Y, y).dispatch(
                id,
                kernel("zero_start"),
                groups,
            ),
            Op::Recur { state } => self.recur(&Recurrent::plain(id, &node.inputs, state)),
            _ => return Err(unsupported(node.op.name())),
        };
        Ok(vec![step])
    }

    /// Rows of a table by id, with what is done to them before anything else reads them.
    pub(super) fn token(&self, token: &Token) -> Result<Vec<Step>> {
        let kernel = |kernel: Kernel| {
            let mut kernel = kernel.flag("ZERO_START", token.zero_start);
            if let Some(factor) = token.factor {
                kernel = kernel.with("FACTOR", factor);
            }
            match token.positions {
                Some(table) => kernel
                    .flag("POSITIONS", true)
                    .count("TABLE_AT", self.layout.table(table)),
                None => kernel,
            }
        };
        let bind = |bound: Bound| {
            let bound = bound.also(at::VECTORS, Place::Vectors);
            bound.read(at::X, token.ids)
        };
        self.table(token.node, token.weight, "embedding", kernel, bind)
    }

    /// The cell of a recurrent unit, the function of it, and what that is added to.
    pub(super) fn recur(&self, recurrent: &Recurrent) -> Step {
        let width = self.width(recurrent.node);
        let mut kernel = Kernel::new("recur", Variant::default()).count("WIDTH", width);
        if let Some(unary) = recurrent.function {
            kernel = kernel.with("FUNCTION", function(unary));
        }
        let place = |id: NodeId| self.place[id.0];
        let bound = Bound::new()
            .read(at::X, place(recurrent.gate))
            .read(at::SECOND, place(recurrent.x))
            .write(at::Y, place(recurrent.node))
            .write(at::OTHER, Place::State(recurrent.state));
        let bound = match recurrent.residual {
            Some(residual) => {
                kernel = kernel.flag("RESIDUAL", true);
                bound.read(at::LAST, place(residual))
            }
            // Bound because the shader names it, never read.
            None => bound.also(at::LAST, Place::Vectors),
        };
        let batch = Count::new(&[Dim::Symbol(Symbol::Batch)], 1);
        bound.dispatch(
            recurrent.node,
            kernel,
            [Count::fixed(width, THREADS), batch],
        )
    }

    /// Chosen rows of a product: a dispatch for each part of the matrix.
    pub(super) fn linear_rows(
        &self,
        id: NodeId,
        weight: WeightId,
        bias: Option<WeightId>,
    ) -> Result<Vec<Step>> {
        let inputs = &self.uses.graph().node(id).inputs;
        let source = Source {
            node: inputs[0],
            norm: None,
        };
        let matrix = self.matrix(weight)?;
        let step = |(first, part): (usize, Matrix)| {
            let operations = ["linear_rows_vector", "linear_rows_tile"];
            let (kernel, [across, rows]) = self.matrix_kernel(operations, part, source, 2)?;
            let mut kernel = self.bias(kernel, bias)?;
            if !matrix.is_whole() {
                kernel = kernel.count("FIRST", first).count("COUNT", part.rows);
            }
            // Pairs of words in place of pairs of rows.
            let words = Count::new(&[Dim::Symbol(Symbol::Candidates)], 2 * across.per);
            let bound = self
                .matrix_input(part, source)
                .write_part(first, at::Y, self.place[id.0])
                .read(at::OTHER, self.place[inputs[1].0]);
            Ok(bound.dispatch(id, kernel, [words, rows]))
        };
        matrix.parts().map(step).collect()
    }
}
