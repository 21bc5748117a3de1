//! Lowering: a graph and the nodes somebody looks at become a list of dispatches over shared
//! buffers. Whatever nobody looks at is computed on the way:
//!
//! - query, key and value of an attention, turned by their positions and appended: one dispatch;
//! - scores, softmax and context: one, or of many keys two;
//! - a matrix product and the residual it is added to: one;
//! - the gated half of a feed-forward, `silu(gate) ∘ up`: one;
//! - a matrix product and the function of each of its numbers: one;
//! - a product that is only stored or appended: one, where it goes;
//! - a token's row with its factor, its place in the text and what stands before it: one;
//! - a recurrent unit with the function and the residual behind it: one;
//! - with few rows, the RMS norm before a matrix product: none.

mod fuse;
mod kernels;

use std::collections::{HashMap, HashSet};

use glassformer_graph::lower::{Access, Uses, share_buffers};
use glassformer_graph::{Bindings, Dim, ExecError, Graph, NodeId, Op, Shape, Symbol};

use crate::kernel::{Dispatch, Place};
use crate::store::Layout;

use fuse::Fused;

/// Rows of input up to which a matrix product is computed row by row, without tiles.
pub const FEW_ROWS: usize = 4;

/// Keys up to which one workgroup attends to all of them for a query of a head.
pub const MANY_KEYS: usize = 768;

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// At most [`FEW_ROWS`] positions over all sequences.
    pub few_positions: bool,
    /// At most [`FEW_ROWS`] selected rows over all sequences.
    pub few_selected: bool,
    /// At most [`FEW_ROWS`] sequences.
    pub few_sequences: bool,
    /// At most [`FEW_ROWS`] positions of each sequence.
    pub few_queries: bool,
    /// More than [`MANY_KEYS`] keys.
    pub many_keys: bool,
    /// How it is computed.
    pub arithmetic: Arithmetic,
}

/// How numbers are multiplied and added: what the device can do and the precision asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Arithmetic {
    /// Sums may go through subgroups.
    pub subgroups: bool,
    /// Products with matrices are computed in f16.
    pub half: bool,
}

impl Sizes {
    /// Those of a run, from [`run_of`].
    pub fn of(bindings: &Bindings, arithmetic: Arithmetic) -> Self {
        Self {
            few_positions: bindings.batch * bindings.query_len <= FEW_ROWS,
            few_selected: bindings.batch * bindings.rows <= FEW_ROWS,
            few_sequences: bindings.batch <= FEW_ROWS,
            few_queries: bindings.query_len <= FEW_ROWS,
            many_keys: bindings.kv_len > MANY_KEYS,
            arithmetic,
        }
    }

    /// Whether a value of this shape has few rows.
    fn few(&self, shape: &Shape) -> bool {
        match rows_of(shape) {
            RowsOf::Positions => self.few_positions,
            RowsOf::Selected => self.few_selected,
            // A picture has many places.
            RowsOf::Sequences => self.few_sequences && shape.0.len() == 2,
        }
    }
}

/// The lengths that shaders see. Where an entry reads sources and nothing else, they are the sequences of
/// the run, and their positions are those of the run.
pub fn run_of(graph: &Graph, bindings: &Bindings) -> Bindings {
    if !reads_source(graph) {
        return *bindings;
    }
    Bindings {
        query_len: bindings.source_len,
        kv_len: bindings.source_len,
        ..*bindings
    }
}

/// Whether the positions of an entry are those of the source.
fn reads_source(graph: &Graph) -> bool {
    let mentions = |symbol| graph.mentions(Dim::Symbol(symbol));
    mentions(Symbol::SourceLen) && !mentions(Symbol::QueryLen)
}

/// What a value has a row of; see `ROWS_OF` in `shaders/include/run.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowsOf {
    /// Each position.
    Positions = 0,
    /// Each selected row.
    Selected = 1,
    /// Each sequence or picture.
    Sequences = 2,
}

fn rows_of(shape: &Shape) -> RowsOf {
    let has = |symbol| shape.leading().contains(&Dim::Symbol(symbol));
    if has(Symbol::Rows) {
        RowsOf::Selected
    } else if has(Symbol::QueryLen) || has(Symbol::SourceLen) {
        RowsOf::Positions
    } else {
        RowsOf::Sequences
    }
}

/// A prepared list of dispatches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In order.
    pub dispatches: Vec<Dispatch>,
    /// Shapes of the values that share each buffer, in turn.
    pub buffers: Vec<Vec<Shape>>,
    /// Nodes to keep, and where they are after the last dispatch.
    pub keep: Vec<(NodeId, Place)>,
}

