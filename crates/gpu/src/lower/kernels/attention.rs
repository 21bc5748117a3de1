//! Attention: at once, and what its shaders have in common.

use glassformer_graph::lower::Attention;
use glassformer_graph::{Dim, Mask, NodeId, Symbol};

use super::{Bound, Lowering, Result, Step, at, unsupported};
use crate::kernel::{Count, Kernel, Place};
use crate::shaders::Variant;

/// Queries, and elements of their sums, of a tile of attention.
const TILE_QUERIES: usize = 16;
const TILE_ELEMENTS: usize = 64;

impl Lowering<'_> {
    pub(super) fn attention(&self, node: NodeId, attention: &Attention) -> Result<Step> {
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
    pub(super) fn check_attention(&self, query: NodeId, keys: NodeId) -> Result<()> {
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
    pub(super) fn heads(&self, kernel: Kernel, query: NodeId, keys: NodeId) -> Kernel {
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
}

/// Who may see whom.
pub(super) fn mask(kernel: Kernel, mask: Mask) -> Kernel {
    match mask {
        Mask::Full => kernel.count("MASK", 0),
        Mask::Lengths => kernel.count("MASK", 3),
        Mask::Causal => kernel.count("MASK", 1),
        Mask::Window(n) => kernel
            .count("MASK", 2)
            .with("WINDOW", n.min(u32::MAX as usize) as u32),
    }
}
