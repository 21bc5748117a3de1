//! What a session remembers between runs, on the device.

use std::collections::HashMap;

use glassformer_graph::{
    ExecError, Model, NodeId, Sources, StateDecl, StateId, StateKind, TapPolicy,
};
use wgpu::{BufferUsages, CommandEncoder};

use crate::device::{Buffer, Gpu};

type Result<T, E = ExecError> = std::result::Result<T, E>;

/// Positions by which a state grows.
const STEP: usize = 256;

/// Positions of sources by which their states grow: they are there as a whole, and most are sentences.
const SOURCE_STEP: usize = 64;

/// Sequences by which the table of their sources grows.
const SEQUENCES_STEP: usize = 8;

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

/// A state on the device.
#[derive(Debug)]
struct State {
    kind: StateKind,
    /// Elements of one row.
    width: usize,
    /// On either side; see [`Session::reorder`]. What belongs to the sources is on the first.
    buffers: [Option<Buffer>; 2],
}

impl State {
    fn buffer(&self, side: usize) -> Option<&Buffer> {
        let side = if self.kind == StateKind::Source {
            0
        } else {
            side
        };
        self.buffers[side].as_ref()
    }
}

/// Buffers of every state, and what the last runs kept.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) batch: usize,
    pub(crate) len: usize,
    max_len: usize,
    pub(crate) capacity: usize,
    /// The sources that their states hold, and the positions there is room for.
    pub(crate) sources: Sources,
    source_capacity: usize,
    /// [`Sources::of`], for shaders.
    sources_on_device: Option<Buffer>,
    /// `[batch, capacity, width]` of a sequence, `[batch, width]` of a recurrent state,
    /// `[sources, source_len, width]` of the sources.
    states: Vec<State>,
    /// Which buffers of the states are read and written now.
    pub(crate) side: usize,
    /// How often buffers were made anew.
    pub(crate) generation: usize,
    kept: HashMap<(String, NodeId), Kept>,
}

const FLOAT: usize = size_of::<f32>();

impl Session {
    /// An empty session: recurrent states are zero, others have no room yet.
    pub(crate) fn new(gpu: &Gpu, model: &Model, batch: usize, max_len: usize) -> Result<Self> {
        let state = |decl: &StateDecl| State {
            kind: decl.kind,
            width: decl.row.iter().product(),
            buffers: [None, None],
        };
        let mut session = Self {
            batch,
            len: 0,
            max_len: model.max_len().map_or(max_len, |max| max.min(max_len)),
            capacity: 0,
            sources: Sources::default(),
            source_capacity: 0,
            sources_on_device: None,
            states: model.states.iter().map(state).collect(),
            side: 0,
            generation: 0,
            kept: HashMap::new(),
        };
        for state in &mut session.states {
            if state.kind == StateKind::Recurrent {
                state.buffers[0] = Some(room(gpu, batch.saturating_mul(state.width))?);
            }
        }
        Ok(session)
    }

    /// The buffer of a state, once there is room for anything in it.
    pub(crate) fn state(&self, id: StateId) -> Option<&Buffer> {
        self.states[id.0].buffer(self.side)
    }

    /// Where the first `len` positions of each sequence or of its source are in a state's buffer, offset
    /// and length in elements; all of a recurrent state.
    pub(crate) fn pieces(&self, id: StateId, len: usize) -> Vec<(usize, usize)> {
        let State { kind, width, .. } = self.states[id.0];
        match kind {
            StateKind::Sequence => {
                let piece = |b: usize| (b * self.capacity * width, len * width);
                (0..self.batch).map(piece).collect()
            }
            StateKind::Recurrent => vec![(0, self.batch * width)],
            StateKind::Source => {
                let piece =
                    |of: &[u32; 2]| (of[0] as usize * self.sources.len * width, len * width);
                self.sources.of.iter().map(piece).collect()
            }
        }
    }

    /// Bytes of all states.
    pub(crate) fn bytes(&self) -> usize {
        let buffers = self.states.iter().flat_map(|state| &state.buffers);
        buffers.flatten().map(|b| b.size() as usize).sum()
    }

