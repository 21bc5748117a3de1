//! Builds a [`Model`], checking every shape as a node is added.

use std::collections::HashSet;

use crate::{
    Binary, Dim, Graph, GraphError, Mask, Model, Node, NodeId, Op, Role, RopeLayout, Shape,
    StateDecl, StateId, StateKind, Symbol, TableDecl, TableId, Unary, WeightDecl, WeightId,
};

type Result<T, E = GraphError> = std::result::Result<T, E>;

/// Declares weights, tables and states and adds nodes to the entry being built.
#[derive(Debug, Default)]
pub struct Builder {
    model: Model,
    nodes: Vec<Node>,
    names: HashSet<String>,
    weight_names: HashSet<String>,
}

impl Builder {
    /// An empty model.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a weight by its checkpoint name.
    pub fn weight(&mut self, name: impl Into<String>, shape: &[usize]) -> Result<WeightId> {
        let name = name.into();
        if !self.weight_names.insert(name.clone()) {
            return Err(GraphError::DuplicateName(name));
        }
        let shape = shape.to_vec();
        self.model.weights.push(WeightDecl { name, shape });
        Ok(WeightId(self.model.weights.len() - 1))
    }

    /// Declares a table of computed numbers.
    pub fn table(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        data: Vec<f32>,
    ) -> Result<TableId> {
        let name = name.into();
        if shape.iter().product::<usize>() != data.len() {
            let reason = format!("a table of shape {shape:?} holds {} numbers", data.len());
            return Err(GraphError::Shape { node: name, reason });
        }
        let shape = shape.to_vec();
        self.model.tables.push(TableDecl { name, shape, data });
        Ok(TableId(self.model.tables.len() - 1))
    }

    /// Declares a state of rows `[kv_heads, head_dim]`.
    pub fn state(&mut self, name: impl Into<String>, row: &[usize], max_len: usize) -> StateId {
        self.state_of(StateKind::Sequence, name, row, max_len)
    }

    /// Declares a state of this kind: rows `[kv_heads, head_dim]`, or `[hidden]` of a recurrent one.
    pub fn state_of(
        &mut self,
        kind: StateKind,
        name: impl Into<String>,
        row: &[usize],
        max_len: usize,
    ) -> StateId {
        self.model.states.push(StateDecl {
            name: name.into(),
            row: row.to_vec(),
            max_len,
            kind,
        });
        StateId(self.model.states.len() - 1)
    }

    /// Says that the file of `matrix` holds, as the weight `[1]` `multiplier`, what its inputs are
    /// multiplied by before they are rounded.
    pub fn rounds(&mut self, matrix: WeightId, multiplier: WeightId) {
        self.model.rounding.push((matrix, multiplier));
    }

    /// Ids given by the caller.
    pub fn input<D: Copy + Into<Dim>>(&mut self, name: &str, dims: &[D]) -> Result<NodeId> {
        let shape = Shape::new(dims.iter().copied().map(Into::into));
        self.push(name, Op::Input, vec![], shape)
    }

    /// See [`Op::Values`]: `[batch, ..]` and these lengths.
    pub fn values(&mut self, name: &str, lengths: &[usize]) -> Result<NodeId> {
        let mut dims = vec![Symbol::Batch.into()];
        dims.extend(lengths.iter().map(|&n| Dim::Fixed(n)));
        self.push(name, Op::Values, vec![], Shape(dims))
    }

    /// See [`Op::Vector`].
    pub fn vector_value(&mut self, name: &str, weight: WeightId) -> Result<NodeId> {
        let shape = &self.model.weights[weight.0].shape;
        let &[len] = shape.as_slice() else {
            return Err(self.misfit(name, format!("a weight {shape:?} is no vector")));
        };
        let shape = Shape::new([len.into()]);
        self.push(name, Op::Vector { weight }, vec![], shape)
    }

    /// See [`Op::Embedding`].
    pub fn embedding(&mut self, name: &str, ids: NodeId, weight: WeightId) -> Result<NodeId> {
        let [_, hidden] = self.matrix(name, weight)?;
        let mut dims = self.shape(ids).0.clone();
        dims.push(hidden.into());
        self.push(name, Op::Embedding { weight }, vec![ids], Shape(dims))
    }

    /// See [`Op::PositionEmbedding`].
    pub fn position_embedding(
        &mut self,
        name: &str,
        weight: WeightId,
        offset: usize,
    ) -> Result<NodeId> {
        let [_, hidden] = self.matrix(name, weight)?;
        let dims = [Symbol::Batch.into(), Symbol::QueryLen.into(), hidden.into()];
        let op = Op::PositionEmbedding { weight, offset };
        self.push(name, op, vec![], Shape::new(dims))
    }

