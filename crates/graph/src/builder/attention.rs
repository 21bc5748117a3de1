//! Attention in its three steps.

use super::{Builder, Result};
use crate::{Dim, GraphError, Mask, NodeId, Op, Shape, Symbol};

impl Builder {
    /// See [`Op::AttentionScores`]. With [`Mask::Lengths`] use [`Self::padded_attention_scores`].
    pub fn attention_scores(
        &mut self,
        name: &str,
        query: NodeId,
        key: NodeId,
        bias: Option<NodeId>,
        scale: f32,
        mask: Mask,
    ) -> Result<NodeId> {
        if mask == Mask::Lengths {
            return Err(self.misfit(name, "the lengths of its sequences are missing".into()));
        }
        self.scores(name, [query, key], None, bias, (scale, mask))
    }

    /// [`Op::AttentionScores`] of whole sequences of different lengths: `lengths` is an input
    /// `[batch]`.
    pub fn padded_attention_scores(
        &mut self,
        name: &str,
        query: NodeId,
        key: NodeId,
        lengths: NodeId,
        bias: Option<NodeId>,
        scale: f32,
    ) -> Result<NodeId> {
        self.lengths(name, lengths)?;
        let lengths = Some(lengths);
        self.scores(name, [query, key], lengths, bias, (scale, Mask::Lengths))
    }

    /// Checks what says how many positions each sequence has.
    pub(super) fn lengths(&self, name: &str, lengths: NodeId) -> Result<()> {
        let shape = self.shape(lengths);
        if shape.0 == [Dim::from(Symbol::Batch)] {
            return Ok(());
        }
        let reason = format!("the lengths of its sequences are {shape}, not [batch]");
        Err(self.misfit(name, reason))
    }

    fn scores(
        &mut self,
        name: &str,
        [query, key]: [NodeId; 2],
        lengths: Option<NodeId>,
        bias: Option<NodeId>,
        (scale, mask): (f32, Mask),
    ) -> Result<NodeId> {
        if mask == Mask::Window(0) {
            return Err(GraphError::EmptyWindow(name.into()));
        }
        let of_source = matches!(self.nodes[key.0].op, Op::Recall { .. });
        if of_source != (mask == Mask::Source) {
            let reason = format!("{mask:?} does not fit its keys");
            return Err(self.misfit(name, reason));
        }
        let (q, k) = (self.shape(query), self.shape(key));
        let (
            [batch, q_len, Dim::Fixed(heads), q_dim],
            [k_batch, kv_len, Dim::Fixed(kv_heads), k_dim],
        ) = (q.0.as_slice(), k.0.as_slice())
        else {
            return Err(self.misfit(name, format!("queries {q} cannot read keys {k}")));
        };
        let shared = *kv_heads > 0 && heads % kv_heads == 0;
        if batch != k_batch || q_dim != k_dim || !shared {
            return Err(self.misfit(name, format!("queries {q} cannot read keys {k}")));
        }
        let shape = Shape(vec![*batch, Dim::Fixed(*heads), *q_len, *kv_len]);
        let mut inputs = vec![query, key];
        inputs.extend(lengths);
        if let Some(bias) = bias {
            let own = &self.shape(bias).0;
            if own != &shape.0 && own != &shape.0[1..] {
                let reason = format!("a bias {} meets scores {shape}", self.shape(bias));
                return Err(self.misfit(name, reason));
            }
            inputs.push(bias);
        }
        self.push(name, Op::AttentionScores { scale, mask }, inputs, shape)
    }

    /// See [`Op::Softmax`].
    pub fn softmax(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        let shape = self.shape(x).clone();
        self.push(name, Op::Softmax, vec![x], shape)
    }

    /// See [`Op::AttentionContext`].
    pub fn attention_context(
        &mut self,
        name: &str,
        probs: NodeId,
        value: NodeId,
    ) -> Result<NodeId> {
        let (p, v) = (self.shape(probs), self.shape(value));
        let fits = match (p.0.as_slice(), v.0.as_slice()) {
            ([b, Dim::Fixed(h), q, kv], [vb, v_len, Dim::Fixed(vh), d])
                if b == vb && kv == v_len && *vh > 0 && h % vh == 0 =>
            {
                Some(Shape(vec![*b, *q, Dim::Fixed(*h), *d]))
            }
            _ => None,
        };
        let Some(shape) = fits else {
            return Err(self.misfit(name, format!("weights {p} cannot sum values {v}")));
        };
        self.push(name, Op::AttentionContext, vec![probs, value], shape)
    }
}
