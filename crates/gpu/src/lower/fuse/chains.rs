//! Nodes of which each reads the one before it: a token on its way into a model, a recurrent unit, a
//! product with the function of its numbers and the sum behind it.

use glassformer_graph::{Binary, NodeId, Op, StateId, TableId, Unary, WeightId};

use super::{Finder, Fused, Product};
use crate::kernel::Place;

/// A row of a table, made to nothing at a text's beginning, times a factor, with its place in the
/// text: whichever of these a model does.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::lower) struct Token {
    pub node: NodeId,
    pub ids: Place,
    pub weight: WeightId,
    pub factor: Option<f32>,
    pub zero_start: bool,
    pub positions: Option<TableId>,
    pub(super) absorbed: Vec<NodeId>,
}

impl Token {
    /// The row alone.
    pub fn plain(node: NodeId, ids: Place, weight: WeightId) -> Self {
        Self {
            node,
            ids,
            weight,
            factor: None,
            zero_start: false,
            positions: None,
            absorbed: Vec::new(),
        }
    }
}

/// A recurrent unit with what comes behind it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::lower) struct Recurrent {
    pub node: NodeId,
    pub gate: NodeId,
    pub x: NodeId,
    pub state: StateId,
    pub function: Option<Unary>,
    pub residual: Option<NodeId>,
    pub(super) absorbed: Vec<NodeId>,
}

impl Recurrent {
    /// The cell alone, of its gate and its candidate.
    pub fn plain(node: NodeId, inputs: &[NodeId], state: StateId) -> Self {
        Self {
            node,
            gate: inputs[0],
            x: inputs[1],
            state,
            function: None,
            residual: None,
            absorbed: Vec::new(),
        }
    }
}

impl Finder<'_> {
    /// A table's rows, with whatever is done to them before anything else reads them.
    pub(super) fn token(&self, id: NodeId) -> Option<Fused> {
        let Op::Embedding { weight } = *self.op(id) else {
            return None;
        };
        let ids = Place::Input(self.inputs(id)[0]);
        let mut token = Token::plain(id, ids, weight);
        while let Some(next) = self.uses.only_reader(token.node) {
            // In this order: what is multiplied may then be made nothing, and lies somewhere.
            let early = token.positions.is_none();
            match *self.op(next) {
                Op::Scale { factor } if early && !token.zero_start && token.factor.is_none() => {
                    token.factor = Some(factor);
                }
                Op::ZeroStart if early && !token.zero_start => token.zero_start = true,
                Op::Positions { table } if early => token.positions = Some(table),
                _ => break,
            }
            token.absorbed.push(token.node);
            token.node = next;
        }
        (token.node != id).then_some(Fused::Token(token))
    }

    /// A cell, the function of it, and what that is added to.
    pub(super) fn recurrent(&self, id: NodeId) -> Option<Fused> {
        let Op::Recur { state } = *self.op(id) else {
            return None;
        };
        let mut found = Recurrent::plain(id, self.inputs(id), state);
        while let Some(next) = self.uses.only_reader(found.node) {
            match (self.op(next), self.inputs(next)) {
                (Op::Unary(unary), _) if found.function.is_none() && found.residual.is_none() => {
                    found.function = Some(*unary);
                }
                (Op::Binary(Binary::Add), &[a, b]) if a != b && found.residual.is_none() => {
                    found.residual = Some(if a == found.node { b } else { a });
                }
                _ => break,
            }
            found.absorbed.push(found.node);
            found.node = next;
        }
        (found.node != id).then_some(Fused::Recurrent(found))
    }

    /// A linear node, the function of a hidden one, or the sum with one of these.
    pub(super) fn product(&self, id: NodeId) -> Option<Fused> {
        // Its reader computes it.
        if self
            .uses
            .only_reader(id)
            .is_some_and(|reader| self.operand(reader) == Some(id))
        {
            return None;
        }
        let (mut end, mut absorbed) = (id, Vec::new());
        let residual = self.added(end).map(|(product, residual)| {
            absorbed.push(product);
            end = product;
            residual
        });
        let function = self.applied(end).map(|(product, function)| {
            absorbed.push(product);
            end = product;
            function
        });
        let Op::Linear { weight, bias } = *self.op(end) else {
            return None;
        };
        let source = self.source(end, &mut absorbed);
        Some(Fused::Product(Product {
            node: id,
            source,
            matrix: self.layout.matrix(weight)?,
            bias,
            function,
            residual,
            absorbed,
        }))
    }

    /// The hidden product or function of one that a node computes on the way.
    fn operand(&self, id: NodeId) -> Option<NodeId> {
        let added = self.added(id).map(|(product, _)| product);
        added.or_else(|| self.applied(id).map(|(product, _)| product))
    }

    /// The hidden product that a function is applied to.
    fn applied(&self, id: NodeId) -> Option<(NodeId, Unary)> {
        let (&Op::Unary(function), &[x]) = (self.op(id), self.inputs(id)) else {
            return None;
        };
        let fits = matches!(self.op(x), Op::Linear { .. }) && self.uses.is_hidden(x);
        fits.then_some((x, function))
    }

    /// The hidden product, or function of one, and the other operand of an addition.
    fn added(&self, id: NodeId) -> Option<(NodeId, NodeId)> {
        let (Op::Binary(Binary::Add), &[a, b]) = (self.op(id), self.inputs(id)) else {
            return None;
        };
        let product = |id: NodeId| {
            let linear = matches!(self.op(id), Op::Linear { .. }) || self.applied(id).is_some();
            linear && self.uses.is_hidden(id)
        };
        if a != b && product(b) {
            Some((b, a))
        } else if a != b && product(a) {
            Some((a, b))
        } else {
            None
        }
    }
}
