//! A plan with its pipelines, buffers and bind groups: what is encoded again for every run.

use std::collections::HashMap;
use std::rc::Rc;

use glassformer_graph::{Bindings, ExecError, Graph, NodeId, SessionId};
use wgpu::{BindGroup, BindGroupDescriptor, BindGroupEntry, BufferUsages, ComputePass};

use crate::device::{Buffer, Gpu, Pipeline};
use crate::kernel::Place;
use crate::lower::{Plan, run_of};
use crate::session::Session;
use crate::store::Store;

const WORD: usize = size_of::<f32>();

/// Words of the buffer with a run's lengths; see `shaders/include/run.wgsl`.
const RUN_WORDS: usize = 10;
const CAPACITY_AT: usize = 5;

/// A plan that can be encoded.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pipelines: Vec<Rc<Pipeline>>,
    run: Buffer,
    buffers: Vec<Buffer>,
    inputs: HashMap<NodeId, Buffer>,
    /// Of each session and side of its states, for the generation of its buffers.
    groups: HashMap<(SessionId, usize), (usize, Vec<BindGroup>)>,
}

impl Prepared {
    /// Compiles what a plan needs.
    pub(crate) fn new(gpu: &Gpu, plan: Plan) -> Result<Self, ExecError> {
        let pipelines = plan.dispatches.iter().map(|d| gpu.pipeline(&d.kernel));
        let pipelines = pipelines.collect::<Result<_, _>>()?;
        // The shader that chooses tokens writes the lengths of the next run.
        let usage = BufferUsages::UNIFORM | BufferUsages::STORAGE | BufferUsages::COPY_DST;
        Ok(Self {
            run: gpu.buffer("run", RUN_WORDS * WORD, usage),
            pipelines,
            buffers: Vec::new(),
            inputs: HashMap::new(),
            groups: HashMap::new(),
            plan,
        })
    }

    /// Bytes of its buffers.
    pub(crate) fn bytes(&self) -> usize {
        let all = self.buffers.iter().chain(self.inputs.values());
        all.map(|buffer| buffer.size() as usize).sum()
    }

