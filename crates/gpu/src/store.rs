//! A model's weights on the device.
//!
//! Matrices that read the same input lie one behind the other in one pair of buffers (numbers and
//! scales), so that one dispatch can compute with all of them; vectors and tables share one
//! buffer, because a shader may bind only eight. A matrix that is larger than a binding may be has
//! several pairs, and a dispatch for each.

use std::collections::{HashMap, HashSet};

use glassformer_graph::{
    BLOCK, BlockStream, Encoding, ExecError, Graph, Model, NodeId, Op, TableId, WeightDecl,
    WeightId,
};
use wgpu::BufferUsages;

use crate::device::{Buffer, Gpu};
use crate::weights::{Filling, Format, Matrix, Patch, vector};

type Result<T, E = ExecError> = std::result::Result<T, E>;

/// Pairs of buffers that one matrix may take. Beyond 2 GB no device has room, and it is told so
/// before anything is asked of it.
const MOST_PARTS: usize = 16;

/// Where a weight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// In a pair of buffers.
    Matrix(Matrix),
    /// At this element of the vectors.
    Vector(usize),
}

/// Where all weights and tables of a model are: what lowering needs to know of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    weights: Vec<Weight>,
    tables: Vec<usize>,
    /// Numbers in all vectors and tables.
    vector_len: usize,
    /// Format, rows and columns of each pair of buffers.
    stores: Vec<(Format, usize, usize)>,
}

impl Layout {
    /// Lays out a model whose weights come in these encodings, at most `most` bytes a buffer.
    ///
    /// # Errors
    /// If a weight cannot be stored.
    pub fn new(model: &Model, encodings: &[Encoding], most: usize) -> Result<Self> {
        let mut layout = Self {
            weights: vec![Weight::Vector(0); model.weights.len()],
            ..Self::default()
        };
        let stacks = stacks(model, encodings);
        let stacked: HashSet<WeightId> = stacks.iter().flatten().copied().collect();
        let singles = (0..model.weights.len()).map(WeightId);
        let singles = singles
            .filter(|id| !stacked.contains(id))
            .map(|id| vec![id]);
        for stack in stacks.iter().cloned().chain(singles) {
            layout.place(model, encodings, &stack, most)?;
        }
        for table in &model.tables {
            layout.tables.push(layout.vector_len);
            layout.vector_len += table.data.len();
        }
        let bytes = layout.vector_len.saturating_mul(size_of::<f32>());
        if bytes > most {
            return Err(ExecError::OutOfMemory { bytes });
        }
        Ok(layout)
    }

    fn place(
        &mut self,
        model: &Model,
        encodings: &[Encoding],
        stack: &[WeightId],
        most: usize,
    ) -> Result<()> {
        let mut row0 = 0;
        for &id in stack {
            let (decl, encoding) = (&model.weights[id.0], encodings[id.0]);
            let unsupported = || ExecError::UnsupportedWeight {
                name: decl.name.clone(),
                shape: decl.shape.clone(),
                encoding,
            };
            let elements = decl.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
            let width = decl.shape.last().copied().unwrap_or(0);
            if elements.is_none() || width == 0 || encoding.bytes_for(width).is_none() {
                return Err(unsupported());
            }
            match *decl.shape.as_slice() {
                [len] if encoding.block_len() == 1 && encoding.tail_bytes() == 0 => {
                    self.weights[id.0] = Weight::Vector(self.vector_len);
                    self.vector_len += len;
                }
                [rows, cols] => {
                    let format = Format::of(encoding);
                    let part_rows = part_rows(format, [rows, cols], most);
                    self.weights[id.0] = Weight::Matrix(Matrix {
                        format,
                        store: self.stores.len(),
                        row0,
                        rows,
                        cols,
                        part_rows,
                    });
                    row0 += rows;
                    let bytes = row0.saturating_mul(format.row_bytes(cols));
                    if stack.len() == 1 && rows > part_rows.saturating_mul(MOST_PARTS) {
                        return Err(ExecError::OutOfMemory { bytes });
                    }
                    if bytes > most && stack.len() > 1 {
                        // The parts may fit one by one.
                        return stack
                            .iter()
                            .try_for_each(|&id| self.place(model, encodings, &[id], most));
                    }
                }
                _ => return Err(unsupported()),
            }
        }
        if let Some(&first) = stack.first()
            && let Weight::Matrix(matrix) = self.weights[first.0]
        {
            if matrix.is_whole() {
                self.stores.push((matrix.format, row0, matrix.cols));
            } else {
                let parts = matrix.parts();
                let parts = parts.map(|(_, part)| (part.format, part.rows, part.cols));
                self.stores.extend(parts);
            }
        }
        Ok(())
    }

