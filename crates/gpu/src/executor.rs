//! The executor: weights, sessions and prepared plans on one device.

use std::collections::HashMap;
use std::rc::Rc;

use glassformer_graph::{
    Backend, Bindings, Choice, Choosing, Counts, Encoding, ExecError, Executor, Graph, LocalFuture,
    Model, NodeId, Op, Precision, Run, Select, SessionId, Tap, TapPolicy, Tensor, WeightId, part,
};
use wgpu::{BufferUsages, CommandEncoder, ComputePassDescriptor};

use crate::choose::{Chooser, ONE_TOKEN, Stage};
use crate::device::Gpu;
use crate::kernel::Place;
use crate::lower::{Arithmetic, Plan, Sizes};
use crate::prepared::Prepared;
use crate::session::{KeptValue, Session};
use crate::store::Store;

type Result<T, E = ExecError> = std::result::Result<T, E>;

const FLOAT: usize = size_of::<f32>();

/// Entry, tapped nodes and sizes a plan was made for.
type PlanKey = (String, Vec<NodeId>, Sizes);

/// Runs models on the GPU.
#[derive(Debug)]
pub struct GpuExecutor {
    gpu: Rc<Gpu>,
    precision: Precision,
    model: Rc<Model>,
    store: Option<Store>,
    sessions: HashMap<SessionId, Session>,
    next_session: u32,
    plans: HashMap<PlanKey, Prepared>,
    choosers: HashMap<SessionId, Chooser>,
}

impl GpuExecutor {
    /// An executor without a model. Where the device has no half precision, what is asked for as
    /// fast is computed in f32, and [`Executor::precision`] says so.
    pub fn new(gpu: Rc<Gpu>, precision: Precision) -> Self {
        let precision = if gpu.info().f16 {
            precision
        } else {
            Precision::Exact
        };
        Self {
            gpu,
            precision,
            model: Rc::default(),
            store: None,
            sessions: HashMap::new(),
            next_session: 0,
            plans: HashMap::new(),
            choosers: HashMap::new(),
        }
    }

    /// The device.
    pub fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    /// Bytes of weights, of sessions and of values on the way.
    pub fn memory(&self) -> [usize; 3] {
        let weights = self.store.as_ref().map_or(0, |store| store.bytes);
        let sessions = self.sessions.values().map(Session::bytes).sum();
        let values: usize = self.plans.values().map(Prepared::bytes).sum();
        let choosing: usize = self.choosers.values().map(Chooser::bytes).sum();
        [weights, sessions, values + choosing]
    }

    fn session(&self, id: SessionId) -> Result<&Session> {
        self.sessions
            .get(&id)
            .ok_or_else(|| ExecError::unknown_session(id))
    }

    fn session_mut(&mut self, id: SessionId) -> Result<&mut Session> {
        let session = self.sessions.get_mut(&id);
        session.ok_or_else(|| ExecError::unknown_session(id))
    }

    fn add_session(&mut self, session: Session) -> SessionId {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        self.sessions.insert(id, session);
        id
    }

