//! The dispatch of each operation: which shader, with which constants, on which buffers.

use glassformer_graph::lower::{Access, Attention, lengths_and_bias};
use glassformer_graph::{
    Binary, Dim, ExecError, Mask, NodeId, Op, RopeLayout, Shape, Symbol, Unary, WeightId,
};

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
/// Queries, and elements of their sums, of a tile of attention.
const TILE_QUERIES: usize = 16;
const TILE_ELEMENTS: usize = 64;

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

    pub(super) fn fused(&self, fused: &Fused) -> Result<Step> {
        match fused {
            Fused::Attention(node, attention) => self.attention(*node, attention),
            Fused::Projection(projection) => self.projection(projection),
            Fused::Product(product) => self.product(product),
            Fused::Gated(gated) => self.gated(gated),
        }
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

    fn product(&self, product: &Product) -> Result<Step> {
        let Product { matrix, source, .. } = *product;
        let operations = ["linear_vector", "linear_tile"];
        let pairs = matrix.rows.div_ceil(2);
        let (mut kernel, groups) = self.matrix_kernel(operations, matrix, source, pairs)?;
        kernel = kernel.count("N", matrix.rows);
        if let Some(bias) = product.bias {
            let bias = self.vector(bias)?;
            kernel = kernel.flag("BIAS", true).count("BIAS_AT", bias);
        }
        let bound = self
            .matrix_input(matrix, source)
            .write(at::Y, self.place[product.node.0]);
        let bound = match product.residual {
            Some(residual) => {
                kernel = kernel.flag("RESIDUAL", true);
                bound.read(at::OTHER, self.place[residual.0])
            }
            // Bound because the shader names it, never read.
            None => bound.also(at::OTHER, Place::Vectors),
        };
        Ok(bound.dispatch(product.node, kernel, groups))
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

    fn attention(&self, node: NodeId, attention: &Attention) -> Result<Step> {
        self.check_attention(attention.query, attention.key)?;
        let place = |id: NodeId| self.place[id.0];
        let query = &self.shape(attention.query).0;
        let [batch, q_len, heads] = [query[0], query[1], query[2]];
        let (operation, groups) = if self.sizes.few_queries {
            let groups = [Count::new(&[heads], 1), Count::new(&[batch, q_len], 1)];
            ("attention_vector", groups)
        } else {
            let parts = Dim::Fixed(self.width(attention.query).div_ceil(TILE_ELEMENTS));
            let across = Count::new(&[batch, heads, parts], 1);
            (
                "attention_tile",
                [across, Count::new(&[q_len], TILE_QUERIES)],
            )
        };
        let kernel = Kernel::new(operation, Variant::default());
        let kernel = self.heads(kernel, attention.query, attention.key);
        let kernel = mask(kernel, attention.mask).with("SCALE", attention.scale);
        let lengths = attention.lengths.map_or(Place::Vectors, place);
        Ok(Bound::new()
            .read(at::X, place(attention.query))
            .read(at::SECOND, place(attention.key))
            .write(at::Y, place(node))
            .read(at::OTHER, place(attention.value))
            .read(at::LAST, lengths)
            .dispatch(node, kernel, groups))
    }

    /// The shaders take a query's position from its place in the run, and as many keys as the
    /// state holds, or as the run where there is no state.
    fn check_attention(&self, query: NodeId, keys: NodeId) -> Result<()> {
        let run = [Symbol::Batch, Symbol::QueryLen].map(Dim::Symbol);
        let of_run = |id: NodeId| self.shape(id).0.starts_with(&run);
        let in_state = matches!(self.place[keys.0], Place::State(_));
        let keys_fit = in_state || (of_run(keys) && !self.uses.graph().appends());
        if of_run(query) && keys_fit {
            return Ok(());
        }
        Err(unsupported("attention between these positions"))
    }

    /// Heads of a query `[.., heads, head_dim]` and of keys or values.
    fn heads(&self, kernel: Kernel, query: NodeId, keys: NodeId) -> Kernel {
        let fixed = |dim: Option<&Dim>| match dim {
            Some(Dim::Fixed(n)) => *n,
            _ => 1,
        };
        let (query, key) = (&self.shape(query).0, &self.shape(keys).0);
        kernel
            .count("HEADS", fixed(query.get(2)))
            .count("KV_HEADS", fixed(key.get(2)))
            .count("HEAD_DIM", fixed(key.get(3)))
            .flag("IN_STATE", matches!(self.place[keys.0], Place::State(_)))
    }

    /// A node by itself; `None` if it only names another's value.
    pub(super) fn single(&self, id: NodeId) -> Result<Option<Step>> {
        let node = self.uses.graph().node(id);
        let place = |i: usize| self.place[node.inputs[i].0];
        let y = self.place[id.0];
        let leading = |per| Count::new(node.shape.leading(), per);
        let width = self.width(id);
        let plain = Variant::default();
        let step = match node.op {
            Op::Input | Op::Values | Op::Reshape => return Ok(None),
            Op::Linear { .. } => return Err(unsupported("a product without a matrix")),
            Op::Embedding { weight } => {
                let matrix = self.matrix(weight)?;
                let weights = Some(matrix.format);
                let kernel = Kernel::new("embedding", Variant { weights, ..plain })
                    .count("K", matrix.cols)
                    .count("ROW0", matrix.row0);
                let groups = [Count::fixed(matrix.cols.div_ceil(16), THREADS), leading(1)];
                Bound::default()
                    .matrix(matrix)
                    .read(at::X, place(0))
                    .write(at::Y, y)
                    .dispatch(id, kernel, groups)
            }
            Op::PositionEmbedding { weight, offset } => {
                let matrix = self.matrix(weight)?;
                let weights = Some(matrix.format);
                let kernel = Kernel::new("position_embedding", Variant { weights, ..plain })
                    .count("K", matrix.cols)
                    .count("ROW0", matrix.row0)
                    .count("OFFSET", offset);
                let groups = [Count::fixed(matrix.cols.div_ceil(16), THREADS), leading(1)];
                Bound::new()
                    .matrix(matrix)
                    .write(at::Y, y)
                    .dispatch(id, kernel, groups)
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
                    .flag("BIAS", bias.is_some());
                let [lengths, bias] = [lengths, bias]
                    .map(|operand| operand.map_or(Place::Vectors, |id| self.place[id.0]));
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
                let kernel = Kernel::new("softmax", plain).count("ROWS", *heads);
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
                    .dispatch(id, kernel, [Count::fixed(heads * width, THREADS), row])
            }
            Op::Unary(Unary::Silu) => self.elementwise(id, 0, place(0), Place::Vectors),
            Op::Unary(Unary::Gelu) => self.elementwise(id, 3, place(0), Place::Vectors),
            Op::Unary(Unary::QuickGelu) => self.elementwise(id, 5, place(0), Place::Vectors),
            Op::Unary(Unary::GeluTanh) => self.elementwise(id, 4, place(0), Place::Vectors),
            Op::Binary(Binary::Add) => self.elementwise(id, 1, place(0), place(1)),
            Op::Binary(Binary::Mul) => self.elementwise(id, 2, place(0), place(1)),
            Op::SelectRows => {
                let kernel = Kernel::new("select_rows", plain).count("WIDTH", width);
                Bound::new()
                    .read(at::X, place(0))
                    .read(at::SECOND, place(1))
                    .write(at::Y, y)
                    .dispatch(id, kernel, [Count::fixed(width, THREADS), leading(1)])
            }
        };
        Ok(Some(step))
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
    fn rows_of_heads(&self, id: NodeId) -> (usize, Count) {
        let dims = &self.shape(id).0;
        let heads = match dims.get(2) {
            Some(Dim::Fixed(heads)) => *heads,
            _ => 1,
        };
        (heads, Count::new(&dims[..2.min(dims.len())], 1))
    }
}

/// Rows of a value `[batch, q_len or rows, .., width]` at each position, or of a value
/// `[batch, .., width]` in each sequence.
fn rows_per_position(shape: &Shape) -> Result<usize> {
    let Some((Dim::Symbol(Symbol::Batch), rest)) = shape.leading().split_first() else {
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

fn mask(kernel: Kernel, mask: Mask) -> Kernel {
    match mask {
        Mask::Full => kernel.count("MASK", 0),
        Mask::Lengths => kernel.count("MASK", 3),
        Mask::Causal => kernel.count("MASK", 1),
        Mask::Window(n) => kernel
            .count("MASK", 2)
            .with("WINDOW", n.min(u32::MAX as usize) as u32),
    }
}

fn unsupported(what: &str) -> ExecError {
    ExecError::Device(format!("The GPU has no kernel for {what}."))
}

mod pictures;