    /// The matrix of a weight, if it is one.
    pub fn matrix(&self, id: WeightId) -> Option<Matrix> {
        match self.weights[id.0] {
            Weight::Matrix(matrix) => Some(matrix),
            Weight::Vector(_) => None,
        }
    }

    /// Where a weight begins among the vectors, if it is one.
    pub fn vector(&self, id: WeightId) -> Option<usize> {
        match self.weights[id.0] {
            Weight::Vector(at) => Some(at),
            Weight::Matrix(_) => None,
        }
    }

    /// Where a table begins among the vectors.
    pub fn table(&self, id: TableId) -> usize {
        self.tables[id.0]
    }

    /// The matrices as one, if they lie one behind the other.
    pub fn stack(&self, ids: &[WeightId]) -> Option<Matrix> {
        let matrices: Vec<Matrix> = ids.iter().filter_map(|&id| self.matrix(id)).collect();
        let first = *matrices.first()?;
        let mut rows = 0;
        for matrix in &matrices {
            if !matrix.is_whole() || matrix.store != first.store || matrix.row0 != first.row0 + rows
            {
                return None;
            }
            rows += matrix.rows;
        }
        (matrices.len() == ids.len()).then_some(Matrix {
            rows,
            part_rows: rows,
            ..first
        })
    }
}

/// Rows of a matrix that one binding of at most `most` bytes takes: all, or an even number, so that
/// pairs of rows stay together and scales begin at whole words.
fn part_rows(format: Format, [rows, cols]: [usize; 2], most: usize) -> usize {
    let fit = most / format.row_bytes(cols).max(1);
    if rows <= fit { rows } else { fit / 2 * 2 }
}

/// Weights of linear operations that read the same value and are stored alike, in the order of
/// their nodes; only those that nothing else of their entry reads. Entries that share weights stack
/// them as the first does.
fn stacks(model: &Model, encodings: &[Encoding]) -> Vec<Vec<WeightId>> {
    let entries: Vec<(&Graph, HashMap<WeightId, usize>)> =
        model.entries.values().map(|g| (g, uses(g))).collect();
    let alone = |weight: &WeightId| {
        let mut counts = entries.iter().filter_map(|(_, uses)| uses.get(weight));
        counts.all(|&count| count == 1)
    };
    let (mut stacks, mut stacked) = (Vec::new(), HashSet::new());
    for (graph, _) in &entries {
        let mut by_input: HashMap<(NodeId, Format), Vec<WeightId>> = HashMap::new();
        let mut order = Vec::new();
        for node in graph.nodes() {
            let Op::Linear { weight, .. } = node.op else {
                continue;
            };
            let shape = &model.weights[weight.0].shape;
            let encoding = encodings[weight.0];
            // A stack's parts begin at whole words of scales.
            let whole = shape.len() == 2
                && (encoding.block_len() == 1 || (shape[0] * (shape[1] / BLOCK)).is_multiple_of(2));
            if whole && alone(&weight) && stacked.insert(weight) {
                let key = (node.inputs[0], Format::of(encoding));
                let stack = by_input.entry(key).or_default();
                if stack.is_empty() {
                    order.push(key);
                }
                stack.push(weight);
            }
        }
        stacks.extend(order.into_iter().filter_map(|key| by_input.remove(&key)));
    }
    stacks
}

/// How often each matrix is read by the nodes of an entry.
fn uses(graph: &Graph) -> HashMap<WeightId, usize> {
    let mut uses = HashMap::new();
    for node in graph.nodes() {
        if let Op::Linear { weight, .. }
        | Op::LinearRows { weight, .. }
        | Op::Embedding { weight }
        | Op::PositionEmbedding { weight, .. } = node.op
        {
            *uses.entry(weight).or_default() += 1;
        }
    }
    uses
}

/// A weight on its way.
#[derive(Debug)]
enum Arriving {
    Matrix(Filling),
    Vector {
        blocks: BlockStream,
        numbers: Vec<f32>,
    },
}

/// The buffers of a model.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) layout: Layout,
    pub(crate) vectors: Buffer,
    /// Numbers and scales.
    pub(crate) matrices: Vec<(Buffer, Option<Buffer>)>,
    arriving: Vec<Arriving>,
    /// Of all buffers.
    pub(crate) bytes: usize,
}

