//! The dispatch of each operation: which shader, with which constants, on which buffers.

mod attention;
mod pictures;
mod single;
mod translation;

use glassformer_graph::lower::Access;
use glassformer_graph::{Dim, ExecError, NodeId, Op, RopeLayout, Shape, Symbol, Unary, WeightId};

use super::fuse::{Fused, Gated, Product, Projection, Source};
use super::{Lowering, RowsOf, Step, rows_of};
use crate::kernel::{Count, Dispatch, Kernel, Place};
use crate::shaders::Variant;
use crate::weights::Matrix;

type Result<T, E = ExecError> = std::result::Result<T, E>;

/// Threads of a workgroup, in every shader.
const THREADS: usize = 64;
/// Threads that share a pair of rows, through shared memory or within a subgroup of at least 4.
const LANES: usize = 8;
const LANES_SUBGROUP: usize = 4;
/// Rows and pairs of columns of a tile.
const TILE_ROWS: usize = 32;
const TILE_PAIRS: usize = 32;

/// Binding numbers, the same in every shader.
mod binding {
    pub const RUN: u32 = 0;
    pub const NUMBERS: u32 = 1;
    pub const SCALES: u32 = 2;
    pub const X: u32 = 3;
    /// The second operand, where the vectors are not needed.
    pub const SECOND: u32 = 4;
    pub const VECTORS: u32 = 4;
    pub const Y: u32 = 5;
    pub const OTHER: u32 = 6;
    pub const LAST: u32 = 7;
}
use binding as at;

/// Bindings in the making, with the values they read and write.
#[derive(Default)]
struct Bound {
    bindings: Vec<(u32, Place)>,
    access: Access,
}

impl Bound {
    fn new() -> Self {
        Self::default().also(at::RUN, Place::Run)
    }

    fn also(mut self, number: u32, place: Place) -> Self {
        self.bindings.push((number, place));
        self
    }

    fn read(mut self, number: u32, place: Place) -> Self {
        if let Place::Value(node) = place {
            self.access.reads.push(NodeId(node));
        }
        self.also(number, place)
    }

    fn write(mut self, number: u32, place: Place) -> Self {
        if let Place::Value(node) = place {
            self.access.writes.push(NodeId(node));
        }
        self.also(number, place)
    }

    /// Writes what only the first of several parts of a matrix gives a buffer.
    fn write_part(self, first: usize, number: u32, place: Place) -> Self {
        if first == 0 {
            self.write(number, place)
        } else {
            self.read(number, place)
        }
    }

    fn matrix(self, matrix: Matrix) -> Self {
        let bound = self.also(at::NUMBERS, Place::Numbers(matrix.store));
        if matrix.format.has_scales() {
            bound.also(at::SCALES, Place::Scales(matrix.store))
        } else {
            bound
        }
    }

    fn dispatch(self, node: NodeId, kernel: Kernel, groups: [Count; 2]) -> Step {
        Step {
            dispatch: Dispatch {
                kernel,
                bindings: self.bindings,
                groups,
                node,
            },
            access: self.access,
            aside: None,
        }
    }
}

