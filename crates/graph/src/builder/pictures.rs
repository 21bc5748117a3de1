//! Pictures: from pixels to a sequence, and from a sequence to one vector.

use super::{Builder, Result};
use crate::{Dim, NodeId, Op, Pool, Shape, Symbol, Unfold, WeightId};

impl Builder {
    /// See [`Op::Unfold`].
    pub fn unfold(&mut self, name: &str, x: NodeId, unfold: Unfold) -> Result<NodeId> {
        let shape = self.shape(x);
        let pixels = unfold.height.checked_mul(unfold.width);
        let (Some([rows, columns]), [batch, Dim::Fixed(of_x), Dim::Fixed(channels)]) =
            (unfold.places(), shape.0.as_slice())
        else {
            let reason = format!("{shape} does not unfold into {unfold:?}");
            return Err(self.misfit(name, reason));
        };
        if pixels != Some(*of_x) {
            let reason = format!("{shape} is no picture of {unfold:?}");
            return Err(self.misfit(name, reason));
        }
        let under = channels * unfold.kernel * unfold.kernel;
        let dims = [*batch, Dim::Fixed(rows * columns), Dim::Fixed(under)];
        self.push(name, Op::Unfold(unfold), vec![x], Shape::new(dims))
    }

    /// See [`Op::Sequence`].
    pub fn sequence(&mut self, name: &str, x: NodeId, first: &[WeightId]) -> Result<NodeId> {
        let shape = self.shape(x);
        let &[batch, Dim::Fixed(_), width] = shape.0.as_slice() else {
            return Err(self.misfit(name, format!("{shape} has no fixed number of places")));
        };
        let columns = shape.width();
        for weight in first {
            self.vector(name, *weight, columns)?;
        }
        let other = self
            .nodes
            .iter()
            .find(|node| matches!(node.op, Op::Sequence { .. }));
        if let Some(other) = other {
            let reason = format!("{} has said already how long a sequence is", other.name);
            return Err(self.misfit(name, reason));
        }
        let first = first.to_vec();
        let shape = Shape::new([batch, Symbol::QueryLen.into(), width]);
        self.push(name, Op::Sequence { first }, vec![x], shape)
    }

    /// See [`Op::Pool`].
    pub fn pool(
        &mut self,
        name: &str,
        x: NodeId,
        lengths: Option<NodeId>,
        pool: Pool,
    ) -> Result<NodeId> {
        let shape = self.shape(x);
        let run = [Symbol::Batch, Symbol::QueryLen].map(Dim::from);
        let &[batch, position, width @ Dim::Fixed(_)] = shape.0.as_slice() else {
            return Err(self.misfit(name, format!("{shape} is no sequence")));
        };
        if [batch, position] != run {
            return Err(self.misfit(name, format!("{shape} is no sequence")));
        }
        if let Some(lengths) = lengths {
            self.lengths(name, lengths)?;
        }
        let mut inputs = vec![x];
        inputs.extend(lengths);
        self.push(name, Op::Pool(pool), inputs, Shape::new([batch, width]))
    }
}
