//! Choosing tokens on the device: the run of a token and the choice of the next are encoded
//! alternately, several to a submit, and two submits are in flight, so that the device never waits
//! for the host. How many go into one submit is measured: Stop has to be heard soon.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use glassformer_graph::{
    Bindings, Choice, Choosing, ExecError, KEPT, KeptLogits, LOG_SUMS, NodeId, SessionId,
};
use web_time::Instant;
use wgpu::{BindGroup, BindGroupDescriptor, BindGroupEntry, BufferUsages, ComputePassDescriptor};

use crate::device::{Buffer, Gpu, Pipeline};
use crate::kernel::Kernel;
use crate::prepared::Prepared;
use crate::session::Session;
use crate::shaders::Variant;
use crate::store::Store;

type Result<T, E = ExecError> = std::result::Result<T, E>;

const WORD: usize = size_of::<u32>();

/// Words of a record and where its parts begin; see `shaders/choose.wgsl`.
const RECORD: usize = 536;
const IDS_AT: usize = 4;
const LOGITS_AT: usize = IDS_AT + KEPT;
const SUMS_AT: usize = LOGITS_AT + KEPT;

/// Tokens of one submit, at most.
const MOST_AT_ONCE: usize = 8;

/// Records there is room for: those of three submits, so that none is overwritten unread.
const SLOTS: usize = 3 * MOST_AT_ONCE;

/// How long what is in flight may take, so that Stop is heard within 100 ms.
const AHEAD: Duration = Duration::from_millis(80);

/// A submit whose records are on their way.
#[derive(Debug)]
struct Flight {
    staging: Buffer,
    count: usize,
}

/// The shader that chooses among so many tokens.
pub(crate) fn kernel(vocab: usize) -> Kernel {
    Kernel::new("choose", Variant::default()).count("VOCAB", vocab)
}

/// What the shader that chooses is bound to, beside the logits.
#[derive(Debug)]
struct Bound {
    pipeline: Rc<Pipeline>,
    control: Buffer,
    settings: Buffer,
    draws: Buffer,
    seen: Buffer,
    records: Buffer,
    /// The plan's input.
    ids: NodeId,
}

impl Bound {
    fn group(&self, gpu: &Gpu, prepared: &Prepared, logits: &Buffer) -> Result<BindGroup> {
        let ids = prepared.input(self.ids);
        let ids = ids.ok_or_else(|| ExecError::NotKept("The token of the run".into()))?;
        let buffers = [
            prepared.lengths(),
            logits,
            &self.settings,
            &self.draws,
            &self.seen,
            ids,
            &self.records,
            &self.control,
        ];
        let entries: Vec<BindGroupEntry<'_>> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        Ok(gpu.device.create_bind_group(&BindGroupDescriptor {
            label: Some("choose"),
            layout: &self.pipeline.layout,
            entries: &entries,
        }))
    }
}

/// A session that chooses.
#[derive(Debug)]
pub(crate) struct Chooser {
    /// The run of one token, with buffers of its own: the device itself writes its inputs.
    prepared: Prepared,
    entry: String,
    logits: NodeId,
    bound: Bound,
    /// Chooses from what the last run kept.
    first: BindGroup,
    /// Chooses from the plan's own logits.
    rest: BindGroup,
    /// The capacity of the session's states that the plan knows.
    capacity: usize,
    /// Positions the session held in the beginning.
    base: usize,
    flights: VecDeque<Flight>,
    ready: VecDeque<Choice>,
    /// Choices submitted, given out, and wanted in the end.
    submitted: usize,
    given: usize,
    most: usize,
    /// How long a token takes, once measured, and when the last ones arrived.
    pace: Option<Duration>,
    arrived: Instant,
}

/// Where a chooser works.
pub(crate) struct Stage<'a> {
    pub(crate) gpu: &'a Gpu,
    pub(crate) store: &'a Store,
    pub(crate) id: SessionId,
    pub(crate) session: &'a mut Session,
}

/// One token of one sequence.
pub(crate) const ONE_TOKEN: Bindings = Bindings {
    batch: 1,
    query_len: 1,
    kv_len: 1,
    rows: 1,
    source_len: 0,
    candidates: 0,
};