    /// Makes room for `len` positions; says whether the buffers are new.
    pub(crate) fn reserve(&mut self, gpu: &Gpu, len: usize) -> Result<bool> {
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
        // Used is all there is room for: positions that tokens in flight have written count as well.
        let from: Vec<u32> = (0..self.batch as u32).collect();
        let used = self.capacity.min(capacity);
        let copies = self.copies(gpu, &from, StateKind::Sequence, capacity, used)?;
        for (state, buffer) in copies {
            self.states[state].buffers = [None, None];
            self.states[state].buffers[self.side] = Some(buffer);
            self.generation += 1;
        }
        self.capacity = capacity;
        Ok(true)
    }

    /// Which source each sequence has, once there is one.
    pub(crate) fn sources_on_device(&self) -> Option<&Buffer> {
        self.sources_on_device.as_ref()
    }

    /// Makes room for sources in place of those before; says whether the buffers are new.
    pub(crate) fn read_sources(&mut self, gpu: &Gpu, sources: Sources) -> Result<bool> {
        let rows = sources.rows();
        let grows = rows > self.source_capacity;
        if grows {
            let capacity = rows.next_multiple_of(SOURCE_STEP);
            let larger = |state: &State| match state.kind {
                StateKind::Source => room(gpu, capacity.saturating_mul(state.width)).map(Some),
                _ => Ok(None),
            };
            // All of them before the first takes its place: should there be no room, nothing has changed.
            let larger: Vec<_> = self.states.iter().map(larger).collect::<Result<_>>()?;
            for (state, buffer) in self.states.iter_mut().zip(larger) {
                if buffer.is_some() {
                    state.buffers[0] = buffer;
                }
            }
            self.source_capacity = capacity;
            self.generation += 1;
        }
        self.sources = sources;
        self.write_sources(gpu);
        Ok(grows)
    }

    /// Tells the device whose source is whose.
    fn write_sources(&mut self, gpu: &Gpu) {
        let bytes: &[u8] = bytemuck::cast_slice(&self.sources.of);
        if bytes.is_empty() {
            return;
        }
        let fits = |b: &&Buffer| b.size() as usize >= bytes.len();
        if self.sources_on_device.as_ref().filter(fits).is_none() {
            let room = self.sources.of.len().next_multiple_of(SEQUENCES_STEP);
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
            let buffer = gpu.buffer("sources", room * size_of::<[u32; 2]>(), usage);
            self.sources_on_device = Some(buffer);
            self.generation += 1;
        }
        if let Some(buffer) = &self.sources_on_device {
            gpu.queue.write_buffer(buffer, 0, bytes);
        }
    }

    /// New buffers of all states of a kind with room for `capacity` rows a sequence, each sequence `i`
    /// going on from what `from[i]` was: its first `used` rows.
    fn copies(
        &self,
        gpu: &Gpu,
        from: &[u32],
        kind: StateKind,
        capacity: usize,
        used: usize,
    ) -> Result<Vec<(usize, Buffer)>> {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut copies = Vec::new();
        for (i, state) in self
            .states
            .iter()
            .enumerate()
            .filter(|(_, s)| s.kind == kind)
        {
            let row = state.width * FLOAT;
            let elements = from
                .len()
                .saturating_mul(capacity)
                .saturating_mul(state.width);
            let buffer = room(gpu, elements)?;
            let old = match kind {
                StateKind::Sequence => self.capacity,
                StateKind::Recurrent | StateKind::Source => 1,
            };
            if let Some(source) = state.buffer(self.side) {
                copy_rows(
                    &mut encoder,
                    (source, old * row),
                    (&buffer, capacity * row),
                    from,
                    used * row,
                );
            }
            copies.push((i, buffer));
        }
        gpu.queue.submit([encoder.finish()]);
        gpu.check()?;
        Ok(copies)
    }

