//! What runs a model: the one trait that the CPU and GPU executors implement.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::{Bindings, Encoding, KeptLogits, Model, NodeId, WeightId};

/// A future that stays on its thread, as everything in a browser's worker does.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Where arithmetic happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// SIMD on the CPU.
    Cpu,
    /// Compute shaders through WebGPU.
    Gpu,
}

impl Backend {
    /// As links and `--json` spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "webgpu",
        }
    }
}

/// How arithmetic happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// f32 on the dequantised weights: every backend gives the same answer within tolerance.
    Exact,
    /// Products of rounded operands: on the CPU, activations become 8 bits per block of 32 and are
    /// multiplied as integers; on a GPU that has it, products are computed in f16.
    Fast,
}

impl Precision {
    /// As links and `--json` spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Fast => "fast",
        }
    }
}

/// What can go wrong while a model is loaded or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// The session has no room for these positions.
    #[error("The text is too long: {wanted} tokens, and this session takes {max}.")]
    ContextFull {
        /// Positions there would be.
        wanted: usize,
        /// Positions there can be.
        max: usize,
    },
    /// A token id outside the vocabulary, or a row outside the run.
    #[error("{what} {index} does not exist; there are {len}.")]
    OutOfRange {
        /// "Token", "Row".
        what: &'static str,
        /// What was asked for.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// A sequence of a batch has no positions, or more than there are.
    #[error("A sequence cannot have {length} of {max} positions.")]
    SequenceLength {
        /// What was said of it.
        length: u32,
        /// Positions of the longest.
        max: usize,
    },
    /// The caller asked for something that is not there.
    #[error("There is no {what} named {name} in this model.")]
    Unknown {
        /// "entry", "node", "input", "session".
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// A node was read that no run kept.
    #[error("{0} was not kept by the last run.")]
    NotKept(String),
    /// A decoder ran before its encoder.
    #[error("There is nothing to attend to yet: the source is read first.")]
    NoSource,
    /// An input's length does not fit its shape.
    #[error("The input {name} has {len} numbers, which do not fit {shape}.")]
    InputShape {
        /// Which input.
        name: String,
        /// How many came.
        len: usize,
        /// What its node says.
        shape: String,
    },
    /// A weight's bytes are missing, too many or out of order.
    #[error("The weight {name} is incomplete: {got} of {expected} bytes.")]
    IncompleteWeight {
        /// Which.
        name: String,
        /// Bytes that came.
        got: usize,
        /// Bytes it has.
        expected: usize,
    },
    /// The executor cannot hold this weight.
    #[error("The weight {name} of shape {shape:?} cannot be stored as {encoding}.")]
    UnsupportedWeight {
        /// Which.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Its encoding in the file.
        encoding: Encoding,
    },
    /// The device refused something, such as memory or a shader.
    #[error("The GPU reported an error: {0}")]
    Device(String),
    /// The device is gone, with everything on it.
    #[error("The connection to the GPU was lost.")]
    DeviceLost,
    /// The session remembers only its last position.
    #[error("What was written cannot be taken back in this model: it keeps no earlier positions.")]
    CannotTruncate,
    /// The backend lacks something that the model needs.
    #[error("The {backend} backend cannot {what}.")]
    Unsupported {
        /// Which.
        backend: &'static str,
        /// What was asked for.
        what: &'static str,
    },
    /// Not enough memory for what was asked.
    #[error("There is not enough memory: {bytes} more bytes were needed.")]
    OutOfMemory {
        /// How many.
        bytes: usize,
    },
}

impl ExecError {
    /// Whether the device failed, and not the caller or the text: elsewhere the same may work.
    pub fn is_of_device(&self) -> bool {
        matches!(self, Self::Device(_) | Self::DeviceLost)
    }

    /// There is no such session.
    pub fn unknown_session(id: SessionId) -> Self {
        let (what, name) = ("session", id.0.to_string());
        Self::Unknown { what, name }
    }
}

/// Names a session of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub u32);

/// How long a tapped value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TapPolicy {
    /// Until the next run of the session.
    Last,
    /// Appended run by run, until the session is truncated or closed.
    Append,
}

