//! Lowering: a graph and the taps asked for become a list of steps over reused buffers.

use std::collections::HashSet;

use glassformer_graph::lower::{Access, Attention, Uses, share_buffers};
use glassformer_graph::{Graph, Mask, NodeId, Op, StateId};

/// Where a step finds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A buffer of the pool.
    Slot(usize),
    /// What the caller gave for this input node.
    Input(NodeId),
    /// A session's state.
    State(StateId),
}

/// What a step computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// The node's own operation.
    Op,
    /// Scores, softmax and context at once: operands are query, key, value, then what the mask
    /// needs, then maybe a bias.
    Attention {
        /// Of the scores.
        scale: f32,
        /// Of the scores.
        mask: Mask,
    },
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The node whose value it computes.
    pub node: NodeId,
    /// How.
    pub work: Work,
    /// Nodes whose shapes its operands have.
    pub operands: Vec<NodeId>,
    /// Where they are.
    pub sources: Vec<Source>,
    /// Where the value goes.
    pub target: Source,
}

/// A prepared list of steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// Buffers needed.
    pub slots: usize,
    /// Nodes to keep once the step of this index has run, and where they are.
    pub keep: Vec<(usize, NodeId, Source)>,
}

impl Plan {
    /// Lowers `graph`, keeping its outputs and `taps`.
    pub fn lower(graph: &Graph, taps: &[NodeId]) -> Self {
        let uses = Uses::new(graph, taps);
        let fused: Vec<_> = graph.ids().map(|id| uses.attention(id)).collect();
        let absorbed = |fused: &Attention| fused.absorbed;
        let skipped: HashSet<NodeId> = fused.iter().flatten().flat_map(absorbed).collect();

        let mut steps: Vec<Step> = Vec::new();
        let mut place = vec![Source::Slot(usize::MAX); graph.nodes().len()];
        // The node that owns the buffer a node's value is in: itself, unless it is a reshape.
        let mut owner: Vec<NodeId> = graph.ids().collect();
        for id in graph.ids().filter(|id| !skipped.contains(id)) {
            let node = graph.node(id);
            let (work, operands) = match &fused[id.0] {
                Some(fused) => attention_step(fused),
                None => (Work::Op, node.inputs.clone()),
            };
            match node.op {
                Op::Input | Op::Values => {
                    place[id.0] = Source::Input(id);
                    continue;
                }
                Op::Reshape => {
                    owner[id.0] = owner[operands[0].0];
                    place[id.0] = place[operands[0].0];
                    continue;
                }
                Op::Append { state } | Op::Store { state } | Op::Recall { state } => {
                    place[id.0] = Source::State(state);
                }
                // Slots are given out below; until then a node's slot is its own number.
                _ => place[id.0] = Source::Slot(id.0),
            }
            steps.push(Step {
                node: id,
                work,
                sources: operands.iter().map(|id| place[id.0]).collect(),
                operands,
                target: place[id.0],
            });
        }
        let step_of = |id: NodeId| {
            let owner = owner[id.0];
            steps.iter().position(|step| step.node == owner)
        };
        let keep = uses.wanted().into_iter();
        let keep = keep.filter_map(|id| Some((step_of(id)?, id, place[id.0])));
        let mut plan = Self {
            keep: keep.collect(),
            steps,
            slots: 0,
        };
        plan.keep.sort_by_key(|(step, id, _)| (*step, *id));
        plan.assign_slots(graph.nodes().len());
        plan
    }

    /// Replaces node numbers by slots that are reused once nobody reads them any more.
    fn assign_slots(&mut self, nodes: usize) {
        let node = |source: &Source| match source {
            Source::Slot(node) => Some(NodeId(*node)),
            _ => None,
        };
        let access = |step: &Step| Access {
            reads: step.sources.iter().filter_map(node).collect(),
            writes: node(&step.target).into_iter().collect(),
        };
        let accesses: Vec<Access> = self.steps.iter().map(access).collect();
        let (buffers, count) = share_buffers(&accesses, nodes);
        self.slots = count;
        let rename = |source: &mut Source| {
            if let Source::Slot(slot) = source {
                // Every slot that is read was written by an earlier step.
                *slot = buffers[*slot].unwrap_or(usize::MAX);
            }
        };
        for step in &mut self.steps {
            step.sources.iter_mut().for_each(rename);
            rename(&mut step.target);
        }
        self.keep.iter_mut().for_each(|(.., source)| rename(source));
    }

    /// One line a step, for people and for comparing lists.
    pub fn describe(&self, graph: &Graph) -> Vec<String> {
        let line = |step: &Step| {
            let node = graph.node(step.node);
            let work = match step.work {
                Work::Op => node.op.name(),
                Work::Attention { .. } => "attention",
            };
            format!(
                "{work} {} {:?} -> {:?}",
                node.name, step.sources, step.target
            )
        };
        self.steps.iter().map(line).collect()
    }
}

fn attention_step(fused: &Attention) -> (Work, Vec<NodeId>) {
    let mut operands = vec![fused.query, fused.key, fused.value];
    operands.extend(fused.lengths);
    operands.extend(fused.bias);
    let (scale, mask) = (fused.scale, fused.mask);
    (Work::Attention { scale, mask }, operands)
}
