//! A finished model: what it needs to be loaded, what it remembers, and its entry graphs.

use std::collections::{BTreeMap, HashMap};

use crate::{Dim, ExecError, Op, Shape};

/// Index of a node in its [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// Index of a weight in its [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeightId(pub usize);

/// Index of a table in its [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableId(pub usize);

/// Index of a state in its [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateId(pub usize);

/// A weight the model reads from its checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightDecl {
    /// Its name in the checkpoint.
    pub name: String,
    /// `[out, in]` of a matrix, `[hidden]` of a vector.
    pub shape: Vec<usize>,
}

/// Numbers computed once from the config, such as rotary angles.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDecl {
    /// For people.
    pub name: String,
    /// Outermost first.
    pub shape: Vec<usize>,
    /// In that order.
    pub data: Vec<f32>,
}

/// How a state grows and what can be done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// A sequence of rows that grows as positions are appended and can be cut back,
    /// `[batch, kv_len, kv_heads, head_dim]`.
    #[default]
    Sequence,
    /// One row of each sequence, replaced at each position, `[batch, hidden]`. It cannot be cut back:
    /// what was before is forgotten, so whoever wants it back forks the session first.
    Recurrent,
    /// Rows of the sources, written at once, each shared by the sequences that go on from its first,
    /// `[sources, source_len, kv_heads, head_dim]`.
    Source,
}

/// What a session remembers between runs.
#[derive(Clone, Debug, PartialEq)]
pub struct StateDecl {
    /// For people.
    pub name: String,
    /// `[kv_heads, head_dim]`, or `[hidden]` of a recurrent state.
    pub row: Vec<usize>,
    /// Most positions.
    pub max_len: usize,
    /// How it grows.
    pub kind: StateKind,
}

/// Which attention of a model a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stack {
    /// Attends to the source.
    Encoder,
    /// Attends to what was written.
    Decoder,
    /// Attends from what is written to the source.
    Cross,
}

/// What a node is, for views that do not know the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The stream of hidden states after a layer, `[batch, q_len, hidden]`; layer 0 is the
    /// embedding, layer `n` the output of the `n`-th layer.
    Residual {
        /// Which stack.
        stack: Stack,
        /// 0 before the first layer.
        layer: usize,
    },
    /// Queries after positions are applied, `[batch, q_len, heads, head_dim]`.
    Query {
        /// Which stack.
        stack: Stack,
        /// From 0.
        layer: usize,
    },
    /// All keys in the state, `[batch, kv_len, kv_heads, head_dim]`.
    Key {
        /// Which stack.
        stack: Stack,
        /// From 0.
        layer: usize,
    },
    /// All values in the state, `[batch, kv_len, kv_heads, head_dim]`.
    Value {
        /// Which stack.
        stack: Stack,
        /// From 0.
        layer: usize,
    },
    /// Scaled and masked scores, `[batch, heads, q_len, kv_len]`.
    AttentionScores {
        /// Which stack.
        stack: Stack,
        /// From 0.
        layer: usize,
    },
    /// Rows sum to one, `[batch, heads, q_len, kv_len]`.
    AttentionProbs {
        /// Which stack.
        stack: Stack,
        /// From 0.
        layer: usize,
    },
    /// A text or picture as one vector, not yet of length one, `[batch, width]`.
    Embedding,
    /// Hidden states before the output matrix, `[batch, rows, hidden]`.
    FinalHidden,
    /// `[batch, rows, vocab]`; of a classifier `[batch, labels]`.
    Logits,
}

/// An operation with its name, operands and shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Mirrors the checkpoint: `model.layers.3.self_attn.probs`.
    pub name: String,
    /// What a view may look for.
    pub role: Option<Role>,
    /// What it computes.
    pub op: Op,
    /// Earlier nodes.
    pub inputs: Vec<NodeId>,
    /// Shape of its value.
    pub shape: Shape,
}

/// One entry of a model: nodes in an order in which they can run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    outputs: Vec<NodeId>,
    by_name: HashMap<String, NodeId>,
}

impl Graph {
    pub(crate) fn new(nodes: Vec<Node>, outputs: Vec<NodeId>) -> Self {
        let by_name = nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (node.name.clone(), NodeId(i)))
            .collect();
        Self {
            nodes,
            outputs,
            by_name,
        }
    }

    /// All nodes; operands come before their users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Ids of all nodes.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// Nodes that are always kept after a run.
    pub fn outputs(&self) -> &[NodeId] {
        &self.outputs
    }

    /// The node of this name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.by_name.get(name).copied()
    }

    /// The node with this role.
    pub fn role(&self, role: Role) -> Option<NodeId> {
        self.nodes
            .iter()
            .position(|node| node.role == Some(role))
            .map(NodeId)
    }

    /// Whether running it makes the session's state longer.
    pub fn appends(&self) -> bool {
        let appends = |node: &Node| matches!(node.op, Op::Append { .. } | Op::Recur { .. });
        self.nodes.iter().any(appends)
    }

    /// Whether running it gives the session other sources.
    pub fn stores(&self) -> bool {
        self.lengths_of_sources().is_some()
    }

    /// The input that says how long each source is, if it gives the session others.
    pub fn lengths_of_sources(&self) -> Option<NodeId> {
        let stores = |node: &&Node| matches!(node.op, Op::Store { .. });
        self.nodes.iter().find(stores).map(|node| node.inputs[1])
    }

    /// Whether any shape depends on this dimension.
    pub fn mentions(&self, dim: Dim) -> bool {
        self.nodes.iter().any(|node| node.shape.0.contains(&dim))
    }
}

/// Weights, tables, states and entry graphs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Read from the checkpoint.
    pub weights: Vec<WeightDecl>,
    /// Computed from the config.
    pub tables: Vec<TableDecl>,
    /// Kept by sessions.
    pub states: Vec<StateDecl>,
    /// By name: `decode`, `encode`, `text`, `image`.
    pub entries: BTreeMap<String, Graph>,
    /// Matrices whose file says how their inputs are to be rounded in `fast` precision: the matrix and
    /// a weight `[1]`, the number that inputs are multiplied by before they are rounded to bytes.
    pub rounding: Vec<(WeightId, WeightId)>,
}

impl Model {
    /// Most positions a session can hold, or `None` if the model keeps no state.
    pub fn max_len(&self) -> Option<usize> {
        self.states.iter().map(|state| state.max_len).min()
    }

    /// Whether sessions can be cut back to any length.
    pub fn can_truncate(&self) -> bool {
        let recurrent = |state: &StateDecl| state.kind == StateKind::Recurrent;
        !self.states.iter().any(recurrent)
    }

    /// The entry of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn entry(&self, name: &str) -> Result<&Graph, ExecError> {
        let what = "entry";
        let unknown = || ExecError::Unknown {
            what,
            name: name.into(),
        };
        self.entries.get(name).ok_or_else(unknown)
    }

    /// The weight with this checkpoint name.
    pub fn weight(&self, name: &str) -> Option<WeightId> {
        self.weights
            .iter()
            .position(|weight| weight.name == name)
            .map(WeightId)
    }
}
