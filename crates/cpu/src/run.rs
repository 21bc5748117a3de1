//! One run of an entry: its lengths, its checks, its steps.

use glassformer_graph::lower::lengths_and_bias;
use glassformer_graph::{
    Binary, Bindings, Dim, ExecError, Graph, Mask, NodeId, Op, Precision, Run, Symbol, TableId,
    TapPolicy, Tensor, Unary, WeightId,
};

use crate::executor::{CpuExecutor, Selected};
use crate::kernels::{self, AttentionShape, Scoring};
use crate::packed::Packed;
use crate::plan::{Plan, Source, Step, Work};
use crate::session::Session;

type Result<T, E = ExecError> = std::result::Result<T, E>;

/// The steps of one run.
pub(crate) struct Steps<'a> {
    graph: &'a Graph,
    run: &'a Run<'a>,
    bindings: Bindings,
    session: &'a mut Session,
    /// The node whose value the executor's activations were prepared from, and the bits of the
    /// multiplier they were rounded with, if the weights came with one.
    prepared: Option<(NodeId, Option<u32>)>,
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
        match (&node.op, step.sources.first()) {
            (&Op::Append { state }, Some(&Source::Slot(slot))) => {
                self.session.append(state, &exec.slots[slot]);
            }
            (&Op::Store { state }, Some(&Source::Slot(slot))) => {
                self.session.store(state, &exec.slots[slot]);
            }
            _ => {}
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
        match *op {
            Op::Linear { weight, bias } => return self.linear(exec, step, (weight, bias), out),
            Op::LinearRows { weight, bias } => {
                return self.linear_rows(exec, step, (weight, bias), out);
            }
            Op::Recur { state } => {
                let (Source::Slot(gate), Source::Slot(x)) = (step.sources[0], step.sources[1])
                else {
                    return Ok(());
                };
                let dims = self.bound(step.node);
                let cell = self.session.state_mut(state);
                let (gate, x) = (&exec.slots[gate], &exec.slots[x]);
                kernels::recur(gate, x, cell, [dims[1], dims[2]], out);
                return Ok(());
            }
            _ => {}
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
                exec.order.layer_norm(value(0), weight, bias, *eps, out);
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
                exec.order.softmax(out, width);
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
            (Work::Op, Op::Unary(Unary::Relu)) => kernels::relu(value(0), out),
            (Work::Op, Op::Unary(Unary::Sigmoid)) => exec.order.sigmoid(value(0), out),
            (Work::Op, Op::Scale { factor }) => kernels::scale(value(0), *factor, out),
            (Work::Op, Op::Positions { table }) => {
                let dims = node.shape.bind(&self.bindings);
                let first = match node.shape.0[1] {
                    Dim::Symbol(Symbol::SourceLen) => 0,
                    _ => self.bindings.past_len(),
                };
                let table = &exec.model.tables[table.0].data;
                kernels::positions(value(0), table, dims[1], first, dims[2], out);
            }
            (Work::Op, Op::ZeroStart) => {
                out.copy_from_slice(value(0));
                if self.bindings.past_len() == 0 {
                    let dims = node.shape.bind(&self.bindings);
                    let sequences = out.chunks_exact_mut((dims[1] * dims[2]).max(1));
                    sequences.for_each(|sequence| sequence[..dims[2]].fill(0.0));
                }
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
                Op::Input
                | Op::Values
                | Op::Reshape
                | Op::Append { .. }
                | Op::Store { .. }
                | Op::Recall { .. }
                | Op::Recur { .. }
                | Op::Linear { .. }
                | Op::LinearRows { .. },
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
        if !self.prepare(exec, step, weight) {
            return Ok(());
        }
        let bias = bias.map(|bias| exec.weight(bias).vector());
        kernels::linear(exec.weight(weight), bias, &exec.activations, out);
        Ok(())
    }

    /// Makes the executor's activations of a product's input, unless they are its already.
    fn prepare(&mut self, exec: &mut CpuExecutor, step: &Step, weight: WeightId) -> bool {
        let source = step.operands[0];
        let Source::Slot(slot) = step.sources[0] else {
            return false;
        };
        let rounding = match exec.weight(weight) {
            Packed::I8(matrix) if exec.precision == Precision::Fast => matrix.rounding,
            _ => None,
        };
        let key = (source, rounding.map(f32::to_bits));
        if self.prepared != Some(key) {
            let width = self.graph.node(source).shape.width().unwrap_or(1);
            let (x, precision) = (&exec.slots[slot], exec.precision);
            match rounding {
                Some(multiplier) => exec.activations.round(x, width, multiplier),
                None => exec.activations.prepare(x, width, precision),
            }
            self.prepared = Some(key);
        }
        true
    }

    fn linear_rows(
        &mut self,
        exec: &mut CpuExecutor,
        step: &Step,
        (weight, bias): (WeightId, Option<WeightId>),
        out: &mut [f32],
    ) -> Result<()> {
        let words = self.graph.input(self.run, step.operands[1])?;
        if !self.prepare(exec, step, weight) {
            return Ok(());
        }
        let here = |selected: &Selected| selected.weight == weight && selected.words == words;
        let found = exec.selected.iter().position(here);
        let found = match found {
            Some(found) => found,
            None => {
                let rows = exec.weight(weight).select(words)?;
                let of = |bias: WeightId| {
                    let bias = exec.weight(bias).vector();
                    words.iter().map(|&word| bias[word as usize]).collect()
                };
                let bias = bias.map(of);
                let words = words.to_vec();
                exec.selected.retain(|selected| selected.weight != weight);
                exec.selected.push(Selected {
                    weight,
                    words,
                    rows,
                    bias,
                });
                exec.selected.len() - 1
            }
        };
        let Selected { rows, bias, .. } = &exec.selected[found];
        kernels::linear(rows, bias.as_deref(), &exec.activations, out);
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
            order: exec.order,
        })
    }

    fn bound(&self, node: NodeId) -> Vec<usize> {
        self.graph.node(node).shape.bind(&self.bindings)
    }

    /// Lengths from the operands at these places: a query `[batch, q_len, heads, head_dim]` and
    /// a key or value.
    fn attention_shape(&self, step: &Step, query: usize, key: usize) -> AttentionShape<'_> {
        let (q, k) = (
            self.bound(step.operands[query]),
            self.bound(step.operands[key]),
        );
        let (kv_stride, sources) = match step.sources[key] {
            Source::State(state) => self.session.keys_of(state),
            _ => (None, &[][..]),
        };
        let kv_stride = kv_stride.unwrap_or(k[1]);
        AttentionShape {
            batch: q[0],
            sources,
            q_len: q[1],
            kv_len: k[1],
            kv_stride,
            heads: q[2],
            kv_heads: k[2],
            head_dim: k[3],
        }
    }

    fn keep(&mut self, exec: &CpuExecutor, node: NodeId, source: Source) {
        let shape = self.bound(node);
        let data = match source {
            Source::State(state) => self.session.state_rows(state, shape[1]),
            source => self.value(exec, source).to_vec(),
        };
        let taps = &mut self.run.taps.iter();
        let policy = taps.find(|tap| tap.node == node).map(|tap| tap.policy);
        let value = Tensor { shape, data };
        let policy = policy.unwrap_or(TapPolicy::Last);
        self.session.keep(self.run.entry, node, policy, value);
    }
}