/// Asks a run to keep a node's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tap {
    /// Which node of the entry that runs.
    pub node: NodeId,
    /// For how long.
    pub policy: TapPolicy,
}

/// A value given to an entry.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Name of the input node.
    pub name: &'a str,
    /// In the node's order.
    pub data: &'a [u32],
}

impl<'a> Input<'a> {
    /// Numbers for a node [`crate::Op::Values`].
    pub fn values(name: &'a str, numbers: &'a [f32]) -> Self {
        let data = bytemuck::cast_slice(numbers);
        Self { name, data }
    }
}

/// One run of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Whose state is read and made longer.
    pub session: SessionId,
    /// Name of the entry graph.
    pub entry: &'a str,
    /// All its inputs.
    pub inputs: &'a [Input<'a>],
    /// What to keep beside the outputs.
    pub taps: &'a [Tap],
}

/// A part of a value: fixed indices of its first axes, such as `[batch, head]`. Selecting happens
/// where the value is, before anything is copied.
pub type Select<'a> = &'a [usize];

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Outermost first.
    pub shape: Vec<usize>,
    /// In that order.
    pub data: Vec<f32>,
}

impl Tensor {
    /// Row `i` of the last axis, counted over all leading axes.
    pub fn row(&self, i: usize) -> Option<&[f32]> {
        let width = *self.shape.last()?;
        self.data.get(i * width..(i + 1) * width)
    }
}

/// Where the part at fixed indices of the first axes is in a value of `shape`: its first element
/// and its own shape.
///
/// # Errors
/// If an index or its axis does not exist.
pub fn part(shape: &[usize], select: Select<'_>) -> Result<(usize, Vec<usize>), ExecError> {
    let (mut offset, mut shape) = (0, shape);
    for &index in select {
        let Some((_, inner)) = shape.split_first().filter(|(len, _)| index < **len) else {
            let (what, len) = ("Index", shape.first().copied().unwrap_or(0));
            return Err(ExecError::OutOfRange { what, index, len });
        };
        offset += index * inner.iter().product::<usize>();
        shape = inner;
    }
    Ok((offset, shape.to_vec()))
}

/// How a device is to choose tokens by itself, each from the logits of the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Choosing<'a> {
    /// Whose last run left the logits of the first. It holds one sequence.
    pub session: SessionId,
    /// The entry that continues it, with inputs `ids` and `rows`.
    pub entry: &'a str,
    /// Its logits, `[1, rows, vocab]`.
    pub logits: NodeId,
    /// Tokens that the repetition penalty knows.
    pub history: &'a [u32],
    /// Divides the logits; 0 takes the likeliest.
    pub temperature: f32,
    /// Keep this many of the likeliest; 0 keeps all.
    pub top_k: u32,
    /// Keep the smallest set of the likeliest that reaches this probability; 1 keeps all.
    pub top_p: f32,
    /// Drop what is less likely than this fraction of the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides or multiplies the logits of tokens of the history; 1 is off.
    pub repetition_penalty: f32,
    /// One number in `0..1` for each token; as many tokens are chosen at most. Without
    /// temperature they are not looked at.
    pub draws: &'a [f32],
}

/// A token that a device chose.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The token; `None` if what the device keeps does not decide it. Then nothing was chosen, the
    /// session stays where it is, and the caller reads the logits.
    pub id: Option<u32>,
    /// What it was chosen from.
    pub kept: KeptLogits,
}

/// What a device was asked to do since it was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Compute dispatches.
    pub dispatches: u64,
    /// Compute passes.
    pub passes: u64,
    /// Submits that compute.
    pub submits: u64,
    /// Tokens run in them.
    pub tokens: u64,
    /// Bytes that came back to the host.
    pub read_bytes: u64,
    /// Bytes of all weights: a token reads nearly all of them, and of a table one row.
    pub weight_bytes: u64,
    /// Bytes of all states for one position: a token reads those of the positions it attends to.
    pub position_bytes: u64,
    /// Bytes of all buffers now.
    pub buffer_bytes: u64,
}

/// Runs models. Only reading waits for the device; everything else returns at once.
pub trait Executor {
    /// Where it computes.
    fn backend(&self) -> Backend;

