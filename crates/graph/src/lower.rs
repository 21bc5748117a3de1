//! What executors share when they lower a graph to steps: who reads which value, patterns worth
//! computing at once, and which values may share a buffer.

use std::collections::HashSet;

use crate::{Graph, Mask, NodeId, Op};

/// Who reads each node of a graph, and which nodes the caller looks at.
#[derive(Debug)]
pub struct Uses<'g> {
    graph: &'g Graph,
    readers: Vec<Vec<NodeId>>,
    wanted: HashSet<NodeId>,
}

impl<'g> Uses<'g> {
    /// The caller looks at the graph's outputs and at `taps`.
    pub fn new(graph: &'g Graph, taps: &[NodeId]) -> Self {
        let mut readers = vec![Vec::new(); graph.nodes().len()];
        for id in graph.ids() {
            for input in &graph.node(id).inputs {
                readers[input.0].push(id);
            }
        }
        Self {
            graph,
            readers,
            wanted: graph.outputs().iter().chain(taps).copied().collect(),
        }
    }

    /// The graph.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// Nodes that read this one; one that reads it twice is there twice.
    pub fn readers(&self, id: NodeId) -> &[NodeId] {
        &self.readers[id.0]
    }

    /// Whether the caller looks at this node.
    pub fn is_wanted(&self, id: NodeId) -> bool {
        self.wanted.contains(&id)
    }

    /// All nodes the caller looks at, in order.
    pub fn wanted(&self) -> Vec<NodeId> {
        let mut wanted: Vec<_> = self.wanted.iter().copied().collect();
        wanted.sort_unstable();
        wanted
    }

    /// Whether this node's value need not exist once its one reader computes it on the way.
    pub fn is_hidden(&self, id: NodeId) -> bool {
        self.readers[id.0].len() == 1 && !self.is_wanted(id)
    }

    /// The only reader of a hidden node.
    pub fn only_reader(&self, id: NodeId) -> Option<NodeId> {
        self.is_hidden(id).then(|| self.readers[id.0][0])
    }

    /// The attention that ends at `context`, if nobody looks at its scores and probabilities.
    pub fn attention(&self, context: NodeId) -> Option<Attention> {
        let node = self.graph.node(context);
        let (Op::AttentionContext, &[probs, value]) = (&node.op, node.inputs.as_slice()) else {
            return None;
        };
        let softmax = self.graph.node(probs);
        let (Op::Softmax, &[scores]) = (&softmax.op, softmax.inputs.as_slice()) else {
            return None;
        };
        let Op::AttentionScores { scale, mask } = self.graph.node(scores).op else {
            return None;
        };
        if !self.is_hidden(probs) || !self.is_hidden(scores) {
            return None;
        }
        let inputs = &self.graph.node(scores).inputs;
        let (lengths, bias) = lengths_and_bias(mask, inputs);
        Some(Attention {
            query: inputs[0],
            key: inputs[1],
            value,
            lengths,
            bias,
            scale,
            mask,
            absorbed: [scores, probs],
        })
    }
}

/// Operands of [`Op::AttentionScores`] behind query and key: the lengths and the bias.
pub fn lengths_and_bias<T: Copy>(mask: Mask, operands: &[T]) -> (Option<T>, Option<T>) {
    match mask {
        Mask::Lengths => (operands.get(2).copied(), operands.get(3).copied()),
        _ => (None, operands.get(2).copied()),
    }
}

/// Scores, softmax and context as one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// `[batch, q_len, heads, head_dim]`.
    pub query: NodeId,
    /// `[batch, kv_len, kv_heads, head_dim]`.
    pub key: NodeId,
    /// `[batch, kv_len, kv_heads, head_dim]`.
    pub value: NodeId,
    /// Input `[batch]`, where the mask asks for it.
    pub lengths: Option<NodeId>,
    /// `[heads, q_len, kv_len]`.
    pub bias: Option<NodeId>,
    /// Of the scores.
    pub scale: f32,
    /// Of the scores.
    pub mask: Mask,
    /// Nodes without a value of their own.
    pub absorbed: [NodeId; 2],
}

/// What one step reads and writes.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Values it reads.
    pub reads: Vec<NodeId>,
    /// Values it writes; each value is written once.
    pub writes: Vec<NodeId>,
}

/// Gives each written value one of as few buffers as possible: a buffer is used again once the
/// last reader of its value has run. Returns the buffer of each node, `None` for nodes that no
/// step writes, and the number of buffers. A step's writes never share a buffer with its reads.
pub fn share_buffers(steps: &[Access], nodes: usize) -> (Vec<Option<usize>>, usize) {
    let mut last_use = vec![0; nodes];
    for (i, step) in steps.iter().enumerate() {
        for id in step.reads.iter().chain(&step.writes) {
            last_use[id.0] = i;
        }
    }
    let mut buffer = vec![None; nodes];
    let (mut free, mut count) = (Vec::new(), 0);
    for (i, step) in steps.iter().enumerate() {
        for id in &step.writes {
            buffer[id.0] = Some(free.pop().unwrap_or_else(|| {
                count += 1;
                count - 1
            }));
        }
        let both = step.reads.iter().chain(&step.writes);
        let mut ended: Vec<usize> = both
            .filter(|id| last_use[id.0] == i)
            .filter_map(|id| buffer[id.0])
            .collect();
        // A value read twice by its last reader is freed once.
        ended.sort_unstable();
        ended.dedup();
        free.extend(ended);
    }
    (buffer, count)
}