    /// Forgets a session's bind groups, and with them its buffers.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.groups.retain(|(id, _), _| *id != session);
    }

    /// Makes the buffers large enough for a run and uploads its inputs and lengths, those of
    /// [`run_of`].
    pub(crate) fn begin(
        &mut self,
        gpu: &Gpu,
        graph: &Graph,
        inputs: &[(NodeId, &[u32])],
        bindings: &Bindings,
        capacity: usize,
    ) -> Result<(), ExecError> {
        let dispatches = &self.plan.dispatches;
        dispatches.iter().try_for_each(|d| d.check(bindings))?;
        let most = gpu.device.limits().max_storage_buffer_binding_size;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let fits = |buffer: &Buffer, bytes: usize| buffer.size() >= bytes as u64;
        for (i, shapes) in self.plan.buffers.iter().enumerate() {
            let elements = shapes.iter().map(|shape| shape.elements(bindings)).max();
            let bytes = elements.unwrap_or(0).saturating_mul(WORD);
            if bytes > most {
                return Err(ExecError::OutOfMemory { bytes });
            }
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
            if i == self.buffers.len() {
                self.buffers.push(gpu.buffer("value", bytes, usage));
                self.groups.clear();
            } else if !fits(&self.buffers[i], bytes) {
                // Lengths of attention grow with every token: by half at once.
                let bytes = bytes.saturating_add(bytes / 2).min(most);
                self.buffers[i] = gpu.buffer("value", bytes, usage);
                self.groups.clear();
            }
        }
        for &(id, data) in inputs {
            let bytes: &[u8] = bytemuck::cast_slice(data);
            if !self.inputs.get(&id).is_some_and(|b| fits(b, bytes.len())) {
                let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
                let name = &graph.node(id).name;
                self.inputs.insert(id, gpu.buffer(name, bytes.len(), usage));
                self.groups.clear();
            }
            if !bytes.is_empty() {
                gpu.queue.write_buffer(&self.inputs[&id], 0, bytes);
            }
        }
        let run = run_of(graph, bindings);
        let Bindings {
            batch,
            query_len,
            kv_len,
            rows,
            source_len,
            candidates,
        } = run;
        let lengths: [usize; RUN_WORDS] = [
            run.past_len(),
            query_len,
            kv_len,
            batch,
            rows,
            capacity,
            batch * query_len,
            batch * rows,
            source_len,
            candidates,
        ];
        let words = lengths.map(|n| n as u32);
        gpu.queue
            .write_buffer(&self.run, 0, bytemuck::cast_slice(&words));
        Ok(())
    }

    /// The buffer with the lengths of its run.
    pub(crate) fn lengths(&self) -> &Buffer {
        &self.run
    }

    /// The buffer of an input.
    pub(crate) fn input(&self, id: NodeId) -> Option<&Buffer> {
        self.inputs.get(&id)
    }

    /// Tells the next runs that the session's states have grown; other lengths stay.
    pub(crate) fn set_capacity(&self, gpu: &Gpu, capacity: usize) {
        let at = (CAPACITY_AT * WORD) as u64;
        let word = (capacity as u32).to_le_bytes();
        gpu.queue.write_buffer(&self.run, at, &word);
    }

    /// The buffer of a node that is kept, after its run.
    pub(crate) fn kept_value<'a>(
        &'a self,
        node: NodeId,
        session: &'a Session,
    ) -> Option<&'a Buffer> {
        let kept = self.plan.keep.iter().find(|(id, _)| *id == node)?;
        self.value(kept.1, session)
    }

    /// The buffer of a value.
    pub(crate) fn value<'a>(&'a self, place: Place, session: &'a Session) -> Option<&'a Buffer> {
        match place {
            Place::Value(i) => self.buffers.get(i),
            Place::State(state) => session.state(state),
            _ => None,
        }
    }

    fn resource<'a>(
        &'a self,
        place: Place,
        store: &'a Store,
        session: &'a Session,
    ) -> Option<&'a Buffer> {
        match place {
            Place::Run => Some(&self.run),
            Place::Vectors => Some(&store.vectors),
            Place::Numbers(i) => store.matrices.get(i).map(|(numbers, _)| numbers),
            Place::Scales(i) => store.matrices.get(i)?.1.as_ref(),
            Place::Input(id) => self.inputs.get(&id),
            Place::Sources => session.sources_on_device(),
            place => self.value(place, session),
        }
    }

    /// Makes the session's bind groups where they are not there yet.
    pub(crate) fn bind(
        &mut self,
        gpu: &Gpu,
        store: &Store,
        (id, session): (SessionId, &Session),
    ) -> Result<(), ExecError> {
        let known = self.groups.get(&(id, session.side));
        if known.is_some_and(|(generation, _)| *generation == session.generation) {
            return Ok(());
        }
        let mut groups = Vec::with_capacity(self.pipelines.len());
        for (dispatch, pipeline) in self.plan.dispatches.iter().zip(&self.pipelines) {
            let mut entries = Vec::with_capacity(dispatch.bindings.len());
            for &(number, _) in &pipeline.bindings {
                let bound = dispatch.bindings.iter().find(|(n, _)| *n == number);
                let buffer = bound.and_then(|(_, place)| self.resource(*place, store, session));
                let buffer = buffer.ok_or_else(|| {
                    let operation = dispatch.kernel.operation;
                    ExecError::Device(format!("{operation} lacks its binding {number}."))
                })?;
                entries.push(BindGroupEntry {
                    binding: number,
                    resource: buffer.as_entire_binding(),
                });
            }
            groups.push(gpu.device.create_bind_group(&BindGroupDescriptor {
                label: None,
                layout: &pipeline.layout,
                entries: &entries,
            }));
        }
        self.groups
            .insert((id, session.side), (session.generation, groups));
        Ok(())
    }

    /// Encodes all dispatches; what there is nothing of to compute is left out.
    /// Says how many there are.
    pub(crate) fn encode(
        &self,
        pass: &mut ComputePass<'_>,
        (id, session): (SessionId, &Session),
        bindings: &Bindings,
    ) -> usize {
        let Some((_, groups)) = self.groups.get(&(id, session.side)) else {
            return 0;
        };
        let mut count = 0;
        let mut last: Option<&Rc<Pipeline>> = None;
        let steps = self.plan.dispatches.iter().zip(&self.pipelines).zip(groups);
        for ((dispatch, pipeline), group) in steps {
            let Some([x, y, z]) = dispatch.workgroups(bindings) else {
                continue;
            };
            if !last.is_some_and(|last| Rc::ptr_eq(last, pipeline)) {
                pass.set_pipeline(&pipeline.compute);
                last = Some(pipeline);
            }
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(x, y, z);
            count += 1;
        }
        count
    }
}