impl Store {
    /// Makes the buffers and uploads the tables.
    pub(crate) fn new(gpu: &Gpu, model: &Model, encodings: &[Encoding]) -> Result<Self> {
        let limits = gpu.device.limits();
        let most = limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let layout = Layout::new(model, encodings, most)?;
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
        let mut bytes = 0;
        let mut buffer = |label: &str, len: usize| {
            bytes += len;
            gpu.buffer(label, len, usage)
        };
        let vectors = buffer("vectors", layout.vector_len * size_of::<f32>());
        let matrices = layout.stores.iter().map(|&(format, rows, cols)| {
            let numbers = buffer("matrices", rows * format.row_bytes(cols));
            let scales = format.scales_bytes(rows, cols);
            let scales = format.has_scales().then(|| buffer("scales", scales));
            (numbers, scales)
        });
        let matrices = matrices.collect();
        for (table, &at) in model.tables.iter().zip(&layout.tables) {
            let bytes = bytemuck::cast_slice(&table.data);
            gpu.queue
                .write_buffer(&vectors, (at * size_of::<f32>()) as u64, bytes);
        }
        let arriving = |(i, decl): (usize, &WeightDecl)| match layout.weights[i] {
            Weight::Matrix(matrix) => Arriving::Matrix(Filling::new(decl, encodings[i], matrix)),
            Weight::Vector(_) => Arriving::Vector {
                blocks: BlockStream::new(decl, encodings[i]),
                numbers: Vec::new(),
            },
        };
        Ok(Self {
            arriving: model.weights.iter().enumerate().map(arriving).collect(),
            layout,
            vectors,
            matrices,
            bytes,
        })
    }

    /// Takes the next bytes of a weight.
    pub(crate) fn write(
        &mut self,
        gpu: &Gpu,
        decl: &WeightDecl,
        id: WeightId,
        bytes: &[u8],
    ) -> Result<()> {
        match (&mut self.arriving[id.0], self.layout.weights[id.0]) {
            (Arriving::Matrix(filling), Weight::Matrix(matrix)) => {
                let [numbers, scales] = filling.push(decl, bytes)?;
                self.patch(gpu, matrix, &numbers, false);
                self.patch(gpu, matrix, &scales, true);
            }
            (Arriving::Vector { blocks, numbers }, Weight::Vector(at)) => {
                let (encoding, before) = (blocks.encoding(), numbers.len());
                blocks.push(decl, bytes, |_, bytes| vector(encoding, bytes, numbers))?;
                let offset = ((at + before) * size_of::<f32>()) as u64;
                let new = bytemuck::cast_slice(&numbers[before..]);
                gpu.queue.write_buffer(&self.vectors, offset, new);
            }
            // What arrives was made from the layout.
            _ => {}
        }
        Ok(())
    }

    /// Checks that all came.
    pub(crate) fn finish(&mut self, gpu: &Gpu, model: &Model) -> Result<()> {
        for (i, decl) in model.weights.iter().enumerate() {
            match (&mut self.arriving[i], self.layout.weights[i]) {
                (Arriving::Matrix(filling), Weight::Matrix(matrix)) => {
                    let rest = filling.finish(decl)?;
                    self.patch(gpu, matrix, &rest, true);
                }
                (Arriving::Vector { blocks, .. }, _) => blocks.check(decl)?,
                _ => {}
            }
        }
        self.arriving = Vec::new();
        Ok(())
    }

    /// Writes to a matrix's numbers or scales, which may end in one pair of buffers and go on in
    /// the next.
    fn patch(&self, gpu: &Gpu, matrix: Matrix, patch: &Patch, scales: bool) {
        let part_bytes = match (matrix.is_whole(), scales) {
            // Others of the stack lie before it.
            (true, _) => usize::MAX,
            (false, true) => matrix.format.scales_bytes(matrix.part_rows, matrix.cols),
            (false, false) => matrix.part_rows * matrix.format.row_bytes(matrix.cols),
        };
        let (mut offset, mut rest) = (patch.offset, patch.bytes.as_slice());
        while !rest.is_empty() {
            // The last pair ends with the matrix, or with the word that does.
            let pair = (offset / part_bytes).min(matrix.parts().count() - 1);
            let at = offset - pair * part_bytes;
            let (now, later) = rest.split_at(rest.len().min(part_bytes - at));
            let (numbers, own_scales) = &self.matrices[matrix.store + pair];
            let to = if scales {
                own_scales.as_ref()
            } else {
                Some(numbers)
            };
            if let Some(to) = to {
                gpu.queue.write_buffer(to, at as u64, now);
            }
            (offset, rest) = (offset + now.len(), later);
        }
    }
}