impl Chooser {
    /// Prepares choosing from the logits `[1, 1, vocab]` that the last run kept; `prepared` runs
    /// one token whose id is the input `ids`. At most `most` are chosen.
    pub(crate) fn new(
        stage: &Stage<'_>,
        prepared: Prepared,
        ids: NodeId,
        (choosing, most): (&Choosing<'_>, usize),
    ) -> Result<Self> {
        let Stage { gpu, session, .. } = stage;
        let kept = session.kept(choosing.entry, choosing.logits);
        let kept = kept.and_then(|steps| steps.last());
        let kept = kept.filter(|kept| kept.shape.len() == 3 && kept.shape[..2] == [1, 1]);
        let not_kept = || ExecError::NotKept("The logits of one position".into());
        let kept = kept.ok_or_else(not_kept)?;
        let own = prepared.kept_value(choosing.logits, session);
        let own = own.ok_or_else(not_kept)?;

        let vocab = kept.shape[2];
        let storage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
        let upload = |label: &str, words: &[u32], usage| {
            let buffer = gpu.buffer(label, size_of_val(words), usage);
            gpu.queue
                .write_buffer(&buffer, 0, bytemuck::cast_slice(words));
            buffer
        };
        let mut seen = vec![0u32; vocab.div_ceil(32)];
        for &id in choosing.history {
            if let Some(word) = seen.get_mut(id as usize / 32) {
                *word |= 1 << (id % 32);
            }
        }
        let draws: Vec<u32> = choosing.draws.iter().map(|draw| draw.to_bits()).collect();
        let settings = [
            choosing.temperature.to_bits(),
            choosing.top_p.to_bits(),
            choosing.min_p.to_bits(),
            choosing.repetition_penalty.to_bits(),
            choosing.top_k,
            session.len as u32,
            SLOTS as u32,
            draws.len().max(1) as u32,
        ];
        let bound = Bound {
            pipeline: gpu.pipeline(&kernel(vocab))?,
            control: upload("control", &[0; 4], storage),
            settings: upload(
                "settings",
                &settings,
                BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            ),
            draws: upload("draws", &draws, storage),
            seen: upload("seen", &seen, storage),
            records: gpu.buffer("records", SLOTS * RECORD * WORD, storage),
            ids,
        };
        Ok(Self {
            first: bound.group(gpu, &prepared, &kept.buffer)?,
            rest: bound.group(gpu, &prepared, own)?,
            prepared,
            entry: choosing.entry.into(),
            logits: choosing.logits,
            bound,
            capacity: session.capacity,
            base: session.len,
            flights: VecDeque::new(),
            ready: VecDeque::new(),
            submitted: 0,
            given: 0,
            most,
            pace: None,
            arrived: Instant::now(),
        })
    }

    /// Bytes of its buffers.
    pub(crate) fn bytes(&self) -> usize {
        self.prepared.bytes() + self.bound.records.size() as usize
    }

    /// Tokens of the next submit: as many as fit into the time it may take, half of what may be
    /// in flight. The first one measures.
    fn next_count(&self) -> usize {
        let Some(pace) = self.pace else {
            return 1;
        };
        let fit = (AHEAD / 2).as_nanos() / pace.as_nanos().max(1);
        usize::try_from(fit)
            .unwrap_or(MOST_AT_ONCE)
            .clamp(1, MOST_AT_ONCE)
    }

    /// Submits that may be in flight: one alone where a token is slow.
    fn flights_wanted(&self) -> usize {
        if self.pace.is_some_and(|pace| pace * 2 <= AHEAD) {
            2
        } else {
            1
        }
    }

    /// Submits as much as may be in flight.
    pub(crate) fn top_up(&mut self, stage: &mut Stage<'_>) -> Result<()> {
        while self.flights.len() < self.flights_wanted() && self.submitted < self.most {
            let count = self.next_count().min(self.most - self.submitted);
            self.submit(stage, count)?;
        }
        Ok(())
    }

    /// Encodes and submits `count` choices, each but the very first behind the run of a token.
    fn submit(&mut self, stage: &mut Stage<'_>, count: usize) -> Result<()> {
        let Stage {
            gpu,
            store,
            id,
            session,
        } = stage;
        session.reserve(gpu, self.base + self.submitted + count - 1)?;
        if self.capacity != session.capacity {
            self.capacity = session.capacity;
            self.prepared.set_capacity(gpu, self.capacity);
        }
        self.prepared.bind(gpu, store, (*id, session))?;
        let mut dispatches = 0;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            for i in self.submitted..self.submitted + count {
                if i > 0 {
                    dispatches += self.prepared.encode(&mut pass, (*id, session), &ONE_TOKEN);
                }
                pass.set_pipeline(&self.bound.pipeline.compute);
                pass.set_bind_group(0, if i > 0 { &self.rest } else { &self.first }, &[]);
                pass.dispatch_workgroups(1, 1, 1);
                dispatches += 1;
            }
        }
        let usage = BufferUsages::COPY_DST | BufferUsages::MAP_READ;
        let staging = gpu.buffer("records", count * RECORD * WORD, usage);
        for i in 0..count {
            let slots = [(self.submitted + i) % SLOTS, i];
            let [from, to] = slots.map(|slot| (slot * RECORD * WORD) as u64);
            let bytes = (RECORD * WORD) as u64;
            encoder.copy_buffer_to_buffer(&self.bound.records, from, &staging, to, bytes);
        }
        gpu.queue.submit([encoder.finish()]);
        // The very first choice runs no token.
        gpu.count(dispatches, count - usize::from(self.submitted == 0));
        gpu.check()?;
        if self.flights.is_empty() {
            self.arrived = Instant::now();
        }
        self.flights.push_back(Flight { staging, count });
        self.submitted += count;
        Ok(())
    }

