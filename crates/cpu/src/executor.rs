//! The executor: weights, sessions and prepared plans.

use std::collections::HashMap;
use std::rc::Rc;

use glassformer_graph::{
    Backend, Binary, Bindings, Dim, Encoding, ExecError, Executor, Graph, LocalFuture, Model,
    NodeId, Op, Precision, Run, Select, SessionId, Symbol, TableId, Tap, TapPolicy, Tensor, Unary,
    WeightId,
};

use crate::kernels::{self, Activations, AttentionShape};
use crate::packed::Filling;
use crate::plan::{Plan, Source, Step, Work};
use crate::session::Session;

type Result<T, E = ExecError> = std::result::Result<T, E>;

/// Entry and tapped nodes a plan was made for.
type PlanKey = (String, Vec<NodeId>);

/// Runs models on the CPU.
#[derive(Debug)]
pub struct CpuExecutor {
    precision: Precision,
    model: Rc<Model>,
    weights: Vec<Filling>,
    sessions: HashMap<SessionId, Session>,
    next_session: u32,
    plans: HashMap<PlanKey, Rc<Plan>>,
    slots: Vec<Vec<f32>>,
    activations: Activations,
}

impl CpuExecutor {
    /// An executor without a model.
    pub fn new(precision: Precision) -> Self {
        Self {
            precision,
            model: Rc::default(),
            weights: Vec::new(),
            sessions: HashMap::new(),
            next_session: 0,
            plans: HashMap::new(),
            slots: Vec::new(),
            activations: Activations::default(),
        }
    }

    fn session(&self, id: SessionId) -> Result<&Session> {
        self.sessions.get(&id).ok_or_else(|| unknown_session(id))
    }

    fn session_mut(&mut self, id: SessionId) -> Result<&mut Session> {
        self.sessions
            .get_mut(&id)
            .ok_or_else(|| unknown_session(id))
    }

    fn add_session(&mut self, session: Session) -> SessionId {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        self.sessions.insert(id, session);
        id
    }

    fn plan(&mut self, entry: &str, taps: &[Tap]) -> Result<Rc<Plan>> {
        let model = Rc::clone(&self.model);
        let graph = graph(&model, entry)?;
        let mut nodes: Vec<NodeId> = taps.iter().map(|tap| tap.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        if let Some(bad) = nodes.iter().find(|id| id.0 >= graph.nodes().len()) {
            let (what, name) = ("node", bad.0.to_string());
            return Err(ExecError::Unknown { what, name });
        }
        let plan = self
            .plans
            .entry((entry.into(), nodes))
            .or_insert_with_key(|(_, nodes)| Rc::new(Plan::lower(graph, nodes)));
        Ok(Rc::clone(plan))
    }

    fn weight(&self, id: WeightId) -> &crate::Packed {
        &self.weights[id.0].packed
    }
}

fn unknown_session(id: SessionId) -> ExecError {
    let (what, name) = ("session", id.0.to_string());
    ExecError::Unknown { what, name }
}

fn graph<'m>(model: &'m Model, entry: &str) -> Result<&'m Graph> {
    model.entries.get(entry).ok_or_else(|| ExecError::Unknown {
        what: "entry",
        name: entry.into(),
    })
}