    /// See [`Op::RmsNorm`].
    pub fn rms_norm(
        &mut self,
        name: &str,
        x: NodeId,
        weight: WeightId,
        eps: f32,
    ) -> Result<NodeId> {
        let shape = self.shape(x).clone();
        self.vector(name, weight, shape.width())?;
        self.push(name, Op::RmsNorm { weight, eps }, vec![x], shape)
    }

    /// See [`Op::LayerNorm`].
    pub fn layer_norm(
        &mut self,
        name: &str,
        x: NodeId,
        [weight, bias]: [WeightId; 2],
        eps: f32,
    ) -> Result<NodeId> {
        let shape = self.shape(x).clone();
        self.vector(name, weight, shape.width())?;
        self.vector(name, bias, shape.width())?;
        self.push(name, Op::LayerNorm { weight, bias, eps }, vec![x], shape)
    }

    /// See [`Op::Linear`].
    pub fn linear(
        &mut self,
        name: &str,
        x: NodeId,
        weight: WeightId,
        bias: Option<WeightId>,
    ) -> Result<NodeId> {
        let [rows, cols] = self.matrix(name, weight)?;
        let shape = self.shape(x);
        if shape.width() != Some(cols) {
            return Err(self.misfit(name, format!("a matrix of {cols} columns meets {shape}")));
        }
        let mut dims = shape.leading().to_vec();
        dims.push(rows.into());
        if let Some(bias) = bias {
            self.vector(name, bias, Some(rows))?;
        }
        self.push(name, Op::Linear { weight, bias }, vec![x], Shape(dims))
    }

    /// See [`Op::LinearRows`].
    pub fn linear_rows(
        &mut self,
        name: &str,
        x: NodeId,
        words: NodeId,
        weight: WeightId,
        bias: Option<WeightId>,
    ) -> Result<NodeId> {
        let [rows, cols] = self.matrix(name, weight)?;
        let (shape, words_shape) = (self.shape(x), self.shape(words));
        let [count] = *words_shape.0.as_slice() else {
            let reason = format!("{words_shape} is no list of rows");
            return Err(self.misfit(name, reason));
        };
        if shape.width() != Some(cols) {
            return Err(self.misfit(name, format!("a matrix of {cols} columns meets {shape}")));
        }
        let mut dims = shape.leading().to_vec();
        dims.push(count);
        if let Some(bias) = bias {
            self.vector(name, bias, Some(rows))?;
        }
        let op = Op::LinearRows { weight, bias };
        self.push(name, op, vec![x, words], Shape(dims))
    }

    /// See [`Op::Scale`].
    pub fn scale(&mut self, name: &str, x: NodeId, factor: f32) -> Result<NodeId> {
        let shape = self.shape(x).clone();
        self.push(name, Op::Scale { factor }, vec![x], shape)
    }

    /// See [`Op::Positions`].
    pub fn positions(&mut self, name: &str, x: NodeId, table: TableId) -> Result<NodeId> {
        let shape = self.shape(x).clone();
        let table_shape = &self.model.tables[table.0].shape;
        let along = [Symbol::QueryLen, Symbol::SourceLen].map(Dim::from);
        let fits = matches!((&table_shape[..], &shape.0[..]),
            ([_, width], [_, len, Dim::Fixed(n)]) if width == n && along.contains(len));
        if !fits {
            let reason = format!("a table of positions {table_shape:?} meets {shape}");
            return Err(self.misfit(name, reason));
        }
        self.push(name, Op::Positions { table }, vec![x], shape)
    }

    /// See [`Op::ZeroStart`].
    pub fn zero_start(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let shape = self.shape(x).clone();
        let run = [Symbol::Batch, Symbol::QueryLen].map(Dim::from);
        if shape.0.len() != 3 || !shape.0.starts_with(&run) {
            return Err(self.misfit(name, format!("{shape} is not [batch, q_len, hidden]")));
        }
        self.push(name, Op::ZeroStart, vec![x], shape)
    }

    /// See [`Op::Recur`].
    pub fn recur(&mut self, name: &str, [gate, x]: [NodeId; 2], state: StateId) -> Result<NodeId> {
        let decl = &self.model.states[state.0];
        let mut expected = vec![Symbol::Batch.into(), Symbol::QueryLen.into()];
        expected.extend(decl.row.iter().map(|&n| Dim::Fixed(n)));
        let fits = decl.kind == StateKind::Recurrent && decl.row.len() == 1;
        if !fits || self.shape(gate).0 != expected || self.shape(x).0 != expected {
            let (gate, x) = (self.shape(gate), self.shape(x));
            let reason = format!("a gate {gate} and {x} meet the state {}", decl.name);
            return Err(self.misfit(name, reason));
        }
        self.push(name, Op::Recur { state }, vec![gate, x], Shape(expected))
    }

