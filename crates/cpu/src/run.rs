//! One run of an entry: its lengths, its checks, its steps.

use glassformer_graph::lower::lengths_and_bias;
use glassformer_graph::{
    Binary, Bindings, ExecError, Graph, Mask, NodeId, Op, Run, TableId, TapPolicy, Tensor, Unary,
    WeightId,
};

use crate::executor::CpuExecutor;
use crate::kernels::{self, AttentionShape, Scoring};
use crate::plan::{Plan, Source, Step, Work};
use crate::session::Session;

type Result<T, E = ExecError> = std::result::Result<T, E>;

/// The steps of one run.
pub(crate) struct Steps<'a> {
    graph: &'a Graph,
    run: &'a Run<'a>,
    bindings: Bindings,
    session: &'a mut Session,
    /// The node whose value the executor's activations were prepared from.
    prepared: Option<NodeId>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(
        graph: &'a Graph,
        run: &'a Run<'a>,
        bindings: Bindings,
        session: &'a mut Session,
    ) -> Self {
        Self {
            graph,
            run,
            bindings,
            session,
            prepared: None,
        }
    }

    /// Runs a plan and keeps what it says.
    pub(crate) fn all(&mut self, exec: &mut CpuExecutor, plan: &Plan) -> Result<()> {
        if exec.slots.len() < plan.slots {
            exec.slots.resize_with(plan.slots, Vec::new);
        }
        let mut keep = plan.keep.iter().peekable();
        for (i, step) in plan.steps.iter().enumerate() {
            self.one(exec, step)?;
            while let Some((_, node, source)) = keep.next_if(|(at, ..)| *at == i) {
                self.keep(exec, *node, *source);
            }
        }
        Ok(())
    }

    fn one(&mut self, exec: &mut CpuExecutor, step: &Step) -> Result<()> {
        let node = self.graph.node(step.node);
        if let Op::Append { state } = node.op {
            if let Source::Slot(slot) = step.sources[0] {
                self.session.append(state, &exec.slots[slot]);
            }
            return Ok(());
        }
        let Source::Slot(target) = step.target else {
            return Ok(());
        };
        let mut out = std::mem::take(&mut exec.slots[target]);
        let len = node.shape.elements(&self.bindings);
        let more = len.saturating_sub(out.len());
        out.try_reserve_exact(more)
            .map_err(|_| ExecError::OutOfMemory {
                bytes: more.saturating_mul(size_of::<f32>()),
            })?;
        out.resize(len, 0.0);
        self.compute(exec, step, &mut out)?;
        exec.slots[target] = out;
        Ok(())
    }

    fn compute(&mut self, exec: &mut CpuExecutor, step: &Step, out: &mut [f32]) -> Result<()> {
        let node = self.graph.node(step.node);
        let op = &node.op;
        if let Op::Linear { weight, bias } = *op {
            return self.linear(exec, step, (weight, bias), out);
        }
        let value = |i: usize| self.value(exec, step.sources[i]);
        match (&step.work, op) {
            (&Work::Attention { scale, mask }, _) => {
                let shape = self.attention_shape(step, 0, 1);
                let [query, key, values] = [0, 1, 2].map(value);
                let scoring = self.scoring(exec, step, 3, (scale, mask))?;
                kernels::attention(shape, query, key, values, scoring, out);
            }
            (Work::Op, Op::Embedding { weight }) => {
                let ids = self.graph.input(self.run, step.operands[0])?;
                let table = exec.weight(*weight);
                let hidden = out.len() / ids.len().max(1);
                for (&id, out) in ids.iter().zip(out.chunks_exact_mut(hidden.max(1))) {
                    table.row(id as usize, out);
                }
            }
            (Work::Op, Op::PositionEmbedding { weight, offset }) => {
                let [batch, q_len, hidden] =
                    <[usize; 3]>::try_from(node.shape.bind(&self.bindings)).unwrap_or_default();
                let (table, first) = (exec.weight(*weight), offset + self.bindings.past_len());
                let mut rows = out.chunks_exact_mut(hidden.max(1));
                for _ in 0..batch {
                    let positions = first..first + q_len;
                    for (position, out) in positions.zip(&mut rows) {
                        table.row(position, out);
                    }
                }
            }
            (Work::Op, Op::RmsNorm { weight, eps }) => {
                kernels::rms_norm(value(0), exec.weight(*weight).vector(), *eps, out);
            }
            (Work::Op, Op::LayerNorm { weight, bias, eps }) => {
                let [weight, bias] = [weight, bias].map(|id| exec.weight(*id).vector());
                kernels::layer_norm(value(0), weight, bias, *eps, out);
            }
            (Work::Op, Op::Rope { table, layout }) => {
                let dims = node.shape.bind(&self.bindings);
                let TableId(table) = *table;
                let table = &exec.model.tables[table].data;
                let past = self.bindings.past_len();
                kernels::rope(
                    value(0),
                    table,
                    *layout,
                    [dims[1], dims[2], dims[3]],
                    past,
                    out,
                );
            }
            (Work::Op, Op::AttentionScores { scale, mask }) => {
                let shape = self.attention_shape(step, 0, 1);
                let scoring = self.scoring(exec, step, 2, (*scale, *mask))?;
                kernels::attention_scores(shape, value(0), value(1), scoring, out);
            }
            (Work::Op, Op::Softmax) => {
                let width = self.bound(step.operands[0]).last().copied().unwrap_or(1);
                out.copy_from_slice(value(0));
                out.chunks_exact_mut(width.max(1))
                    .for_each(kernels::softmax_row);
            }
            (Work::Op, Op::AttentionContext) => {
                let mut shape = self.attention_shape(step, 0, 1);
                let probs = self.bound(step.operands[0]);
                (shape.heads, shape.q_len) = (probs[1], probs[2]);
                kernels::attention_context(shape, value(0), value(1), out);
            }
            (Work::Op, Op::Unary(Unary::Silu)) => kernels::silu(value(0), out),
            (Work::Op, Op::Unary(Unary::Gelu)) => kernels::gelu(value(0), out),
            (Work::Op, Op::Unary(Unary::GeluTanh)) => kernels::gelu_tanh(value(0), out),
            (Work::Op, Op::Unary(Unary::QuickGelu)) => kernels::quick_gelu(value(0), out),
            (Work::Op, Op::Vector { weight }) => out.copy_from_slice(exec.weight(*weight).vector()),
            (Work::Op, Op::Unfold(unfold)) => {
                let channels = self.bound(step.operands[0]).last().copied().unwrap_or(1);
                kernels::unfold(value(0), channels, *unfold, out);
            }
            (Work::Op, Op::Sequence { first }) => {
                let first: Vec<_> = first.iter().map(|&id| exec.weight(id).vector()).collect();
                let shape = self.bound(step.operands[0]);
                kernels::sequence(value(0), &first, [shape[1], shape[2]], out);
            }
            (Work::Op, Op::Pool(pool)) => {
                let lengths = step
                    .operands
                    .get(1)
                    .map(|&id| self.graph.input(self.run, id));
                let lengths = lengths.transpose()?;
                let shape = self.bound(step.operands[0]);
                kernels::pool(value(0), lengths, *pool, [shape[1], shape[2]], out);
            }
            (Work::Op, Op::Binary(Binary::Add)) => kernels::add(value(0), value(1), out),
            (Work::Op, Op::Binary(Binary::Mul)) => kernels::mul(value(0), value(1), out),
            (Work::Op, Op::SelectRows) => {
                let rows = self.graph.input(self.run, step.operands[1])?;
                let x = value(0);
                let [batch, q_len, width] = [0, 1, 2].map(|i| self.bound(step.operands[0])[i]);
                let mut out = out.chunks_exact_mut(width.max(1));
                for b in 0..batch {
                    for (&row, out) in rows.iter().zip(&mut out) {
                        let at = (b * q_len + row as usize) * width;
                        out.copy_from_slice(&x[at..at + width]);
                    }
                }
            }
            // These have no step of their own: they are places, or handled above.
            (
                Work::Op,
                Op::Input | Op::Values | Op::Reshape | Op::Append { .. } | Op::Linear { .. },
            ) => {}
        }
        Ok(())
    }

    fn linear(
        &mut self,
        exec: &mut CpuExecutor,
        step: &Step,
        (weight, bias): (WeightId, Option<WeightId>),
        out: &mut [f32],
    ) -> Result<()> {
        let source = step.operands[0];
        let Source::Slot(slot) = step.sources[0] else {
            return Ok(());
        };
        let width = self.graph.node(source).shape.width().unwrap_or(1);
        if self.prepared != Some(source) {
            let precision = exec.precision;
            exec.activations
                .prepare(&exec.slots[slot], width, precision);
            self.prepared = Some(source);
        }
        let bias = bias.map(|bias| exec.weight(bias).vector());
        kernels::linear(exec.weight(weight), bias, &exec.activations, out);
        Ok(())
    }

    fn value<'v>(&'v self, exec: &'v CpuExecutor, source: Source) -> &'v [f32] {
        match source {
            Source::Slot(slot) => &exec.slots[slot],
            Source::State(state) => self.session.state(state),
            // Ids are read by the operations that take them; the rest are numbers.
            Source::Input(node) => self
                .graph
                .input(self.run, node)
                .map_or(&[], bytemuck::cast_slice),
        }
    }

    /// How pairs are scored; what the mask needs and the bias are the operands from `at` on.
    fn scoring<'v>(
        &'v self,
        exec: &'v CpuExecutor,
        step: &Step,
        at: usize,
        (scale, mask): (f32, Mask),
    ) -> Result<Scoring<'v>> {
        // Both are found as if they stood behind query and key.
        let behind = step.operands.iter().zip(&step.sources).skip(at);
        let operands: Vec<_> = step.operands[..2]
            .iter()
            .zip(&step.sources)
            .chain(behind)
            .collect();
        let (lengths, bias) = lengths_and_bias(mask, &operands);
        let lengths = lengths.map(|(node, _)| self.graph.input(self.run, *node));
        Ok(Scoring {
            scale,
            mask,
            lengths: lengths.transpose()?.unwrap_or_default(),
            bias: bias.map(|(_, source)| self.value(exec, *source)),
        })
    }

    fn bound(&self, node: NodeId) -> Vec<usize> {
        self.graph.node(node).shape.bind(&self.bindings)
    }

    /// Lengths from the operands at these places: a query `[batch, q_len, heads, head_dim]` and
    /// a key or value.
    fn attention_shape(&self, step: &Step, query: usize, key: usize) -> AttentionShape {
        let (q, k) = (
            self.bound(step.operands[query]),
            self.bound(step.operands[key]),
        );
        let kv_stride = match step.sources[key] {
            Source::State(_) => self.session.capacity,
            _ => k[1],
        };
        AttentionShape {
            batch: q[0],
            q_len: q[1],
            kv_len: k[1],
            kv_stride,
            heads: q[2],
            kv_heads: k[2],
            head_dim: k[3],
        }
    }

    fn keep(&mut self, exec: &CpuExecutor, node: NodeId, source: Source) {
        let data = match source {
            Source::State(state) => self.session.state_rows(state, self.bindings.kv_len),
            source => self.value(exec, source).to_vec(),
        };
        let taps = &mut self.run.taps.iter();
        let policy = taps.find(|tap| tap.node == node).map(|tap| tap.policy);
        let shape = self.bound(node);
        let value = Tensor { shape, data };
        let policy = policy.unwrap_or(TapPolicy::Last);
        self.session.keep(self.run.entry, node, policy, value);
    }
}