    fn key(&self, graph: &Graph, entry: &str, taps: &[Tap], sizes: Sizes) -> Result<PlanKey> {
        let mut nodes: Vec<NodeId> = taps.iter().map(|tap| tap.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        if let Some(bad) = nodes.iter().find(|id| id.0 >= graph.nodes().len()) {
            let (what, name) = ("node", bad.0.to_string());
            return Err(ExecError::Unknown { what, name });
        }
        Ok((entry.into(), nodes, sizes))
    }

    fn lower(&self, graph: &Graph, key: &PlanKey) -> Result<Plan> {
        let (_, nodes, sizes) = key;
        let store = self.store.as_ref().ok_or_else(no_model)?;
        Plan::lower(graph, nodes, &store.layout, *sizes)
    }

    fn sizes(&self, bindings: &Bindings) -> Sizes {
        let arithmetic = Arithmetic {
            subgroups: self.gpu.info().subgroups,
            half: self.precision == Precision::Fast,
        };
        Sizes::of(bindings, arithmetic)
    }

    /// Encodes and submits one run of a prepared plan.
    fn submit(
        &mut self,
        graph: &Graph,
        run: &Run<'_>,
        key: &PlanKey,
        bindings: &Bindings,
    ) -> Result<()> {
        let store = self.store.as_ref().ok_or_else(no_model)?;
        let (gpu, id) = (&self.gpu, run.session);
        let session = self
            .sessions
            .get_mut(&id)
            .ok_or_else(|| ExecError::unknown_session(id))?;
        if session.reserve(gpu, bindings.kv_len)? {
            self.plans.values_mut().for_each(|plan| plan.forget(id));
        }
        let Some(prepared) = self.plans.get_mut(key) else {
            return Ok(());
        };
        let inputs = graph.ids().filter(|&id| graph.node(id).op == Op::Input);
        let inputs = inputs.map(|id| Ok((id, graph.input(run, id)?)));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        prepared.begin(gpu, graph, &inputs, bindings, session.capacity)?;
        prepared.bind(gpu, store, (id, session))?;
        session.start_run(run.entry);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let dispatches = {
            let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            prepared.encode(&mut pass, id, bindings)
        };
        gpu.count(dispatches, bindings.batch * bindings.query_len);
        for &(node, place) in &prepared.plan.keep {
            let policy = run.taps.iter().find(|tap| tap.node == node);
            let policy = policy.map_or(TapPolicy::Last, |tap| tap.policy);
            let keep = (run.entry, node, policy);
            let shape = graph.node(node).shape.bind(bindings);
            keep_value(gpu, &mut encoder, prepared, session, keep, place, shape);
        }
        gpu.queue.submit([encoder.finish()]);
        gpu.check()
    }
}

/// Copies a kept value into the session. A state's rows lie `capacity` apart.
fn keep_value(
    gpu: &Gpu,
    encoder: &mut CommandEncoder,
    prepared: &Prepared,
    session: &mut Session,
    keep: (&str, NodeId, TapPolicy),
    place: Place,
    shape: Vec<usize>,
) {
    let pieces: Vec<(usize, usize)> = match place {
        Place::State(state) => {
            let (width, len) = (session.width(state), shape.get(1).copied().unwrap_or(0));
            let piece = |b: usize| (b * session.capacity * width, len * width);
            (0..session.batch).map(piece).collect()
        }
        _ => vec![(0, shape.iter().product())],
    };
    let Some(source) = prepared.value(place, session) else {
        return;
    };
    let source = wgpu::Buffer::clone(source);
    session.keep(gpu, encoder, keep, (&source, &pieces), shape);
}

fn no_model() -> ExecError {
    let (what, name) = ("model", "loaded".to_owned());
    ExecError::Unknown { what, name }
}

impl Executor for GpuExecutor {
    fn backend(&self) -> Backend {
        Backend::Gpu
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn load(&mut self, model: Rc<Model>, encodings: &[Encoding]) -> Result<()> {
        // The old model goes first: both at once may not fit.
        *self = Self::new(Rc::clone(&self.gpu), self.precision);
        if encodings.len() != model.weights.len() {
            let (what, index) = ("Weight", encodings.len());
            let len = model.weights.len();
            return Err(ExecError::OutOfRange { what, index, len });
        }
        self.store = Some(Store::new(&self.gpu, &model, encodings)?);
        self.model = model;
        self.gpu.check()
    }

    fn write_weight(&mut self, weight: WeightId, bytes: &[u8]) -> Result<()> {
        let store = self.store.as_mut().ok_or_else(no_model)?;
        let decl = self.model.weights.get(weight.0);
        let decl = decl.ok_or_else(|| ExecError::Unknown {
            what: "weight",
            name: weight.0.to_string(),
        })?;
        store.write(&self.gpu, decl, weight, bytes)
    }

    fn finish_load(&mut self) -> Result<()> {
        let store = self.store.as_mut().ok_or_else(no_model)?;
        store.finish(&self.gpu, &self.model)?;
        // Natively, writes wait in memory for the next submit.
        self.gpu.queue.submit([]);
        self.gpu.check()
    }

    fn open(&mut self, batch: usize, max_len: usize) -> Result<SessionId> {
        let session = Session::new(&self.model, batch, max_len);
        Ok(self.add_session(session))
    }

    fn fork(&mut self, session: SessionId) -> Result<SessionId> {
        let copy = self.session(session)?.fork(&self.gpu)?;
        Ok(self.add_session(copy))
    }

    fn truncate(&mut self, session: SessionId, len: usize) -> Result<()> {
        self.end_choosing(session);
        self.session_mut(session)?.truncate(len);
        Ok(())
    }

    fn close(&mut self, session: SessionId) {
        self.end_choosing(session);
        self.sessions.remove(&session);
        self.plans
            .values_mut()
            .for_each(|plan| plan.forget(session));
    }

    fn len(&self, session: SessionId) -> Result<usize> {
        Ok(self.session(session)?.len)
    }

    fn run(&mut self, run: Run<'_>) -> Result<()> {
        self.gpu.check()?;
        self.end_choosing(run.session);
        let model = Rc::clone(&self.model);
        let graph = model.entry(run.entry)?;
        let session = self.session(run.session)?;
        let bindings = graph.bind(&run, session.batch, session.len)?;
        graph.check_indices(&model, &run, &bindings)?;
        let key = self.key(graph, run.entry, run.taps, self.sizes(&bindings))?;
        if !self.plans.contains_key(&key) {
            let plan = self.lower(graph, &key)?;
            let prepared = Prepared::new(&self.gpu, plan)?;
            self.plans.insert(key.clone(), prepared);
        }
        self.submit(graph, &run, &key, &bindings)?;
        if graph.appends() {
            self.session_mut(run.session)?.len = bindings.kv_len;
        }
        Ok(())
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
            let parts = kept.iter().map(|value| part(&value.shape, select));
            let parts = parts.collect::<Result<Vec<_>>>()?;
            read_parts(&self.gpu, kept, parts).await
        })
    }

