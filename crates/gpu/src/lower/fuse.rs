//! Finding what can be computed at once.

mod chains;

use std::collections::HashSet;

use glassformer_graph::lower::{Attention, Uses};
use glassformer_graph::{Binary, Dim, NodeId, Op, RopeLayout, StateId, TableId, Unary, WeightId};

pub(super) use self::chains::{Recurrent, Token};
use super::Sizes;
use crate::store::Layout;
use crate::weights::Matrix;

/// The RMS norm of a matrix product's input, computed on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Norm {
    pub weight: WeightId,
    pub eps: f32,
}

/// The input of a matrix product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Source {
    pub node: NodeId,
    pub norm: Option<Norm>,
}

/// Rotary positions of a projection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rotary {
    pub table: TableId,
    pub layout: RopeLayout,
}

/// Query, key and value at once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Projection {
    pub source: Source,
    pub matrix: Matrix,
    pub biases: Option<[WeightId; 3]>,
    pub query: NodeId,
    /// Key and value: the nodes that append them, and their states.
    pub appends: [(NodeId, StateId); 2],
    pub widths: [usize; 2],
    pub head_dim: usize,
    pub rotary: Option<Rotary>,
    absorbed: Vec<NodeId>,
}

/// A matrix product with what comes before and after it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Product {
    pub node: NodeId,
    pub source: Source,
    pub matrix: Matrix,
    pub bias: Option<WeightId>,
    /// Of each number, before the residual is added.
    pub function: Option<Unary>,
    pub residual: Option<NodeId>,
    absorbed: Vec<NodeId>,
}

/// `silu(gate) ∘ up`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gated {
    pub node: NodeId,
    pub source: Source,
    pub matrix: Matrix,
    absorbed: Vec<NodeId>,
}

/// Several nodes as one dispatch.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fused {
    Attention(NodeId, Attention),
    Projection(Projection),
    Product(Product),
    Gated(Gated),
    Token(Token),
    Recurrent(Recurrent),
}

impl Fused {
    /// Where in the order of nodes it is computed.
    pub fn anchor(&self) -> NodeId {
        match self {
            Self::Attention(node, _) => *node,
            Self::Projection(p) => p.query,
            Self::Product(p) => p.node,
            Self::Gated(g) => g.node,
            Self::Token(t) => t.node,
            Self::Recurrent(r) => r.node,
        }
    }

    /// Nodes that need no dispatch of their own, beside the anchor.
    pub fn absorbed(&self) -> Vec<NodeId> {
        match self {
            Self::Attention(_, attention) => attention.absorbed.to_vec(),
            Self::Projection(p) => p.absorbed.clone(),
            Self::Product(p) => p.absorbed.clone(),
            Self::Gated(g) => g.absorbed.clone(),
            Self::Token(t) => t.absorbed.clone(),
            Self::Recurrent(r) => r.absorbed.clone(),
        }
    }
}

/// Finds everything in a graph that can be fused.
pub(super) fn find(uses: &Uses<'_>, layout: &Layout, sizes: Sizes) -> Vec<Fused> {
    let mut finder = Finder {
        uses,
        layout,
        norms: HashSet::new(),
    };
    finder.find_norms(sizes);
    let mut fused = Vec::new();
    let mut taken: HashSet<NodeId> = HashSet::new();
    // Larger patterns first; a product alone is what is left.
    let graph = uses.graph();
    let patterns: [&dyn Fn(NodeId) -> Option<Fused>; 6] = [
        &|id| finder.attention(id),
        &|id| finder.projection(id),
        &|id| finder.gated(id),
        &|id| finder.token(id),
        &|id| finder.recurrent(id),
        &|id| finder.product(id),
    ];
    for pattern in patterns {
        for id in graph.ids() {
            let Some(found) = pattern(id) else { continue };
            let mut nodes = found.absorbed();
            nodes.push(found.anchor());
            // A norm is absorbed by each of its readers.
            nodes.retain(|node| !finder.norms.contains(node));
            if nodes.iter().any(|node| taken.contains(node)) {
                continue;
            }
            taken.extend(nodes);
            fused.push(found);
        }
    }
    fused
}

struct Finder<'a> {
    uses: &'a Uses<'a>,
    layout: &'a Layout,
    /// Norms that every reader computes for itself.
    norms: HashSet<NodeId>,
}

/// What becomes of a projection: its linear node, what turns it, what appends it.
struct Tail {
    linear: NodeId,
    /// The last node.
    end: NodeId,
    rotary: Option<Rotary>,
    state: Option<StateId>,
    heads: [usize; 2],
    between: Vec<NodeId>,
}