    /// See [`Op::Store`].
    pub fn store(
        &mut self,
        name: &str,
        x: NodeId,
        lengths: NodeId,
        state: StateId,
    ) -> Result<NodeId> {
        let expected = self.source_shape(name, state)?;
        if *self.shape(x) != expected {
            return Err(self.misfit(name, format!("{} is not {expected}", self.shape(x))));
        }
        self.lengths(name, lengths)?;
        self.push(name, Op::Store { state }, vec![x, lengths], expected)
    }

    /// See [`Op::Recall`].
    pub fn recall(&mut self, name: &str, state: StateId) -> Result<NodeId> {
        let shape = self.source_shape(name, state)?;
        self.push(name, Op::Recall { state }, vec![], shape)
    }

    /// What a state of the sources holds of each sequence's.
    fn source_shape(&self, name: &str, state: StateId) -> Result<Shape> {
        let decl = &self.model.states[state.0];
        if decl.kind != StateKind::Source {
            let reason = format!("the state {} does not belong to the source", decl.name);
            return Err(self.misfit(name, reason));
        }
        let mut dims = vec![Symbol::Batch.into(), Symbol::SourceLen.into()];
        dims.extend(decl.row.iter().map(|&n| Dim::Fixed(n)));
        Ok(Shape(dims))
    }

    /// Splits the last axis into `[parts, width / parts]`.
    pub fn split(&mut self, name: &str, x: NodeId, parts: usize) -> Result<NodeId> {
        let shape = self.shape(x);
        let Some(width) = shape.width().filter(|w| parts > 0 && w % parts == 0) else {
            return Err(self.misfit(name, format!("{shape} does not split into {parts} heads")));
        };
        let mut dims = shape.leading().to_vec();
        dims.extend([Dim::Fixed(parts), Dim::Fixed(width / parts)]);
        self.push(name, Op::Reshape, vec![x], Shape(dims))
    }

    /// Joins the last two axes.
    pub fn join(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let dims = &self.shape(x).0;
        let [lead @ .., Dim::Fixed(parts), Dim::Fixed(width)] = dims.as_slice() else {
            let reason = format!("{} has no two axes to join", self.shape(x));
            return Err(self.misfit(name, reason));
        };
        let mut joined = lead.to_vec();
        joined.push(Dim::Fixed(parts * width));
        self.push(name, Op::Reshape, vec![x], Shape(joined))
    }

    /// See [`Op::Rope`].
    pub fn rope(
        &mut self,
        name: &str,
        x: NodeId,
        table: TableId,
        layout: RopeLayout,
    ) -> Result<NodeId> {
        let shape = self.shape(x).clone();
        let table_shape = &self.model.tables[table.0].shape;
        let fits = matches!(table_shape[..], [_, 2, half] if shape.width() == Some(2 * half));
        let run = [Symbol::Batch, Symbol::QueryLen].map(Dim::from);
        if !fits || shape.0.len() != 4 || !shape.0.starts_with(&run) {
            let reason = format!("a rotary table {table_shape:?} meets {shape}");
            return Err(self.misfit(name, reason));
        }
        self.push(name, Op::Rope { table, layout }, vec![x], shape)
    }

    /// See [`Op::Append`].
    pub fn append(&mut self, name: &str, x: NodeId, state: StateId) -> Result<NodeId> {
        let decl = &self.model.states[state.0];
        let mut expected = vec![Symbol::Batch.into(), Symbol::QueryLen.into()];
        expected.extend(decl.row.iter().map(|&n| Dim::Fixed(n)));
        if self.shape(x).0 != expected || decl.kind != StateKind::Sequence {
            let reason = format!("{} is not {}", self.shape(x), Shape(expected));
            return Err(self.misfit(name, reason));
        }
        expected[1] = Symbol::KvLen.into();
        self.push(name, Op::Append { state }, vec![x], Shape(expected))
    }

    /// See [`Op::Unary`].
    pub fn unary(&mut self, name: &str, x: NodeId, function: Unary) -> Result<NodeId> {
        let shape = self.shape(x).clone();
        self.push(name, Op::Unary(function), vec![x], shape)
    }