    fn counts(&self) -> Option<Counts> {
        let weights = self.store.as_ref().map_or(0, |store| store.bytes);
        let rows = self.model.states.iter();
        let elements: usize = rows.map(|state| state.row.iter().product::<usize>()).sum();
        Some(Counts {
            weight_bytes: weights as u64,
            position_bytes: (elements * size_of::<f32>()) as u64,
            buffer_bytes: self.memory().iter().sum::<usize>() as u64,
            ..self.gpu.counts()
        })
    }

    fn begin_choosing(&mut self, choosing: &Choosing<'_>) -> Result<bool> {
        self.gpu.check()?;
        // A token that a penalty below 1 makes likelier may come from anywhere in the vocabulary.
        if choosing.repetition_penalty < 1.0 || self.session(choosing.session)?.batch != 1 {
            return Ok(false);
        }
        let model = Rc::clone(&self.model);
        let graph = model.entry(choosing.entry)?;
        let (Some(ids), Some(rows)) = (graph.find("ids"), graph.find("rows")) else {
            return Ok(false);
        };
        let key = self.key(graph, choosing.entry, &[], self.sizes(&ONE_TOKEN))?;
        let plan = self.lower(graph, &key)?;
        // Tokens are encoded ahead, with the same workgroups and buffers at every position.
        if plan.grows() {
            return Ok(false);
        }
        let mut prepared = Prepared::new(&self.gpu, plan)?;
        let (id, store) = (choosing.session, self.store.as_ref().ok_or_else(no_model)?);
        let session = self.sessions.get_mut(&id);
        let session = session.ok_or_else(|| ExecError::unknown_session(id))?;
        let inputs: [(NodeId, &[u32]); 2] = [(ids, &[0]), (rows, &[0])];
        // Should the device not decide the first token, what was submitted behind it still runs: not
        // where it would overwrite what the session holds.
        let next = Bindings {
            kv_len: session.len + 1,
            ..ONE_TOKEN
        };
        prepared.begin(&self.gpu, graph, &inputs, &next, session.capacity)?;
        let gpu = &self.gpu;
        let stage = Stage {
            gpu,
            store,
            id,
            session,
        };
        let chooser = Chooser::new(&stage, prepared, ids, choosing)?;
        self.choosers.insert(id, chooser);
        Ok(true)
    }

    fn next_choice(&mut self, id: SessionId) -> LocalFuture<'_, Result<Option<Choice>>> {
        Box::pin(async move {
            let chooser = self.choosers.get_mut(&id);
            let chooser = chooser.ok_or_else(|| ExecError::unknown_session(id))?;
            let session = self.sessions.get_mut(&id);
            let session = session.ok_or_else(|| ExecError::unknown_session(id))?;
            let (gpu, store) = (&*self.gpu, self.store.as_ref().ok_or_else(no_model)?);
            loop {
                chooser.top_up(&mut Stage {
                    gpu,
                    store,
                    id,
                    session,
                })?;
                if let Some((choice, len)) = chooser.take() {
                    session.len = len;
                    if choice.id.is_none() {
                        chooser.keep_logits(gpu, session);
                    }
                    return Ok(Some(choice));
                }
                if !chooser.arrive(gpu).await? {
                    return Ok(None);
                }
            }
        })
    }

    fn end_choosing(&mut self, session: SessionId) {
        self.choosers.remove(&session);
    }

    fn steps(&mut self, entry: &str, taps: &[Tap]) -> Result<Vec<String>> {
        let model = Rc::clone(&self.model);
        let graph = model.entry(entry)?;
        let one = Bindings {
            batch: 1,
            query_len: 1,
            kv_len: 1,
            rows: 1,
        };
        let key = self.key(graph, entry, taps, self.sizes(&one))?;
        Ok(self.lower(graph, &key)?.describe(graph))
    }
}

/// Copies the parts behind each other, then reads them at once.
async fn read_parts(
    gpu: &Gpu,
    kept: &[KeptValue],
    parts: Vec<(usize, Vec<usize>)>,
) -> Result<Vec<Tensor>> {
    gpu.check()?;
    let len = |shape: &[usize]| shape.iter().product::<usize>();
    let total: usize = parts.iter().map(|(_, shape)| len(shape)).sum();
    let usage = BufferUsages::COPY_DST | BufferUsages::MAP_READ;
    let staging = gpu.buffer("read", total * FLOAT, usage);
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    let mut to = 0;
    for (value, (offset, shape)) in kept.iter().zip(&parts) {
        let (from, bytes) = ((offset * FLOAT) as u64, (len(shape) * FLOAT) as u64);
        if bytes > 0 {
            encoder.copy_buffer_to_buffer(&value.buffer, from, &staging, to, bytes);
        }
        to += bytes;
    }
    gpu.queue.submit([encoder.finish()]);
    let bytes = gpu.map(&staging, total * FLOAT).await?;
    let mut numbers = bytes
        .chunks_exact(FLOAT)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let tensor = |(_, shape): (usize, Vec<usize>)| Tensor {
        data: numbers.by_ref().take(len(&shape)).collect(),
        shape,
    };
    Ok(parts.into_iter().map(tensor).collect())
}