impl Plan {
    /// Lowers `graph`, keeping its outputs and `taps`.
    ///
    /// # Errors
    /// If an operation cannot be computed on the GPU.
    pub fn lower(
        graph: &Graph,
        taps: &[NodeId],
        layout: &Layout,
        sizes: Sizes,
    ) -> Result<Self, ExecError> {
        let uses = Uses::new(graph, taps);
        let fused = fuse::find(&uses, layout, sizes);
        let lowering = Lowering {
            place: places(&uses),
            uses: &uses,
            layout,
            sizes,
        };
        let mut at: HashMap<NodeId, &Fused> = HashMap::new();
        let mut absorbed = HashSet::new();
        for fused in &fused {
            at.insert(fused.anchor(), fused);
            absorbed.extend(fused.absorbed());
        }
        let mut steps = Vec::new();
        for id in graph.ids() {
            if let Some(fused) = at.get(&id) {
                steps.extend(lowering.fused(fused)?);
            } else if !absorbed.contains(&id) {
                steps.extend(lowering.single(id)?);
            }
        }
        let keep = uses
            .wanted()
            .into_iter()
            .map(|id| (id, lowering.place[id.0]));
        let keep = keep.filter(|(_, place)| !matches!(place, Place::Input(_)));
        Ok(share(graph, steps, keep.collect()))
    }

    /// Whether a run needs more workgroups or memory the more positions the state holds: it does
    /// where somebody looks at scores, or heads do not allow to compute attention at once.
    pub fn grows(&self) -> bool {
        let kv_len = Dim::Symbol(Symbol::KvLen);
        let groups = self.dispatches.iter().flat_map(|d| &d.groups);
        groups.into_iter().any(|count| count.dims.contains(&kv_len))
            || self
                .buffers
                .iter()
                .flatten()
                .any(|shape| shape.0.contains(&kv_len))
    }

    /// One line a dispatch, for people and for comparing lists.
    pub fn describe(&self, graph: &Graph) -> Vec<String> {
        let line = |dispatch: &Dispatch| {
            let places: Vec<String> = dispatch
                .bindings
                .iter()
                .map(|(number, place)| format!("{number}:{place:?}"))
                .collect();
            let node = &graph.node(dispatch.node).name;
            format!("{} {node} {}", dispatch.kernel.operation, places.join(" "))
        };
        self.dispatches.iter().map(line).collect()
    }
}

/// A dispatch whose places are still nodes, and what it reads and writes of them.
struct Step {
    dispatch: Dispatch,
    access: Access,
    /// A node whose buffer it uses for something of this shape, since the node has no value.
    aside: Option<(NodeId, Shape)>,
}

/// Where each node's value is, before buffers are shared.
fn places(uses: &Uses<'_>) -> Vec<Place> {
    let graph = uses.graph();
    let mut places: Vec<Place> = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        places.push(match node.op {
            Op::Input | Op::Values => Place::Input(id),
            Op::Reshape => places[node.inputs[0].0],
            Op::Append { state } | Op::Store { state } | Op::Recall { state } => {
                Place::State(state)
            }
            _ => Place::Value(id.0),
        });
        // A product that is only stored or appended is computed where it goes.
        if let Op::Store { state } | Op::Append { state } = node.op {
            let mut from = node.inputs[0];
            while matches!(graph.node(from).op, Op::Reshape) && uses.is_hidden(from) {
                from = graph.node(from).inputs[0];
            }
            if matches!(graph.node(from).op, Op::Linear { .. }) && uses.is_hidden(from) {
                for place in &mut places[from.0..id.0] {
                    if *place == Place::Value(from.0) {
                        *place = Place::State(state);
                    }
                }
            }
        }
    }
    places
}

/// Gives values shared buffers. What is kept is read by a last, imagined step.
fn share(graph: &Graph, steps: Vec<Step>, mut keep: Vec<(NodeId, Place)>) -> Plan {
    let value = |place: &Place| match place {
        Place::Value(node) => Some(NodeId(*node)),
        _ => None,
    };
    let mut accesses: Vec<Access> = steps.iter().map(|step| step.access.clone()).collect();
    accesses.push(Access {
        reads: keep.iter().filter_map(|(_, place)| value(place)).collect(),
        writes: Vec::new(),
    });
    let (buffer_of, count) = share_buffers(&accesses, graph.nodes().len());
    let mut buffers = vec![Vec::new(); count];
    let aside: HashMap<NodeId, Shape> = steps.iter().filter_map(|s| s.aside.clone()).collect();
    for (id, buffer) in graph.ids().zip(&buffer_of) {
        if let Some(buffer) = buffer {
            let shape = aside.get(&id).unwrap_or(&graph.node(id).shape);
            buffers[*buffer].push(shape.clone());
        }
    }
    let rename = |place: &mut Place| {
        if let Place::Value(node) = place {
            // Whatever is read was written before.
            *node = buffer_of[*node].unwrap_or(usize::MAX);
        }
    };
    let mut dispatches: Vec<Dispatch> = steps.into_iter().map(|step| step.dispatch).collect();
    for dispatch in &mut dispatches {
        dispatch
            .bindings
            .iter_mut()
            .for_each(|(_, place)| rename(place));
    }
    keep.iter_mut().for_each(|(_, place)| rename(place));
    Plan {
        dispatches,
        buffers,
        keep,
    }
}

struct Lowering<'a> {
    uses: &'a Uses<'a>,
    layout: &'a Layout,
    sizes: Sizes,
    place: Vec<Place>,
}
