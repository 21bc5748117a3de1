//! The executor: weights, sessions and prepared plans.

use std::collections::HashMap;
use std::rc::Rc;

use glassformer_graph::{
    Backend, Encoding, ExecError, Executor, LocalFuture, Model, NodeId, Precision, Run, Select,
    SessionId, Sources, Tap, Tensor, WeightId, part,
};

use crate::kernels::{Activations, Order};
use crate::packed::{Filling, Packed};
use crate::plan::Plan;
use crate::run::Steps;
use crate::session::Session;

type Result<T, E = ExecError> = std::result::Result<T, E>;

/// Weights beyond this are refused before any memory is taken: WebAssembly has 4 GiB, and gives
/// none of it back. Natively the system decides.
const MOST_BYTES: Option<u64> = if cfg!(target_pointer_width = "32") {
    Some(3_500_000_000)
} else {
    None
};

/// Entry and tapped nodes a plan was made for.
type PlanKey = (String, Vec<NodeId>);

/// Runs models on the CPU.
#[derive(Debug)]
pub struct CpuExecutor {
    pub(crate) precision: Precision,
    /// Where the model's file says how to round, `fast` is what its own runtime computes.
    pub(crate) order: Order,
    pub(crate) model: Rc<Model>,
    weights: Vec<Filling>,
    sessions: HashMap<SessionId, Session>,
    next_session: u32,
    plans: HashMap<PlanKey, Rc<Plan>>,
    /// Buffers that plans use and use again.
    pub(crate) slots: Vec<Vec<f32>>,
    pub(crate) activations: Activations,
    /// The rows of output matrices that the last runs asked for: a sentence asks for the same at
    /// every word.
    pub(crate) selected: Vec<Selected>,
}

/// Rows of a matrix, packed by themselves.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) weight: WeightId,
    pub(crate) words: Vec<u32>,
    pub(crate) rows: Packed,
    pub(crate) bias: Option<Vec<f32>>,
}

impl CpuExecutor {
    /// An executor without a model.
    pub fn new(precision: Precision) -> Self {
        Self {
            precision,
            order: Order::default(),
            model: Rc::default(),
            weights: Vec::new(),
            sessions: HashMap::new(),
            next_session: 0,
            plans: HashMap::new(),
            slots: Vec::new(),
            activations: Activations::default(),
            selected: Vec::new(),
        }
    }

    fn session(&self, id: SessionId) -> Result<&Session> {
        self.sessions
            .get(&id)
            .ok_or_else(|| ExecError::unknown_session(id))
    }

    fn session_mut(&mut self, id: SessionId) -> Result<&mut Session> {
        self.sessions
            .get_mut(&id)
            .ok_or_else(|| ExecError::unknown_session(id))
    }

    fn add_session(&mut self, session: Session) -> SessionId {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        self.sessions.insert(id, session);
        id
    }

    fn plan(&mut self, entry: &str, taps: &[Tap]) -> Result<Rc<Plan>> {
        let model = Rc::clone(&self.model);
        let graph = model.entry(entry)?;
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

    pub(crate) fn weight(&self, id: WeightId) -> &Packed {
        &self.weights[id.0].packed
    }
}

impl Executor for CpuExecutor {
    fn backend(&self) -> Backend {
        Backend::Cpu
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn load(&mut self, model: Rc<Model>, encodings: &[Encoding]) -> Result<()> {
        let sizes = model.weights.iter().zip(encodings);
        let bytes = sizes.fold(0u64, |sum, (decl, &encoding)| {
            sum.saturating_add(Packed::bytes(decl, encoding))
        });
        if MOST_BYTES.is_some_and(|most| bytes > most) {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            return Err(ExecError::OutOfMemory { bytes });
        }
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
        let mut weights = self.weights.iter_mut().zip(&self.model.weights);
        weights.try_for_each(|(weight, decl)| weight.finish(decl))?;
        for (matrix, multiplier) in &self.model.rounding {
            let multiplier = self.weight(*multiplier).vector().first().copied();
            if let Packed::I8(matrix) = &mut self.weights[matrix.0].packed {
                matrix.rounding = multiplier;
                if self.precision == Precision::Fast {
                    self.order = Order::Marian;
                }
            }
        }
        Ok(())
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
        self.session_mut(session)?.truncate(len)
    }

    fn reorder(&mut self, session: SessionId, from: &[u32]) -> Result<()> {
        self.session_mut(session)?.reorder(from)
    }

    fn close(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    fn len(&self, session: SessionId) -> Result<usize> {
        Ok(self.session(session)?.len)
    }

    fn run(&mut self, run: Run<'_>) -> Result<()> {
        let model = Rc::clone(&self.model);
        let graph = model.entry(run.entry)?;
        let session = self.session(run.session)?;
        let mut bindings = graph.bind(&run, session.batch, session.len)?;
        let lengths = graph.lengths_of_sources();
        if lengths.is_none() {
            bindings.source_len = session.sources.len;
        }
        graph.check_indices(&model, &run, &bindings)?;
        let plan = self.plan(run.entry, run.taps)?;

        let Some(mut session) = self.sessions.remove(&run.session) else {
            return Err(ExecError::unknown_session(run.session));
        };
        let done = session.reserve(bindings.kv_len).and_then(|()| {
            if let Some(lengths) = lengths {
                let lengths = graph.input(&run, lengths)?;
                session.sources = Sources::read(lengths, bindings.source_len);
            }
            session.start_run(run.entry);
            let mut steps = Steps::new(graph, &run, bindings, &mut session);
            steps.all(self, &plan)
        });
        if done.is_ok() && graph.appends() {
            session.len = bindings.kv_len;
        }
        if done.is_err() && lengths.is_some() {
            // What was there is gone, and the others not there yet.
            session.sources = Sources::default();
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
            let part = |tensor: &Tensor| {
                let (from, shape) = part(&tensor.shape, select)?;
                let len: usize = shape.iter().product();
                let data = tensor.data[from..from + len].to_vec();
                Ok(Tensor { shape, data })
            };
            kept.iter().map(part).collect()
        })
    }

    fn steps(&mut self, entry: &str, taps: &[Tap]) -> Result<Vec<String>> {
        let plan = self.plan(entry, taps)?;
        Ok(plan.describe(self.model.entry(entry)?))
    }
}
