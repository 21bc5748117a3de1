//! What a session remembers between runs, on the device.

use std::collections::HashMap;

use glassformer_graph::{ExecError, Model, NodeId, StateId, TapPolicy};
use wgpu::{BufferUsages, CommandEncoder};

use crate::device::{Buffer, Gpu};

/// Positions by which a state grows.
const STEP: usize = 256;

/// A value that was kept: a buffer and its shape.
#[derive(Debug)]
pub(crate) struct KeptValue {
    pub(crate) buffer: Buffer,
    pub(crate) shape: Vec<usize>,
}

#[derive(Debug)]
struct Kept {
    policy: TapPolicy,
    steps: Vec<KeptValue>,
}

/// Buffers of every state, and what the last runs kept.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) batch: usize,
    pub(crate) len: usize,
    max_len: usize,
    pub(crate) capacity: usize,
    /// Elements of one row of each state.
    widths: Vec<usize>,
    /// `[batch, capacity, width]` each.
    states: Vec<Buffer>,
    kept: HashMap<(String, NodeId), Kept>,
}

const FLOAT: usize = size_of::<f32>();

impl Session {
    pub(crate) fn new(model: &Model, batch: usize, max_len: usize) -> Self {
        let widths = model.states.iter().map(|state| state.row.iter().product());
        Self {
            batch,
            len: 0,
            max_len: model.max_len().map_or(max_len, |max| max.min(max_len)),
            capacity: 0,
            widths: widths.collect(),
            states: Vec::new(),
            kept: HashMap::new(),
        }
    }

    pub(crate) fn state(&self, id: StateId) -> &Buffer {
        &self.states[id.0]
    }

    pub(crate) fn width(&self, id: StateId) -> usize {
        self.widths[id.0]
    }

    /// Bytes of all states.
    pub(crate) fn bytes(&self) -> usize {
        self.widths.iter().sum::<usize>() * self.batch * self.capacity * FLOAT
    }

    /// Makes room for `len` positions; says whether the buffers are new.
    pub(crate) fn reserve(&mut self, gpu: &Gpu, len: usize) -> Result<bool, ExecError> {
        if len > self.max_len {
            return Err(ExecError::ContextFull {
                wanted: len,
                max: self.max_len,
            });
        }
        if len <= self.capacity {
            return Ok(false);
        }
        let capacity = len.next_multiple_of(STEP).min(self.max_len);
        self.states = self.copy_states(gpu, capacity)?;
        self.capacity = capacity;
        Ok(true)
    }

    fn copy_states(&self, gpu: &Gpu, capacity: usize) -> Result<Vec<Buffer>, ExecError> {
        let most = gpu.device.limits().max_storage_buffer_binding_size;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut states = Vec::new();
        for (i, &width) in self.widths.iter().enumerate() {
            let row = width * FLOAT;
            let bytes = self.batch.saturating_mul(capacity).saturating_mul(row);
            if bytes as u64 > most {
                return Err(ExecError::OutOfMemory { bytes });
            }
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
            let buffer = gpu.buffer("state", bytes, usage);
            // All there is room for: positions that tokens in flight have written count as well.
            let used = self.capacity.min(capacity) * row;
            if used > 0 {
                for b in 0..self.batch {
                    let from = (b * self.capacity * row) as u64;
                    let to = (b * capacity * row) as u64;
                    encoder.copy_buffer_to_buffer(&self.states[i], from, &buffer, to, used as u64);
                }
            }
            states.push(buffer);
        }
        gpu.queue.submit([encoder.finish()]);
        gpu.check()?;
        Ok(states)
    }

    /// A copy that can go on by itself; it has kept nothing.
    pub(crate) fn fork(&self, gpu: &Gpu) -> Result<Self, ExecError> {
        Ok(Self {
            states: self.copy_states(gpu, self.capacity)?,
            widths: self.widths.clone(),
            kept: HashMap::new(),
            ..*self
        })
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.kept.clear();
    }

    /// Forgets what earlier runs of this entry kept, except what is appended.
    pub(crate) fn start_run(&mut self, entry: &str) {
        self.kept
            .retain(|(e, _), kept| e != entry || kept.policy == TapPolicy::Append);
    }

    /// Copies a value `[.., elements]` out of `source`, piece by piece: offset and length in
    /// elements, one behind the other.
    pub(crate) fn keep(
        &mut self,
        gpu: &Gpu,
        encoder: &mut CommandEncoder,
        (entry, node, policy): (&str, NodeId, TapPolicy),
        (source, pieces): (&wgpu::Buffer, &[(usize, usize)]),
        shape: Vec<usize>,
    ) {
        let total: usize = pieces.iter().map(|(_, len)| len).sum();
        // Tokens are chosen from kept logits by a shader.
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
        let buffer = gpu.buffer("kept", total * FLOAT, usage);
        let mut to = 0;
        for &(from, len) in pieces.iter().filter(|(_, len)| *len > 0) {
            let (from, len) = ((from * FLOAT) as u64, (len * FLOAT) as u64);
            encoder.copy_buffer_to_buffer(source, from, &buffer, to, len);
            to += len;
        }
        let kept = self.kept.entry((entry.into(), node)).or_insert(Kept {
            policy,
            steps: Vec::new(),
        });
        kept.policy = policy;
        if policy == TapPolicy::Last {
            kept.steps.clear();
        }
        kept.steps.push(KeptValue { buffer, shape });
    }

    /// Replaces what was kept of a node by a copy of `source`.
    pub(crate) fn rekeep(&mut self, gpu: &Gpu, entry: &str, node: NodeId, source: &wgpu::Buffer) {
        let Some(kept) = self.kept.get_mut(&(entry.to_owned(), node)) else {
            return;
        };
        if let Some(last) = kept.steps.last() {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            let bytes = (last.shape.iter().product::<usize>() * FLOAT) as u64;
            encoder.copy_buffer_to_buffer(source, 0, &last.buffer, 0, bytes);
            gpu.queue.submit([encoder.finish()]);
        }
    }

    pub(crate) fn kept(&self, entry: &str, node: NodeId) -> Option<&[KeptValue]> {
        let kept = self.kept.get(&(entry.to_owned(), node))?;
        Some(&kept.steps)
    }
}
