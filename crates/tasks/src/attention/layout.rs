//! Where a model's attention is: found from roles and the shape of the graph, so that no family
//! needs to be known.

use glassformer_graph::{Graph, Mask, Model, Node, NodeId, Op, Role, Shape, Stack};

use crate::TaskError;

/// The attention of all layers of one stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Name of the entry graph.
    pub entry: String,
    /// Which of a model's attentions it is.
    pub stack: Stack,
    /// Whether the entry goes on behind a source, which has to be encoded before.
    pub has_source: bool,
    /// From the first layer to the last.
    pub layers: Vec<LayerNodes>,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Multiplies query · key.
    pub scale: f32,
    /// Whether a query reads only its own position and those before.
    pub causal: bool,
    /// Whether running it makes the session longer and shorter again, so that a text can be run in
    /// pieces and one position of it alone.
    pub appends: bool,
    /// Whether it takes two sentences: it has an input for token types.
    pub pairs: bool,
}

/// The nodes of one layer's attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNodes {
    /// `[batch, q_len, heads, head_dim]`.
    pub query: NodeId,
    /// `[batch, kv_len, kv_heads, head_dim]`.
    pub key: NodeId,
    /// `[batch, kv_len, kv_heads, head_dim]`.
    pub value: NodeId,
    /// `[batch, heads, q_len, kv_len]`, scaled and masked.
    pub scores: NodeId,
    /// `[batch, heads, q_len, kv_len]`.
    pub probs: NodeId,
    /// `[batch, q_len, heads, head_dim]`: all heads behind each other.
    pub context: NodeId,
    /// `[batch, q_len, hidden]`: after the output matrix.
    pub output: NodeId,
}

impl Layout {
    /// The first entry of a model that has attention over its own text, and needs no other.
    ///
    /// # Errors
    /// [`TaskError::NoAttention`] if there is none.
    pub fn find(model: &Model) -> Result<Self, TaskError> {
        let stacks = [Stack::Decoder, Stack::Encoder];
        let mut found =
            entries(model, "ids").filter_map(|(name, graph)| Self::of_entry(name, graph, &stacks));
        found
            .find(|layout| !layout.has_source)
            .ok_or(TaskError::NoAttention)
    }

    /// One of a model's attentions.
    ///
    /// # Errors
    /// [`TaskError::NoAttention`] if it has none of the kind.
    pub fn of_stack(model: &Model, stack: Stack) -> Result<Self, TaskError> {
        let mut found =
            entries(model, "ids").filter_map(|(name, graph)| Self::of_entry(name, graph, &[stack]));
        found.next().ok_or(TaskError::NoAttention)
    }

    /// The attention of a model's tower that sees pictures.
    ///
    /// # Errors
    /// [`TaskError::NoAttention`] if it sees none.
    pub fn of_picture(model: &Model) -> Result<Self, TaskError> {
        let mut found = entries(model, "pixels")
            .filter_map(|(name, graph)| Self::of_entry(name, graph, &[Stack::Encoder]));
        found.next().ok_or(TaskError::NoAttention)
    }

    fn of_entry(name: &str, graph: &Graph, stacks: &[Stack]) -> Option<Self> {
        let layers = |stack: &Stack| -> Vec<LayerNodes> {
            let stack = *stack;
            (0..)
                .map_while(|layer| graph.role(Role::AttentionProbs { stack, layer }))
                .map_while(|probs| LayerNodes::of(graph, probs))
                .collect()
        };
        let mut all = stacks.iter().map(|stack| (*stack, layers(stack)));
        let (stack, layers) = all.find(|(_, layers)| !layers.is_empty())?;
        let first = layers.first()?;
        let (query, key) = (graph.node(first.query), graph.node(first.key));
        let [_, _, heads, head_dim] = fixed(&query.shape)?;
        let [_, _, kv_heads, _] = fixed(&key.shape)?;
        let Op::AttentionScores { scale, mask } = graph.node(first.scores).op else {
            return None;
        };
        let has = |is: fn(&Op) -> bool| graph.nodes().iter().any(|node| is(&node.op));
        Some(Self {
            entry: name.into(),
            stack,
            has_source: has(|op| matches!(op, Op::Recall { .. })),
            layers,
            heads: heads?,
            kv_heads: kv_heads?,
            head_dim: head_dim?,
            scale,
            causal: matches!(mask, Mask::Causal | Mask::Window(_)),
            // What replaces its state at every position cannot be cut back.
            appends: graph.appends() && !has(|op| matches!(op, Op::Recur { .. })),
            pairs: graph.find("types").is_some(),
        })
    }

    /// The key head that a query head reads.
    pub fn kv_head(&self, head: usize) -> usize {
        head / (self.heads / self.kv_heads.max(1)).max(1)
    }

    /// Fails if there is no such layer or head.
    ///
    /// # Errors
    /// [`TaskError::NoSuchHead`], which says how many there are.
    pub fn check(&self, layer: usize, head: usize) -> Result<(), TaskError> {
        if layer < self.layers.len() && head < self.heads {
            return Ok(());
        }
        Err(TaskError::NoSuchHead {
            layer,
            head,
            layers: self.layers.len(),
            heads: self.heads,
        })
    }
}

/// The entries that have an input of this name.
fn entries<'m>(
    model: &'m Model,
    input: &'static str,
) -> impl Iterator<Item = (&'m String, &'m Graph)> {
    let takes = move |(_, graph): &(&String, &Graph)| graph.find(input).is_some();
    model.entries.iter().filter(takes)
}

impl LayerNodes {
    /// Follows the operands of the probabilities, and who reads them.
    fn of(graph: &Graph, probs: NodeId) -> Option<Self> {
        let &[scores] = graph.node(probs).inputs.as_slice() else {
            return None;
        };
        let &[query, key, ..] = graph.node(scores).inputs.as_slice() else {
            return None;
        };
        let reads = |of: NodeId| {
            move |node: &Node| node.inputs.first() == Some(&of) && node.op != Op::Softmax
        };
        let reader = |of| {
            let place = graph.nodes().iter().position(reads(of));
            place.map(NodeId)
        };
        let context = reader(probs).filter(|id| graph.node(*id).op == Op::AttentionContext)?;
        let value = *graph.node(context).inputs.get(1)?;
        let joined = reader(context).filter(|id| graph.node(*id).op == Op::Reshape)?;
        let linear = |id: &NodeId| matches!(graph.node(*id).op, Op::Linear { .. });
        let output = reader(joined).filter(linear)?;
        Some(Self {
            query,
            key,
            value,
            scores,
            probs,
            context,
            output,
        })
    }

    /// Everything one cell is made of.
    pub fn all(&self) -> [NodeId; 7] {
        [
            self.query,
            self.key,
            self.value,
            self.scores,
            self.probs,
            self.context,
            self.output,
        ]
    }
}

/// The sizes of four axes, where they are fixed.
fn fixed(shape: &Shape) -> Option<[Option<usize>; 4]> {
    use glassformer_graph::Dim;
    let size = |dim: &Dim| match dim {
        Dim::Fixed(n) => Some(*n),
        Dim::Symbol(_) => None,
    };
    let sizes: Vec<Option<usize>> = shape.0.iter().map(size).collect();
    sizes.try_into().ok()
}
