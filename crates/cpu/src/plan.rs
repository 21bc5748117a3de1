//! Lowering: a graph and the taps asked for become a list of steps over reused buffers.

use std::collections::HashSet;

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
    /// Scores, softmax and context at once: operands are query, key, value and maybe a bias.
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
        let wanted: HashSet<NodeId> = graph.outputs().iter().chain(taps).copied().collect();
        let fused = fuse(graph, &wanted);
        let skipped: HashSet<NodeId> = fused.iter().flatten().flat_map(|f| f.absorbed).collect();

        let mut steps: Vec<Step> = Vec::new();
        let mut place = vec![Source::Slot(usize::MAX); graph.nodes().len()];
        // The node that owns the buffer a node's value is in: itself, unless it is a reshape.
        let mut owner: Vec<NodeId> = graph.ids().collect();
        for id in graph.ids().filter(|id| !skipped.contains(id)) {
            let node = graph.node(id);
            let (work, operands) = match &fused[id.0] {
                Some(f) => (f.work.clone(), f.operands.clone()),
                None => (Work::Op, node.inputs.clone()),
            };
            match node.op {
                Op::Input => {
                    place[id.0] = Source::Input(id);
                    continue;
                }
                Op::Reshape => {
                    owner[id.0] = owner[operands[0].0];
                    place[id.0] = place[operands[0].0];
                    continue;
                }
                Op::Append { state } => place[id.0] = Source::State(state),
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
        let keep = wanted
            .iter()
            .filter(|id| !skipped.contains(id))
            .filter_map(|&id| Some((step_of(id)?, id, place[id.0])));
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
        let mut last_use = vec![0; nodes];
        for (i, step) in self.steps.iter().enumerate() {
            for source in step.sources.iter().chain([&step.target]) {
                if let Source::Slot(node) = source {
                    last_use[*node] = i;
                }
            }
        }
        let mut slot_of = vec![usize::MAX; nodes];
        let mut free = Vec::new();
        for i in 0..self.steps.len() {
            let step = &mut self.steps[i];
            if let Source::Slot(node) = &mut step.target {
                let slot = free.pop().unwrap_or_else(|| {
                    self.slots += 1;
                    self.slots - 1
                });
                slot_of[*node] = slot;
            }
            let mut ended = Vec::new();
            for source in step.sources.iter_mut().chain([&mut step.target]) {
                if let Source::Slot(node) = source {
                    if last_use[*node] == i {
                        ended.push(slot_of[*node]);
                    }
                    *node = slot_of[*node];
                }
            }
            // A value read twice by its last reader is freed once.
            ended.sort_unstable();
            ended.dedup();
            free.extend(ended);
        }
        for (_, _, source) in &mut self.keep {
            if let Source::Slot(node) = source {
                *node = slot_of[*node];
            }
        }
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

struct Fused {
    work: Work,
    operands: Vec<NodeId>,
    absorbed: [NodeId; 2],
}

/// Finds each scores → softmax → context of which nobody wants the middle.
fn fuse(graph: &Graph, wanted: &HashSet<NodeId>) -> Vec<Option<Fused>> {
    let mut users = vec![0; graph.nodes().len()];
    for input in graph.nodes().iter().flat_map(|node| &node.inputs) {
        users[input.0] += 1;
    }
    let hidden = |id: NodeId| users[id.0] == 1 && !wanted.contains(&id);
    let chain = |id: NodeId| {
        let node = graph.node(id);
        let (Op::AttentionContext, &[probs, value]) = (&node.op, node.inputs.as_slice()) else {
            return None;
        };
        let softmax = graph.node(probs);
        let (Op::Softmax, &[scores]) = (&softmax.op, softmax.inputs.as_slice()) else {
            return None;
        };
        let Op::AttentionScores { scale, mask } = graph.node(scores).op else {
            return None;
        };
        if !hidden(probs) || !hidden(scores) {
            return None;
        }
        let inputs = &graph.node(scores).inputs;
        let mut operands = vec![inputs[0], inputs[1], value];
        operands.extend(inputs.get(2));
        Some(Fused {
            work: Work::Attention { scale, mask },
            operands,
            absorbed: [probs, scores],
        })
    };
    graph.ids().map(chain).collect()
}