impl Finder<'_> {
    fn op(&self, id: NodeId) -> &Op {
        &self.uses.graph().node(id).op
    }

    fn inputs(&self, id: NodeId) -> &[NodeId] {
        &self.uses.graph().node(id).inputs
    }

    /// Norms of few rows that only matrix products read.
    fn find_norms(&mut self, sizes: Sizes) {
        let graph = self.uses.graph();
        let fits = |id: &NodeId| {
            let node = graph.node(*id);
            let is_linear = |reader: &NodeId| matches!(graph.node(*reader).op, Op::Linear { .. });
            let readers = self.uses.readers(*id);
            matches!(node.op, Op::RmsNorm { .. })
                && sizes.few(&node.shape)
                && !self.uses.is_wanted(*id)
                && !readers.is_empty()
                && readers.iter().all(is_linear)
        };
        self.norms = graph.ids().filter(fits).collect();
    }

    /// The input of a linear node and what is absorbed to read it.
    fn source(&self, linear: NodeId, absorbed: &mut Vec<NodeId>) -> Source {
        let node = self.inputs(linear)[0];
        match *self.op(node) {
            Op::RmsNorm { weight, eps } if self.norms.contains(&node) => {
                absorbed.push(node);
                Source {
                    node: self.inputs(node)[0],
                    norm: Some(Norm { weight, eps }),
                }
            }
            _ => Source { node, norm: None },
        }
    }

    /// Whole vectors of a head are read, and a workgroup holds at most 256 of its elements.
    fn attention(&self, id: NodeId) -> Option<Fused> {
        let attention = self.uses.attention(id)?;
        let head_dim = self.uses.graph().node(attention.query).shape.width()?;
        let fits = head_dim.is_multiple_of(4) && head_dim <= 256 && attention.bias.is_none();
        fits.then_some(Fused::Attention(id, attention))
    }

    fn tail(&self, linear: NodeId) -> Option<Tail> {
        let graph = self.uses.graph();
        let split = self.uses.only_reader(linear)?;
        if !matches!(self.op(split), Op::Reshape) {
            return None;
        }
        let heads = match graph.node(split).shape.0.as_slice() {
            &[_, _, Dim::Fixed(heads), Dim::Fixed(head_dim)] => [heads, head_dim],
            _ => return None,
        };
        let mut tail = Tail {
            linear,
            end: split,
            rotary: None,
            state: None,
            heads,
            between: vec![linear],
        };
        while let Some(next) = self.uses.only_reader(tail.end) {
            match *self.op(next) {
                Op::Rope { table, layout } if tail.state.is_none() && tail.rotary.is_none() => {
                    tail.rotary = Some(Rotary { table, layout });
                }
                Op::Append { state } if tail.state.is_none() => tail.state = Some(state),
                _ => break,
            }
            tail.between.push(tail.end);
            tail.end = next;
        }
        Some(tail)
    }

    /// Starts from the query's last node.
    fn projection(&self, id: NodeId) -> Option<Fused> {
        let mut first = id;
        while !matches!(self.op(first), Op::Linear { .. }) {
            if !matches!(self.op(first), Op::Rope { .. } | Op::Reshape) {
                return None;
            }
            first = self.inputs(first)[0];
        }
        let input = self.inputs(first)[0];
        let &[q, k, v] = self.uses.readers(input) else {
            return None;
        };
        let is_linear = |id: NodeId| matches!(self.op(id), Op::Linear { .. });
        if q != first || !is_linear(k) || !is_linear(v) {
            return None;
        }
        let [q, k, v] = [self.tail(q)?, self.tail(k)?, self.tail(v)?];
        let (key_state, value_state) = (k.state?, v.state?);
        let fits = q.end == id
            && q.state.is_none()
            && q.rotary == k.rotary
            && v.rotary.is_none()
            && k.heads == v.heads
            && q.heads[1] == k.heads[1]
            && q.heads[1].is_multiple_of(2);
        // Keys and values are there once the query is: whoever reads them comes later.
        let later = |end: NodeId| self.uses.readers(end).iter().all(|reader| *reader > id);
        if !fits || !later(k.end) || !later(v.end) {
            return None;
        }
        let mut weights = Vec::new();
        let mut biases = Vec::new();
        for tail in [&q, &k, &v] {
            let Op::Linear { weight, bias } = *self.op(tail.linear) else {
                return None;
            };
            weights.push(weight);
            biases.extend(bias);
        }
        let biases = match *biases.as_slice() {
            [] => None,
            [q, k, v] => Some([q, k, v]),
            _ => return None,
        };
        let mut absorbed = [q.between, k.between, v.between].concat();
        absorbed.extend([k.end, v.end]);
        let source = self.source(q.linear, &mut absorbed);
        Some(Fused::Projection(Projection {
            source,
            matrix: self.layout.stack(&weights)?,
            biases,
            query: id,
            appends: [(k.end, key_state), (v.end, value_state)],
            widths: [q.heads[0] * q.heads[1], k.heads[0] * k.heads[1]],
            head_dim: q.heads[1],
            rotary: q.rotary,
            absorbed,
        }))
    }

    fn gated(&self, id: NodeId) -> Option<Fused> {
        let (Op::Binary(Binary::Mul), &[act, up]) = (self.op(id), self.inputs(id)) else {
            return None;
        };
        let (Op::Unary(Unary::Silu), &[gate]) = (self.op(act), self.inputs(act)) else {
            return None;
        };
        let plain = |id: NodeId| match *self.op(id) {
            Op::Linear { weight, bias: None } => Some(weight),
            _ => None,
        };
        let weights = [plain(gate)?, plain(up)?];
        let hidden = [act, gate, up].iter().all(|&id| self.uses.is_hidden(id));
        if !hidden || self.inputs(gate) != self.inputs(up) {
            return None;
        }
        let mut absorbed = vec![act, gate, up];
        let source = self.source(gate, &mut absorbed);
        Some(Fused::Gated(Gated {
            node: id,
            source,
            matrix: self.layout.stack(&weights)?,
            absorbed,
        }))
    }
}