    /// How it computes.
    fn precision(&self) -> Precision;

    /// Takes a model, replacing the one before; `encodings` say how each weight's bytes will come,
    /// in the model's order. Weights are then written, and `finish_load` called.
    fn load(&mut self, model: Rc<Model>, encodings: &[Encoding]) -> Result<(), ExecError>;

    /// Takes the next bytes of a weight, in the file's order. Blocks may be cut anywhere.
    fn write_weight(&mut self, weight: WeightId, bytes: &[u8]) -> Result<(), ExecError>;

    /// Checks that every weight is complete.
    fn finish_load(&mut self) -> Result<(), ExecError>;

    /// Makes ready what runs of `entry` of these sizes need, as long as nobody looks at them, so
    /// that the first of each does not wait for a compiler. Most executors have nothing to do.
    ///
    /// # Errors
    /// If there is no such entry or it cannot be computed.
    fn prepare<'a>(
        &'a mut self,
        _entry: &'a str,
        _runs: &'a [Bindings],
    ) -> LocalFuture<'a, Result<(), ExecError>> {
        Box::pin(async { Ok(()) })
    }

    /// A new, empty session for `batch` sequences of at most `max_len` positions.
    fn open(&mut self, batch: usize, max_len: usize) -> Result<SessionId, ExecError>;

    /// A copy that can go on by itself.
    fn fork(&mut self, session: SessionId) -> Result<SessionId, ExecError>;

    /// Forgets all but the first `len` positions.
    ///
    /// # Errors
    /// If the session does not exist, or keeps a recurrent state and is to lose some positions but not
    /// all ([`Model::can_truncate`]).
    fn truncate(&mut self, session: SessionId, len: usize) -> Result<(), ExecError>;

    /// Makes sequence `i` of the session go on from what sequence `from[i]` was; there are as many as
    /// `from` is long afterwards. What belongs to the source stays as it is.
    ///
    /// # Errors
    /// If one does not exist, or the backend cannot.
    fn reorder(&mut self, _: SessionId, _from: &[u32]) -> Result<(), ExecError> {
        let (backend, what) = (self.backend().name(), "go on from chosen sequences");
        Err(ExecError::Unsupported { backend, what })
    }

    /// Frees a session; unknown ones are ignored.
    fn close(&mut self, session: SessionId);

    /// Positions a session holds.
    fn len(&self, session: SessionId) -> Result<usize, ExecError>;

    /// Computes an entry.
    fn run(&mut self, run: Run<'_>) -> Result<(), ExecError>;

    /// Reads what the session's runs of `entry` kept of a node: one tensor a run with
    /// [`TapPolicy::Append`], else one.
    fn read<'a>(
        &'a self,
        session: SessionId,
        entry: &'a str,
        node: NodeId,
        select: Select<'a>,
    ) -> LocalFuture<'a, Result<Vec<Tensor>, ExecError>>;

    /// What the device was asked to do; nothing where there is none.
    fn counts(&self) -> Option<Counts> {
        None
    }

    /// Starts choosing tokens on the device, several in flight, so that nobody waits for the way
    /// there and back. Says whether it can; most cannot, and none with a `top_k` beyond what is kept:
    /// then the caller chooses from the logits.
    ///
    /// # Errors
    /// If the session did not just run the entry.
    fn begin_choosing(&mut self, _: &Choosing<'_>) -> Result<bool, ExecError> {
        Ok(false)
    }

    /// The next chosen token, or `None` after the last. Each token but the latest has been run:
    /// the session's length grows with every call but the first. May be dropped while it waits.
    fn next_choice(
        &mut self,
        session: SessionId,
    ) -> LocalFuture<'_, Result<Option<Choice>, ExecError>> {
        Box::pin(async move { Err(ExecError::unknown_session(session)) })
    }

    /// Ends choosing. What was chosen ahead and not asked for is forgotten.
    fn end_choosing(&mut self, _: SessionId) {}

    /// What would be dispatched for an entry with these taps, one line a step: the list is the
    /// same with and without the machinery of taps as long as none is asked for.
    fn steps(&mut self, entry: &str, taps: &[Tap]) -> Result<Vec<String>, ExecError>;
}