    /// A choice that has arrived, and the positions the session holds with it.
    pub(crate) fn take(&mut self) -> Option<(Choice, usize)> {
        let choice = self.ready.pop_front()?;
        // The token before it has been run.
        let len = self.base + self.given;
        if choice.id.is_some() {
            self.given += 1;
        } else {
            // Whatever was submitted behind it has done nothing.
            self.ready.clear();
            self.flights.clear();
            self.most = self.submitted;
        }
        Some((choice, len))
    }

    /// Keeps the logits of a choice that the device could not decide where the caller reads them.
    pub(crate) fn keep_logits(&self, gpu: &Gpu, session: &mut Session) {
        // Those of the first choice are there already.
        if self.given > 0
            && let Some(logits) = self.prepared.kept_value(self.logits, session)
        {
            let logits = wgpu::Buffer::clone(logits);
            session.rekeep(gpu, &self.entry, self.logits, &logits);
        }
    }

    /// Waits for the oldest submit. Dropped while it waits, it is waited for again.
    pub(crate) async fn arrive(&mut self, gpu: &Gpu) -> Result<bool> {
        let Some(flight) = self.flights.front() else {
            return Ok(false);
        };
        let bytes = gpu
            .map(&flight.staging, flight.count * RECORD * WORD)
            .await?;
        let words = bytes.chunks_exact(WORD);
        let words: Vec<u32> = words
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        for record in words.chunks_exact(RECORD) {
            let choice = choice(record)?;
            let decided = choice.id.is_some();
            self.ready.push_back(choice);
            if !decided {
                // What was encoded behind it has written no record.
                break;
            }
        }
        let pace = self.arrived.elapsed() / flight.count as u32;
        self.arrived = Instant::now();
        // The very first choice runs no token, and compiles.
        if self.submitted > flight.count || self.pace.is_some() {
            self.pace = Some(self.pace.map_or(pace, |before| (before * 3 + pace) / 4));
        }
        self.flights.pop_front();
        Ok(true)
    }
}

/// Reads a record.
fn choice(words: &[u32]) -> Result<Choice> {
    let [id, undecided, len, _] = [0, 1, 2, 3].map(|i| words[i]);
    let len = (len as usize).min(KEPT);
    let ids = &words[IDS_AT..IDS_AT + len];
    let logits = &words[LOGITS_AT..LOGITS_AT + len];
    let top = ids.iter().zip(logits);
    let top: Vec<(u32, f32)> = top.map(|(&id, &l)| (id, f32::from_bits(l))).collect();
    let sums: Vec<f32> = words[SUMS_AT..SUMS_AT + LOG_SUMS]
        .iter()
        .map(|&word| f32::from_bits(word).ln())
        .collect();
    let finite = top.iter().all(|(_, logit)| logit.is_finite());
    let log_sums = <[f32; LOG_SUMS]>::try_from(sums);
    match log_sums {
        Ok(log_sums) if finite && !top.is_empty() && log_sums.iter().all(|s| s.is_finite()) => {
            Ok(Choice {
                id: (undecided == 0).then_some(id),
                kept: KeptLogits { top, log_sums },
            })
        }
        _ => Err(ExecError::Device("The logits are no numbers.".into())),
    }
}
