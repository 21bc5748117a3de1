//! One run of an entry: its lengths, its checks, its steps.

use glassformer_graph::{
    Binary, Bindings, Dim, ExecError, Graph, Model, NodeId, Op, Run, Symbol, TableId, TapPolicy,
    Tensor, Unary, WeightId,
};

use crate::executor::CpuExecutor;
use crate::kernels::{self, AttentionShape};
use crate::plan::{Plan, Source, Step, Work};
use crate::session::Session;

type Result<T, E = ExecError> = std::result::Result<T, E>;

/// Finds the lengths of a run from its inputs and checks ids against what they index.
pub(crate) fn bind(graph: &Graph, run: &Run<'_>, session: &Session) -> Result<Bindings> {
    let mut bindings = Bindings {
        batch: session.batch,
        ..Bindings::default()
    };
    for id in graph.ids() {
        let node = graph.node(id);
        if node.op != Op::Input {
            continue;
        }
        let len = input(graph, run, id)?.len();
        let mut known = 1;
        let mut open = None;
        for dim in &node.shape.0 {
            match dim {
                Dim::Fixed(n) => known *= n,
                Dim::Symbol(Symbol::Batch) => known *= bindings.batch,
                Dim::Symbol(symbol) => open = Some(*symbol),
            }
        }
        let misfit = || ExecError::InputShape {
            name: node.name.clone(),
            len,
            shape: node.shape.to_string(),
        };
        if known == 0 || !len.is_multiple_of(known) {
            return Err(misfit());
        }
        match open {
            Some(Symbol::QueryLen) => bindings.query_len = len / known,
            Some(Symbol::Rows) => bindings.rows = len / known,
            Some(_) => return Err(misfit()),
            None if len != known => return Err(misfit()),
            None => {}
        }
        if open == Some(Symbol::QueryLen) && len == 0 {
            return Err(misfit());
        }
    }
    let past = if graph.appends() { session.len } else { 0 };
    bindings.kv_len = past + bindings.query_len;
    Ok(bindings)
}

fn input<'a>(graph: &Graph, run: &Run<'a>, id: NodeId) -> Result<&'a [u32]> {
    let name = &graph.node(id).name;
    let given = run.inputs.iter().find(|input| input.name == name);
    given
        .map(|input| input.data)
        .ok_or_else(|| ExecError::Unknown {
            what: "input",
            name: name.clone(),
        })
}

fn check_range(what: &'static str, indices: &[u32], len: usize) -> Result<()> {
    match indices.iter().find(|&&i| i as usize >= len) {
        Some(&index) => Err(ExecError::OutOfRange {
            what,
            index: index as usize,
            len,
        }),
        None => Ok(()),
    }
}

/// Checks every id and row before anything is computed.
pub(crate) fn check_indices(
    model: &Model,
    graph: &Graph,
    run: &Run<'_>,
    bindings: &Bindings,
) -> Result<()> {
    for node in graph.nodes() {
        match node.op {
            Op::Embedding { weight } => {
                let ids = input(graph, run, node.inputs[0])?;
                check_range("Token", ids, model.weights[weight.0].shape[0])?;
            }
            Op::SelectRows => {
                let rows = input(graph, run, node.inputs[1])?;
                check_range("Row", rows, bindings.query_len)?;
            }
            _ => {}
        }
    }
    Ok(())
}

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
                let bias = step.sources.get(3).map(|&source| self.value(exec, source));
                let [query, key, values] = [0, 1, 2].map(value);
                kernels::attention(shape, query, key, values, bias, scale, mask, out);
            }
            (Work::Op, Op::Embedding { weight }) => {
                let ids = input(self.graph, self.run, step.operands[0])?;
                let table = exec.weight(*weight);
                let hidden = out.len() / ids.len().max(1);
                for (&id, out) in ids.iter().zip(out.chunks_exact_mut(hidden.max(1))) {
                    table.row(id as usize, out);
                }
            }
            (Work::Op, Op::RmsNorm { weight, eps }) => {
                kernels::rms_norm(value(0), exec.weight(*weight).vector(), *eps, out);
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
                let bias = step.sources.get(2).map(|&source| self.value(exec, source));
                kernels::attention_scores(shape, value(0), value(1), bias, *scale, *mask, out);
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
            (Work::Op, Op::Binary(Binary::Add)) => kernels::add(value(0), value(1), out),
            (Work::Op, Op::Binary(Binary::Mul)) => kernels::mul(value(0), value(1), out),
            (Work::Op, Op::SelectRows) => {
                let rows = input(self.graph, self.run, step.operands[1])?;
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
            (Work::Op, Op::Input | Op::Reshape | Op::Append { .. } | Op::Linear { .. }) => {}
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
            // Ids are read by the operations that take them.
            Source::Input(_) => &[],
        }
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