    /// See [`Op::Binary`].
    pub fn binary(&mut self, name: &str, a: NodeId, b: NodeId, function: Binary) -> Result<NodeId> {
        if self.shape(a) != self.shape(b) {
            let reason = format!("{} meets {}", self.shape(a), self.shape(b));
            return Err(self.misfit(name, reason));
        }
        let shape = self.shape(a).clone();
        self.push(name, Op::Binary(function), vec![a, b], shape)
    }

    /// See [`Op::SelectRows`].
    pub fn select_rows(&mut self, name: &str, x: NodeId, rows: NodeId) -> Result<NodeId> {
        let (x_shape, rows_shape) = (self.shape(x), self.shape(rows));
        let ([batch, _, width], [count]) = (x_shape.0.as_slice(), rows_shape.0.as_slice()) else {
            let reason = format!("{x_shape} has no rows to select by {rows_shape}");
            return Err(self.misfit(name, reason));
        };
        let shape = Shape(vec![*batch, *count, *width]);
        self.push(name, Op::SelectRows, vec![x, rows], shape)
    }

    /// Says what a node is, for views that look for it.
    pub fn set_role(&mut self, node: NodeId, role: Role) {
        self.nodes[node.0].role = Some(role);
    }

    /// Ends the entry being built; the next node starts another.
    pub fn entry(&mut self, name: &str, outputs: &[NodeId]) -> Result<()> {
        if self.model.entries.contains_key(name) {
            return Err(GraphError::DuplicateName(name.into()));
        }
        let nodes = std::mem::take(&mut self.nodes);
        self.names.clear();
        let graph = Graph::new(nodes, outputs.to_vec());
        self.model.entries.insert(name.into(), graph);
        Ok(())
    }

    /// The finished model.
    pub fn finish(self) -> Model {
        self.model
    }

    fn shape(&self, node: NodeId) -> &Shape {
        &self.nodes[node.0].shape
    }

    fn push(&mut self, name: &str, op: Op, inputs: Vec<NodeId>, shape: Shape) -> Result<NodeId> {
        self.check_operands(name, &op, &inputs)?;
        if !self.names.insert(name.into()) {
            return Err(GraphError::DuplicateName(name.into()));
        }
        self.nodes.push(Node {
            name: name.into(),
            role: None,
            op,
            inputs,
            shape,
        });
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// Ids and states are no values like others: ids are no numbers, and a state's rows lie as far
    /// apart as it has room for.
    fn check_operands(&self, name: &str, op: &Op, inputs: &[NodeId]) -> Result<()> {
        for (place, input) in inputs.iter().enumerate() {
            let fits = match (&self.nodes[input.0].op, op, place) {
                (Op::Input, Op::Embedding { .. }, 0)
                | (
                    Op::Input,
                    Op::SelectRows | Op::LinearRows { .. } | Op::Pool(_) | Op::Store { .. },
                    1,
                ) => true,
                (_, Op::Pool(_) | Op::Store { .. }, 1) => false,
                (Op::Values, ..) => matches!(op, Op::Unfold(_)),
                (
                    given,
                    Op::AttentionScores {
                        mask: Mask::Lengths,
                        ..
                    },
                    2,
                ) => *given == Op::Input,
                (Op::Input, ..)
                | (_, Op::Embedding { .. }, 0)
                | (_, Op::SelectRows | Op::LinearRows { .. }, 1) => false,
                (
                    Op::Append { .. } | Op::Recall { .. },
                    Op::AttentionScores { .. } | Op::AttentionContext,
                    1,
                ) => true,
                (Op::Append { .. } | Op::Store { .. } | Op::Recall { .. }, ..) => false,
                _ => true,
            };
            if !fits {
                let operand = &self.nodes[input.0].name;
                let reason = format!("{} cannot read {operand}", op.name());
                return Err(self.misfit(name, reason));
            }
        }
        Ok(())
    }

    fn matrix(&self, node: &str, weight: WeightId) -> Result<[usize; 2]> {
        let decl = &self.model.weights[weight.0];
        <[usize; 2]>::try_from(decl.shape.as_slice())
            .map_err(|_| self.misfit(node, format!("{} {:?} is no matrix", decl.name, decl.shape)))
    }

    fn vector(&self, node: &str, weight: WeightId, width: Option<usize>) -> Result<()> {
        let decl = &self.model.weights[weight.0];
        if width.is_some_and(|width| decl.shape == [width]) {
            return Ok(());
        }
        let reason = format!(
            "{} {:?} does not have the width of its input",
            decl.name, decl.shape
        );
        Err(self.misfit(node, reason))
    }

    fn misfit(&self, node: &str, reason: String) -> GraphError {
        GraphError::Shape {
            node: node.into(),
            reason,
        }
    }
}

mod attention;
mod pictures;
#[cfg(test)]
mod tests;