/// Finds the lengths of a run from its inputs and checks ids against what they index.
fn bind(graph: &Graph, run: &Run<'_>, session: &Session) -> Result<Bindings> {
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
fn check_indices(model: &Model, graph: &Graph, run: &Run<'_>, bindings: &Bindings) -> Result<()> {
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

impl Executor for CpuExecutor {
    fn backend(&self) -> Backend {
        Backend::Cpu
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn load(&mut self, model: Rc<Model>, encodings: &[Encoding]) -> Result<()> {
        // The old model goes first: both at once may not fit.
        *self = Self::new(self.precision);
        if encodings.len() != model.weights.len() {
            let (what, index) = ("Weight", encodings.len());
            let len = model.weights.len();
            return Err(ExecError::OutOfRange { what, index, len });
        }
        let weights = model.weights.iter().zip(encodings);
        self.weights = weights
            .map(|(decl, &encoding)| Filling::new(decl, encoding))
            .collect::<Result<_>>()?;
        self.model = model;
        Ok(())
    }

    fn write_weight(&mut self, weight: WeightId, bytes: &[u8]) -> Result<()> {
        let both = self
            .weights
            .get_mut(weight.0)
            .zip(self.model.weights.get(weight.0));
        let (filling, decl) = both.ok_or_else(|| ExecError::Unknown {
            what: "weight",
            name: weight.0.to_string(),
        })?;
        filling.write(decl, bytes)
    }

    fn finish_load(&mut self) -> Result<()> {
        let mut weights = self.weights.iter().zip(&self.model.weights);
        weights.try_for_each(|(weight, decl)| weight.check(decl))
    }

    fn open(&mut self, batch: usize, max_len: usize) -> Result<SessionId> {
        let session = Session::new(&self.model, batch, max_len);
        Ok(self.add_session(session))
    }

    fn fork(&mut self, session: SessionId) -> Result<SessionId> {
        let copy = self.session(session)?.clone();
        Ok(self.add_session(copy))
    }

    fn truncate(&mut self, session: SessionId, len: usize) -> Result<()> {
        self.session_mut(session)?.truncate(len);
        Ok(())
    }

    fn close(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    fn len(&self, session: SessionId) -> Result<usize> {
        Ok(self.session(session)?.len)
    }

    fn run(&mut self, run: Run<'_>) -> Result<()> {
        let model = Rc::clone(&self.model);
        let graph = graph(&model, run.entry)?;
        let bindings = bind(graph, &run, self.session(run.session)?)?;
        check_indices(&model, graph, &run, &bindings)?;
        let plan = self.plan(run.entry, run.taps)?;

        let Some(mut session) = self.sessions.remove(&run.session) else {
            return Err(unknown_session(run.session));
        };
        let done = session.reserve(bindings.kv_len).and_then(|()| {
            session.start_run(run.entry);
            let mut steps = Steps {
                graph,
                run: &run,
                bindings,
                session: &mut session,
                prepared: None,
            };
            steps.all(self, &plan)
        });
        if done.is_ok() && graph.appends() {
            session.len = bindings.kv_len;
        }
        self.sessions.insert(run.session, session);
        done
    }

    fn read<'a>(
        &'a self,
        session: SessionId,
        entry: &'a str,
        node: NodeId,
        select: Select<'a>,
    ) -> LocalFuture<'a, Result<Vec<Tensor>>> {
        Box::pin(async move {
            let kept = self.session(session)?.kept(entry, node);
            let kept = kept.ok_or_else(|| {
                let graph = self.model.entries.get(entry);
                let node = graph.and_then(|graph| graph.nodes().get(node.0));
                ExecError::NotKept(node.map_or_else(|| entry.into(), |node| node.name.clone()))
            })?;
            kept.iter().map(|tensor| part(tensor, select)).collect()
        })
    }

    fn steps(&mut self, entry: &str, taps: &[Tap]) -> Result<Vec<String>> {
        let plan = self.plan(entry, taps)?;
        Ok(plan.describe(graph(&self.model, entry)?))
    }
}

/// The part of a tensor at fixed indices of its first axes.
fn part(tensor: &Tensor, select: Select<'_>) -> Result<Tensor> {
    let mut data = tensor.data.as_slice();
    let mut shape = tensor.shape.as_slice();
    for &index in select {
        let Some((&len, inner)) = shape.split_first().filter(|(len, _)| index < **len) else {
            let (what, len) = ("Index", shape.first().copied().unwrap_or(0));
            return Err(ExecError::OutOfRange { what, index, len });
        };
        let size = data.len() / len;
        data = &data[index * size..(index + 1) * size];
        shape = inner;
    }
    Ok(Tensor {
        shape: shape.to_vec(),
        data: data.to_vec(),
    })
}

/// The steps of one run.
struct Steps<'a> {
    graph: &'a Graph,
    run: &'a Run<'a>,
    bindings: Bindings,
    session: &'a mut Session,
    /// The node whose value the executor's activations were prepared from.
    prepared: Option<NodeId>,
}

impl Steps<'_> {
    fn all(&mut self, exec: &mut CpuExecutor, plan: &Plan) -> Result<()> {
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
                bytes: more * size_of::<f32>(),
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
