//! One run: encoded, submitted, and what is looked at kept and read.

use glassformer_graph::{Bindings, ExecError, Graph, NodeId, Op, Run, Sources, TapPolicy, Tensor};
use wgpu::{BufferUsages, CommandEncoder, ComputePassDescriptor};

use super::{GpuExecutor, PlanKey, Result, no_model};
use crate::device::Gpu;
use crate::kernel::Place;
use crate::lower::run_of;
use crate::prepared::Prepared;
use crate::session::{KeptValue, Session};

const FLOAT: usize = size_of::<f32>();

impl GpuExecutor {
    /// Encodes and submits one run of a prepared plan.
    pub(super) fn submit(
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
        let mut anew = session.reserve(gpu, bindings.kv_len)?;
        if let Some(lengths) = graph.lengths_of_sources() {
            let lengths = graph.input(run, lengths)?;
            anew |= session.read_sources(gpu, Sources::read(lengths, bindings.source_len))?;
        }
        if anew {
            self.plans.values_mut().for_each(|plan| plan.forget(id));
        }
        let Some(prepared) = self.plans.get_mut(key) else {
            return Ok(());
        };
        let inputs = graph
            .ids()
            .filter(|&id| matches!(graph.node(id).op, Op::Input | Op::Values));
        let inputs = inputs.map(|id| Ok((id, graph.input(run, id)?)));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        prepared.begin(gpu, graph, &inputs, bindings, session.capacity)?;
        prepared.bind(gpu, store, (id, session))?;
        session.start_run(run.entry);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let dispatches = {
            let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            prepared.encode(&mut pass, (id, session), bindings)
        };
        let run_lengths = run_of(graph, bindings);
        gpu.count(dispatches, run_lengths.batch * run_lengths.query_len);
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
        Place::State(state) => session.pieces(state, shape.get(1).copied().unwrap_or(0)),
        _ => vec![(0, shape.iter().product())],
    };
    let Some(source) = prepared.value(place, session) else {
        return;
    };
    let source = wgpu::Buffer::clone(source);
    session.keep(gpu, encoder, keep, (&source, &pieces), shape);
}

/// Copies the parts behind each other, then reads them at once.
pub(super) async fn read_parts(
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