    /// Makes sequence `i` go on from what sequence `from[i]` was. The rows are copied to the states'
    /// buffers on the other side, since the old are read while the new are written.
    pub(crate) fn reorder(&mut self, gpu: &Gpu, from: &[u32]) -> Result<()> {
        if let Some(&bad) = from.iter().find(|&&i| i as usize >= self.batch) {
            let (what, index, len) = ("Sequence", bad as usize, self.batch);
            return Err(ExecError::OutOfRange { what, index, len });
        }
        let stays = from.len() == self.batch && (0..).zip(from).all(|(i, f)| i == *f);
        if stays {
            return Ok(());
        }
        let (side, other) = (self.side, 1 - self.side);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        for state in &mut self.states {
            // Of a sequence: its room and how much of it is used.
            let (rows, used) = match state.kind {
                StateKind::Sequence => (self.capacity, self.len),
                StateKind::Recurrent => (1, 1),
                StateKind::Source => continue,
            };
            let [rows, used] = [rows, used].map(|n| n * state.width);
            let wanted = from.len().saturating_mul(rows);
            let fits = |b: &Buffer| b.size() as usize >= wanted.saturating_mul(FLOAT);
            if !state.buffers[other].as_ref().is_some_and(fits) {
                state.buffers[other] = Some(room(gpu, wanted)?);
                self.generation += 1;
            }
            if let [Some(source), Some(target)] = [&state.buffers[side], &state.buffers[other]] {
                let [rows, used] = [rows, used].map(|n| n * FLOAT);
                copy_rows(&mut encoder, (source, rows), (target, rows), from, used);
            }
        }
        gpu.queue.submit([encoder.finish()]);
        (self.side, self.batch) = (other, from.len());
        self.sources.reorder(from);
        self.write_sources(gpu);
        gpu.check()
    }

    /// A copy that can go on by itself; it has kept nothing.
    pub(crate) fn fork(&self, gpu: &Gpu) -> Result<Self> {
        let empty = |state: &State| State {
            buffers: [None, None],
            ..*state
        };
        let mut copy = Self {
            states: self.states.iter().map(empty).collect(),
            kept: HashMap::new(),
            sources: self.sources.clone(),
            sources_on_device: None,
            ..*self
        };
        copy.write_sources(gpu);
        let from: Vec<u32> = (0..self.batch as u32).collect();
        for (kind, from, rows) in [
            (StateKind::Sequence, &from[..], self.capacity),
            (StateKind::Recurrent, &from, 1),
            (StateKind::Source, &[0], self.source_capacity),
        ] {
            for (state, buffer) in self.copies(gpu, from, kind, rows, rows)? {
                let side = if kind == StateKind::Source {
                    0
                } else {
                    self.side
                };
                copy.states[state].buffers[side] = Some(buffer);
            }
        }
        Ok(copy)
    }

    /// Forgets all but the first `len` positions.
    ///
    /// # Errors
    /// If a recurrent state would lose some of its positions, but not all.
    pub(crate) fn truncate(&mut self, gpu: &Gpu, len: usize) -> Result<()> {
        let recurrent = |state: &&State| state.kind == StateKind::Recurrent;
        let mut recurrent = self.states.iter().filter(recurrent).peekable();
        if recurrent.peek().is_some() && len < self.len {
            if len > 0 {
                return Err(ExecError::CannotTruncate);
            }
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            for buffer in recurrent.filter_map(|state| state.buffer(self.side)) {
                encoder.clear_buffer(buffer, 0, None);
            }
            gpu.queue.submit([encoder.finish()]);
        }
        self.len = self.len.min(len);
        self.kept.clear();
        Ok(())
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

/// A buffer for this many elements of a state; zero at first.
fn room(gpu: &Gpu, elements: usize) -> Result<Buffer> {
    let bytes = elements.saturating_mul(FLOAT);
    if bytes as u64 > gpu.device.limits().max_storage_buffer_binding_size {
        return Err(ExecError::OutOfMemory { bytes });
    }
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
    Ok(gpu.buffer("state", bytes, usage))
}

/// Copies the first `used` bytes of sequence `from[i]` to where sequence `i` begins; sequences lie
/// apart by the bytes beside each buffer.
fn copy_rows(
    encoder: &mut CommandEncoder,
    (source, stride): (&Buffer, usize),
    (target, apart): (&Buffer, usize),
    from: &[u32],
    used: usize,
) {
    if used == 0 {
        return;
    }
    for (to, &from) in from.iter().enumerate() {
        let (from, to) = ((from as usize * stride) as u64, (to * apart) as u64);
        encoder.copy_buffer_to_buffer(source, from, target, to, used as u64);
    }
}