impl Lowering<'_> {
    fn shape(&self, id: NodeId) -> &Shape {
        &self.uses.graph().node(id).shape
    }

    fn width(&self, id: NodeId) -> usize {
        self.shape(id).width().unwrap_or(1)
    }

    pub(super) fn fused(&self, fused: &Fused) -> Result<Vec<Step>> {
        let step = match fused {
            Fused::Attention(node, attention) => return self.attention(*node, attention),
            Fused::Projection(projection) => self.projection(projection),
            Fused::Product(product) => return self.product(product),
            Fused::Gated(gated) => self.gated(gated),
            Fused::Token(token) => return self.token(token),
            Fused::Recurrent(recurrent) => Ok(self.recur(recurrent)),
        };
        Ok(vec![step?])
    }

    /// A matrix product: the kernel for its number of rows, and its workgroups.
    fn matrix_kernel(
        &self,
        [vector, tile]: [&'static str; 2],
        matrix: Matrix,
        source: Source,
        pairs: usize,
    ) -> Result<(Kernel, [Count; 2])> {
        let shape = self.shape(source.node);
        let few = self.sizes.few(shape);
        let variant = Variant {
            weights: Some(matrix.format),
            aligned: matrix.cols.is_multiple_of(4),
            subgroups: few && self.sizes.arithmetic.subgroups,
            half: self.sizes.arithmetic.half,
        };
        let (operation, per) = if few {
            (vector, [THREADS / self.lanes(), 1])
        } else {
            (tile, [TILE_PAIRS, TILE_ROWS])
        };
        let mut kernel = Kernel::new(operation, variant)
            .count("K", matrix.cols)
            .count("ROW0", matrix.row0)
            .count("ROWS_OF", rows_of(shape) as usize)
            .count("ROWS_PER", rows_per_position(shape)?);
        if few {
            kernel = kernel.count("LANES", self.lanes());
        }
        if let Some(norm) = source.norm {
            kernel = kernel
                .flag("NORM", true)
                .count("NORM_AT", self.vector(norm.weight)?)
                .with("NORM_EPS", norm.eps);
        }
        let groups = [
            Count::fixed(pairs, per[0]),
            Count::new(shape.leading(), per[1]),
        ];
        Ok((kernel, groups))
    }

    fn lanes(&self) -> usize {
        if self.sizes.arithmetic.subgroups {
            LANES_SUBGROUP
        } else {
            LANES
        }
    }

    fn vector(&self, id: WeightId) -> Result<usize> {
        let at = self.layout.vector(id);
        at.ok_or_else(|| unsupported("a matrix where a vector is needed"))
    }

    fn matrix(&self, id: WeightId) -> Result<Matrix> {
        let matrix = self.layout.matrix(id);
        matrix.ok_or_else(|| unsupported("a vector where a matrix is needed"))
    }

    fn matrix_input(&self, matrix: Matrix, source: Source) -> Bound {
        Bound::new()
            .matrix(matrix)
            .read(at::X, self.place[source.node.0])
            .also(at::VECTORS, Place::Vectors)
    }

    fn bias(&self, kernel: Kernel, bias: Option<WeightId>) -> Result<Kernel> {
        Ok(match bias {
            Some(bias) => kernel
                .flag("BIAS", true)
                .count("BIAS_AT", self.vector(bias)?),
            None => kernel,
        })
    }

    /// A dispatch for each part of the matrix: nearly always one.
    fn product(&self, product: &Product) -> Result<Vec<Step>> {
        let whole = product.matrix.is_whole();
        let step = |(first, part): (usize, Matrix)| {
            let (operations, pairs) = (["linear_vector", "linear_tile"], part.rows.div_ceil(2));
            let (kernel, groups) = self.matrix_kernel(operations, part, product.source, pairs)?;
            let mut kernel = kernel.count("N", product.matrix.rows);
            if !whole {
                kernel = kernel.count("FIRST", first).count("COUNT", part.rows);
            }
            kernel = self.bias(kernel, product.bias)?;
            if let Some(unary) = product.function {
                kernel = kernel.with("FUNCTION", function(unary));
            }
            let y = self.place[product.node.0];
            if self.appends(y) {
                kernel = kernel.flag("APPENDS", true);
            }
            let bound = self.matrix_input(part, product.source);
            let bound = bound.write_part(first, at::Y, y);
            let bound = match product.residual {
                Some(residual) => {
                    kernel = kernel.flag("RESIDUAL", true);
                    bound.read(at::OTHER, self.place[residual.0])
                }
                // Bound because the shader names it, never read.
                None => bound.also(at::OTHER, Place::Vectors),
            };
            Ok(bound.dispatch(product.node, kernel, groups))
        };
        product.matrix.parts().map(step).collect()
    }

    /// Whether a place is a state that this entry makes longer.
    fn appends(&self, place: Place) -> bool {
        let appends = |op: &Op| matches!(op, Op::Append { state } if Place::State(*state) == place);
        let mut nodes = self.uses.graph().nodes().iter();
        nodes.any(|node| appends(&node.op))
    }

    fn gated(&self, gated: &Gated) -> Result<Step> {
        let Gated { matrix, source, .. } = *gated;
        let operations = ["gate_up_vector", "gate_up_tile"];
        let pairs = matrix.rows / 2;
        let (kernel, groups) = self.matrix_kernel(operations, matrix, source, pairs)?;
        let bound = self
            .matrix_input(matrix, source)
            .write(at::Y, self.place[gated.node.0]);
        Ok(bound.dispatch(gated.node, kernel.count("N", pairs), groups))
    }

    fn projection(&self, p: &Projection) -> Result<Step> {
        let [q_width, kv_width] = p.widths;
        let operations = ["project_vector", "project_tile"];
        let pairs = q_width / 2 + kv_width;
        let (kernel, groups) = self.matrix_kernel(operations, p.matrix, p.source, pairs)?;
        let mut kernel = kernel
            .count("Q_WIDTH", q_width)
            .count("KV_WIDTH", kv_width)
            .count("HEAD_DIM", p.head_dim);
        if let Some(rotary) = p.rotary {
            kernel = kernel
                .flag("ROPE", true)
                .count("ROPE_AT", self.layout.table(rotary.table))
                .flag("INTERLEAVED", rotary.layout == RopeLayout::Interleaved);
        }
        if let Some(biases) = p.biases {
            kernel = kernel.flag("BIAS", true);
            for (name, bias) in ["BIAS_Q", "BIAS_K", "BIAS_V"].into_iter().zip(biases) {
                kernel = kernel.count(name, self.vector(bias)?);
            }
        }
        let [key, value] = p.appends.map(|(_, state)| Place::State(state));
        let bound = self
            .matrix_input(p.matrix, p.source)
            .write(at::Y, self.place[p.query.0])
            .write(at::OTHER, key)
            .write(at::LAST, value);
        Ok(bound.dispatch(p.query, kernel, groups))
    }
}

/// Rows of a value `[batch, q_len or rows, .., width]` at each position, or of a value
/// `[batch, .., width]` in each sequence.
fn rows_per_position(shape: &Shape) -> Result<usize> {
    let [Dim::Symbol(Symbol::Batch), rest @ ..] = shape.leading() else {
        return Err(unsupported("a product of something else than positions"));
    };
    let rest = match rows_of(shape) {
        RowsOf::Sequences => rest,
        RowsOf::Positions | RowsOf::Selected => rest.get(1..).unwrap_or_default(),
    };
    let rows = rest.iter().map(|dim| match dim {
        Dim::Fixed(n) => Ok(*n),
        Dim::Symbol(_) => Err(unsupported("a product over two lengths")),
    });
    rows.product()
}

/// The number of a function in `shaders/include/function.wgsl`.
fn function(unary: Unary) -> u8 {
    match unary {
        Unary::Silu => 1,
        Unary::Gelu => 2,
        Unary::GeluTanh => 3,
        Unary::QuickGelu => 4,
        Unary::Relu => 5,
        Unary::Sigmoid => 6,
    }
}

fn unsupported(what: &str) -> ExecError {
    ExecError::Device(format!("The GPU has no kernel for {what}."))
}
