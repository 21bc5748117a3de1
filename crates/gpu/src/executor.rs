//! The executor: weights, sessions and prepared plans on one device.

mod choosing;
mod run;
mod warm;

use std::collections::HashMap;
use std::rc::Rc;

use glassformer_graph::{
    Backend, Bindings, Choice, Choosing, Counts, Encoding, ExecError, Executor, Graph, LocalFuture,
    Model, NodeId, Precision, Run, Select, SessionId, StateDecl, StateKind, Tap, Tensor, WeightId,
    part,
};

use crate::choose::Chooser;
use crate::device::Gpu;
use crate::lower::{Arithmetic, Plan, Sizes, run_of};
use crate::prepared::Prepared;
use crate::session::Session;
use crate::store::Store;

type Result<T, E = ExecError> = std::result::Result<T, E>;

/// Entry, tapped nodes and sizes a plan was made for.
type PlanKey = (String, Vec<NodeId>, Sizes);

/// Plans with taps that are kept ready: one text goes through two or three, the steps behind one weight through one.
const MOST_LOOKING: usize = 6;

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
    /// Of the plans, those that keep what is looked at, the one used last at the end.
    looking: Vec<PlanKey>,
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
            looking: Vec::new(),
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

    /// Another run of a plan that keeps what is looked at. There are as many as layers and more, each with buffers of
    /// its own; those that were not used for longest are dropped.
    fn looked_with(&mut self, key: &PlanKey) {
        self.looking.retain(|other| other != key);
        self.looking.push(key.clone());
        if self.looking.len() > MOST_LOOKING {
            self.plans.remove(&self.looking.remove(0));
        }
    }

    fn sizes(&self, graph: &Graph, bindings: &Bindings) -> Sizes {
        let arithmetic = Arithmetic {
            subgroups: self.gpu.info().subgroups,
            half: self.precision == Precision::Fast,
        };
        Sizes::of(&run_of(graph, bindings), arithmetic)
    }
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

    fn prepare<'a>(
        &'a mut self,
        entry: &'a str,
        runs: &'a [Bindings],
    ) -> LocalFuture<'a, Result<()>> {
        Box::pin(self.warm(entry, runs))
    }

    fn open(&mut self, batch: usize, max_len: usize) -> Result<SessionId> {
        let session = Session::new(&self.gpu, &self.model, batch, max_len)?;
        Ok(self.add_session(session))
    }

    fn fork(&mut self, session: SessionId) -> Result<SessionId> {
        let copy = self.session(session)?.fork(&self.gpu)?;
        Ok(self.add_session(copy))
    }

    fn truncate(&mut self, session: SessionId, len: usize) -> Result<()> {
        self.end_choosing(session);
        let gpu = Rc::clone(&self.gpu);
        self.session_mut(session)?.truncate(&gpu, len)
    }

    fn reorder(&mut self, session: SessionId, from: &[u32]) -> Result<()> {
        self.end_choosing(session);
        let gpu = Rc::clone(&self.gpu);
        self.session_mut(session)?.reorder(&gpu, from)
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
        let mut bindings = graph.bind(&run, session.batch, session.len)?;
        if !graph.stores() {
            bindings.source_len = session.sources.len;
        }
        graph.check_indices(&model, &run, &bindings)?;
        let key = self.key(graph, run.entry, run.taps, self.sizes(graph, &bindings))?;
        if !run.taps.is_empty() {
            self.looked_with(&key);
        }
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
            run::read_parts(&self.gpu, kept, parts).await
        })
    }

    fn counts(&self) -> Option<Counts> {
        let weights = self.store.as_ref().map_or(0, |store| store.bytes);
        let sequence = |state: &&StateDecl| state.kind == StateKind::Sequence;
        let rows = self.model.states.iter().filter(sequence);
        let elements: usize = rows.map(|state| state.row.iter().product::<usize>()).sum();
        Some(Counts {
            weight_bytes: weights as u64,
            position_bytes: (elements * size_of::<f32>()) as u64,
            buffer_bytes: self.memory().iter().sum::<usize>() as u64,
            ..self.gpu.counts()
        })
    }

    fn begin_choosing(&mut self, choosing: &Choosing<'_>) -> Result<bool> {
        self.choose_ahead(choosing)
    }

    fn next_choice(&mut self, id: SessionId) -> LocalFuture<'_, Result<Option<Choice>>> {
        Box::pin(self.chosen(id))
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
            source_len: 1,
            candidates: 1,
        };
        let key = self.key(graph, entry, taps, self.sizes(graph, &one))?;
        Ok(self.lower(graph, &key)?.describe(graph))
    }
}
