//! Attention: at once, and what its shaders have in common.

use glassformer_graph::lower::Attention;
use glassformer_graph::{Dim, Mask, NodeId, Op, Shape, Symbol};

use super::super::reads_source;
use super::{Bound, Lowering, Result, Step, at, unsupported};
use crate::kernel::{Count, Kernel, Place};
use crate::shaders::Variant;

/// Queries, and elements of their sums, of a tile of attention.
const TILE_QUERIES: usize = 16;
const TILE_ELEMENTS: usize = 64;
/// Workgroups that share the keys of a query, where there are many.
const PARTS: usize = 4;

impl Lowering<'_> {
    /// Tiles of many queries; else a workgroup for a query of a head, or several for many keys.
    pub(super) fn attention(&self, node: NodeId, attention: &Attention) -> Result<Vec<Step>> {
        self.check_attention(attention.query, attention.key)?;
        let (shape, head_dim) = (self.shape(attention.query), self.width(attention.query));
        let [batch, q_len, heads] = [0, 1, 2].map(|axis| shape.0[axis]);
        let rows = Count::new(&[batch, q_len], 1);
        if !self.sizes.few_queries {
            let parts = Dim::Fixed(head_dim.div_ceil(TILE_ELEMENTS));
            let across = Count::new(&[batch, heads, parts], 1);
            let groups = [across, Count::new(&[q_len], TILE_QUERIES)];
            return Ok(vec![self.attend(
                "attention_tile",
                node,
                node,
                attention,
                groups,
            )]);
        }
        // A source is never that long.
        if !self.sizes.many_keys || self.is_of_source(attention.key) {
            let groups = [Count::new(&[heads], 1), rows];
            return Ok(vec![self.attend(
                "attention_vector",
                node,
                node,
                attention,
                groups,
            )]);
        }
        // The scores have no value of their own: their buffer takes the parts.
        let [parts, _] = attention.absorbed;
        let groups = [Count::new(&[heads, Dim::Fixed(PARTS)], 1), rows.clone()];
        let mut split = self.attend("attention_vector", node, parts, attention, groups);
        split.dispatch.kernel = split.dispatch.kernel.count("PARTS", PARTS);
        let of_part = Dim::Fixed(head_dim + 2);
        let dims = [batch, q_len, heads, Dim::Fixed(PARTS), of_part];
        split.aside = Some((parts, Shape(dims.to_vec())));
        let kernel = Kernel::new("attention_join", Variant::default()).count("PARTS", PARTS);
        let kernel = match heads {
            Dim::Fixed(heads) => kernel.count("HEADS", heads),
            Dim::Symbol(_) => return Err(unsupported("a number of heads that varies")),
        };
        let join = Bound::default()
            .read(at::X, self.place[parts.0])
            .write(at::Y, self.place[node.0])
            .dispatch(
                node,
                kernel.count("HEAD_DIM", head_dim),
                [Count::new(&[heads], 1), rows],
            );
        Ok(vec![split, join])
    }

    /// Attention into the buffer of a node.
    fn attend(
        &self,
        operation: &'static str,
        node: NodeId,
        into: NodeId,
        attention: &Attention,
        groups: [Count; 2],
    ) -> Step {
        let place = |id: NodeId| self.place[id.0];
        let kernel = Kernel::new(operation, Variant::default());
        let kernel = self.heads(kernel, attention.query, attention.key);
        let kernel = mask(kernel, attention.mask).with("SCALE", attention.scale);
        let lengths = self.lengths(attention.key, attention.lengths);
        Bound::new()
            .read(at::X, place(attention.query))
            .read(at::SECOND, place(attention.key))
            .write(at::Y, place(into))
            .read(at::OTHER, place(attention.value))
            .read(at::LAST, lengths)
            .dispatch(node, kernel, groups)
    }

    /// Whether keys or values are those of the source, which the session holds.
    fn is_of_source(&self, keys: NodeId) -> bool {
        matches!(self.uses.graph().node(keys).op, Op::Recall { .. })
    }

    /// How many keys each sequence has, and whose they are: what the shaders read of it, if they do.
    pub(super) fn lengths(&self, keys: NodeId, given: Option<NodeId>) -> Place {
        if self.is_of_source(keys) {
            return Place::Sources;
        }
        given.map_or(Place::Vectors, |id| self.place[id.0])
    }

    /// The shaders take a query's position from its place in the run, and as many keys as the
    /// state or the source holds, or as the run where there is neither.
    pub(super) fn check_attention(&self, query: NodeId, keys: NodeId) -> Result<()> {
        let graph = self.uses.graph();
        let positions = if reads_source(graph) {
            Symbol::SourceLen
        } else {
            Symbol::QueryLen
        };
        let run: [Dim; 2] = [Symbol::Batch, positions].map(Dim::from);
        let of_run = |id: NodeId| self.shape(id).0.starts_with(&run);
        let held = matches!(graph.node(keys).op, Op::Append { .. } | Op::Recall { .. });
        if of_run(query) && (held || (of_run(keys) && !graph.appends())) {
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
            .flag(
                "IN_STATE",
                matches!(self.uses.graph().node(keys).op, Op::Append { .. }),
            )
            .flag("OF_SOURCE", self.is_of_source(keys))
    }
}

/// Who may see whom.
pub(super) fn mask(kernel: Kernel, mask: Mask) -> Kernel {
    match mask {
        Mask::Full => kernel.count("MASK", 0),
        Mask::Lengths => kernel.count("MASK", 3),
        Mask::Source => kernel.count("MASK", 4),
        Mask::Causal => kernel.count("MASK", 1),
        Mask::Window(n) => kernel
            .count("MASK", 2)
            .with("WINDOW", n.min(u32::MAX as usize) as u32),
    }
}
