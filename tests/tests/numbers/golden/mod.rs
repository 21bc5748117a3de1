//! What the comparisons with golden values share: reading the files of `tests/golden/`, loading a
//! model as the engine does, running it and looking inside.
//!
//! The goldens' schemas are in the docstrings of the scripts beside them.
#![allow(clippy::unwrap_used, reason = "a test stops at what it cannot read")]

pub mod students;

use std::path::{Path, PathBuf};

use futures::executor::block_on;
use glassformer_cpu::CpuExecutor;
use glassformer_engine::{Cancel, Files, Loaded, MemorySource, PathSource, Source, registry};
use glassformer_gpu::{Gpu, GpuExecutor, Wanted};
use glassformer_graph::{
    ExecError, Executor, Graph, Input, NodeId, Precision, Role, Run, SessionId, Stack, Tap,
    TapPolicy, Tensor,
};
use serde::de::DeserializeOwned;

/// The stack of a decoder-only model.
pub const STACK: Stack = Stack::Decoder;

/// The one entry of such a model.
pub const DECODE: &str = "decode";

/// A path below `tests/golden/`.
pub fn path(name: &str) -> PathBuf {
    Path::new("golden").join(name)
}

/// A golden file. Comparisons are in f32 or f64 as its type says; the files hold enough digits.
pub fn json<T: DeserializeOwned>(name: &str) -> T {
    let bytes = std::fs::read(path(name)).unwrap();
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The default model's weights file, or nothing, after saying so.
pub fn smollm2_file(test: &str) -> Option<PathBuf> {
    let given = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache =
        || given("GLASSFORMER_CACHE").or_else(|| Some(dirs::cache_dir()?.join("glassformer")));
    let models = given("GLASSFORMER_MODELS").or_else(|| Some(cache()?.join("models")));
    let file = &registry::find("smollm2-135m-instruct").unwrap().files[0];
    let found = models
        .map(|folder| folder.join(&file.path))
        .filter(|path| path.is_file());
    match &found {
        // Anything else would be compared with another file's numbers.
        Some(path) => assert_eq!(
            path.metadata().unwrap().len(),
            file.bytes,
            "{}",
            path.display()
        ),
        None => glassformer_tests::cannot_run(
            test,
            "it needs the weights of SmolLM2: run `cargo xtask models`",
        ),
    }
    found
}

/// What runs a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// SIMD.
    Cpu(Precision),
    /// A device that may use these features.
    Gpu(Precision, Wanted),
}

impl From<Precision> for Target {
    fn from(precision: Precision) -> Self {
        Self::Cpu(precision)
    }
}

impl Target {
    /// An executor without a model.
    pub fn executor(self) -> Box<dyn Executor> {
        match self {
            Self::Cpu(precision) => Box::new(CpuExecutor::new(precision)),
            Self::Gpu(precision, wanted) => {
                let gpu = block_on(Gpu::open(wanted));
                let gpu = gpu.unwrap_or_else(|error| panic!("{error}"));
                Box::new(GpuExecutor::new(gpu, precision))
            }
        }
    }
}

/// Devices with every feature this one has and with none of them; nothing, after saying so, if
/// there is no device.
pub fn gpus(test: &str) -> Vec<Target> {
    if let Err(error) = block_on(Gpu::open(Wanted::default())) {
        glassformer_tests::cannot_run(test, &error.to_string());
        return Vec::new();
    }
    let none = Wanted {
        f16: false,
        subgroups: false,
        ..Wanted::default()
    };
    let exact = |wanted| Target::Gpu(Precision::Exact, wanted);
    vec![exact(Wanted::default()), exact(none)]
}

/// The default model, or nothing, after saying so.
pub fn smollm2(test: &str, target: impl Into<Target>) -> Option<Runner> {
    let file = smollm2_file(test)?;
    Some(Runner::load(
        vec![Box::new(PathSource::new(file).unwrap())],
        target,
    ))
}

/// A file of `tests/golden/llama/` as the engine opens it.
pub fn source(name: &str) -> Box<dyn Source> {
    Box::new(PathSource::new(path("llama").join(name)).unwrap())
}

/// A tiny checkpoint folder. It has no tokenizer of its own, so it is given one of a single word:
/// the engine takes no folder without.
pub fn tiny_folder(name: &str, target: impl Into<Target>) -> Runner {
    tiny_of("llama", name, target)
}

/// A tiny checkpoint folder of a family; see [`tiny_folder`].
pub fn tiny_of(family: &str, name: &str, target: impl Into<Target>) -> Runner {
    const TOKENIZER: &str = r#"{"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"word": 0}, "unk_token": "word"}}"#;
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for entry in std::fs::read_dir(path(family).join(name)).unwrap() {
        let file = entry.unwrap().path();
        if file.file_name().is_some_and(|name| name != "golden.json") {
            sources.push(Box::new(PathSource::new(file).unwrap()));
        }
    }
    sources.push(Box::new(MemorySource {
        name: "tokenizer.json".into(),
        bytes: TOKENIZER.into(),
    }));
    Runner::load(sources, target)
}

/// A model of `tiny-blocks/` by its encoding: `q4_1`, …
pub fn tiny_blocks(encoding: &str, target: impl Into<Target>) -> Runner {
    Runner::load(
        vec![source(&format!("tiny-blocks/{encoding}.gguf"))],
        target,
    )
}

/// A loaded model.
pub struct Runner {
    /// What runs it.
    pub exec: Box<dyn Executor>,
    /// What was loaded.
    pub loaded: Loaded,
}

/// The largest context a test may ask for: more than any model here was made for.
const CONTEXT: usize = 1 << 14;

impl Runner {
    /// Loads the files of one model as the shell and the page do.
    pub fn load(sources: Vec<Box<dyn Source>>, target: impl Into<Target>) -> Self {
        let files = Files::new(sources).unwrap();
        let mut exec = target.into().executor();
        let (mut silent, never) = (|_, _, _| {}, Cancel::default());
        let loading = files.load(exec.as_mut(), CONTEXT, &mut silent, &never);
        let loaded = block_on(loading).unwrap_or_else(|error| panic!("{error}"));
        Self { exec, loaded }
    }

    /// The entry's graph.
    pub fn graph(&self) -> &Graph {
        &self.loaded.model.entries[DECODE]
    }

    /// The node with this role.
    pub fn role(&self, role: Role) -> NodeId {
        self.graph()
            .role(role)
            .unwrap_or_else(|| panic!("no node is {role:?}"))
    }

    /// The stream after `layer` layers.
    pub fn residual(&self, layer: usize) -> NodeId {
        self.role(Role::Residual {
            stack: STACK,
            layer,
        })
    }

    /// Attention weights of a layer.
    pub fn probs(&self, layer: usize) -> NodeId {
        self.role(Role::AttentionProbs {
            stack: STACK,
            layer,
        })
    }

    /// Keys and values of all layers.
    pub fn states(&self) -> Vec<NodeId> {
        let (stack, layers) = (STACK, self.loaded.model.states.len() / 2);
        (0..layers)
            .flat_map(|layer| [Role::Key { stack, layer }, Role::Value { stack, layer }])
            .map(|role| self.role(role))
            .collect()
    }

    /// Runs an entry and keeps what is looked at.
    pub fn run_entry(
        &mut self,
        session: SessionId,
        entry: &str,
        inputs: &[(&str, &[u32])],
        look: &[NodeId],
    ) {
        let input = |&(name, data)| Input { name, data };
        let inputs: Vec<Input<'_>> = inputs.iter().map(input).collect();
        let policy = TapPolicy::Last;
        let taps: Vec<Tap> = look.iter().map(|&node| Tap { node, policy }).collect();
        let run = Run {
            session,
            entry,
            inputs: &inputs,
            taps: &taps,
        };
        self.exec.run(run).unwrap();
    }

    /// Reads a translator's source.
    pub fn encode(&mut self, session: SessionId, source: &[u32], taps: &[NodeId]) {
        let inputs = [("ids", source), ("lengths", &[source.len() as u32])];
        self.run_entry(session, "encode", &inputs, taps);
    }

    /// All of what an entry kept of a node.
    pub fn read_entry(&self, session: SessionId, entry: &str, node: NodeId) -> Vec<f32> {
        let read = block_on(self.exec.read(session, entry, node, &[])).unwrap();
        read.into_iter().next().unwrap().data
    }

    /// A new session with the most positions the model takes.
    pub fn open(&mut self, batch: usize) -> SessionId {
        self.exec.open(batch, CONTEXT).unwrap()
    }

    /// Continues a session by `ids [batch, q_len]`; logits of `rows` of them, `[batch, rows, vocab]`.
    pub fn run(
        &mut self,
        session: SessionId,
        ids: &[u32],
        rows: &[u32],
        taps: &[Tap],
    ) -> Result<Tensor, ExecError> {
        let (ids, rows) = (
            Input {
                name: "ids",
                data: ids,
            },
            Input {
                name: "rows",
                data: rows,
            },
        );
        self.exec.run(Run {
            session,
            entry: DECODE,
            inputs: &[ids, rows],
            taps,
        })?;
        Ok(self.last(session, self.role(Role::Logits), &[]))
    }

    /// [`Self::run`] for sequences of one length, with the logits of all positions and no taps.
    pub fn all(&mut self, session: SessionId, sequences: &[&[u32]]) -> Tensor {
        let rows: Vec<u32> = (0..sequences[0].len() as u32).collect();
        self.run(session, &sequences.concat(), &rows, &[]).unwrap()
    }

    /// What the last run kept of a node.
    pub fn last(&self, session: SessionId, node: NodeId, select: &[usize]) -> Tensor {
        self.kept(session, node, select).unwrap().pop().unwrap()
    }

    /// What the runs kept of a node.
    pub fn kept(
        &self,
        session: SessionId,
        node: NodeId,
        select: &[usize],
    ) -> Result<Vec<Tensor>, ExecError> {
        block_on(self.exec.read(session, DECODE, node, select))
    }

    /// The likeliest continuation of a prompt, token by token.
    pub fn greedy(&mut self, ids: &[u32], n: usize) -> Vec<u32> {
        let session = self.open(1);
        let last = ids.len() as u32 - 1;
        let mut logits = self.run(session, ids, &[last], &[]).unwrap();
        let mut text = Vec::new();
        while text.len() < n {
            text.push(top_two(&logits.data)[0] as u32);
            logits = self
                .run(session, &text[text.len() - 1..], &[0], &[])
                .unwrap();
        }
        self.exec.close(session);
        text
    }

    /// Logits of `positions` of one prompt, run in chunks from an empty session.
    pub fn prompt(&mut self, ids: &[u32], positions: &[u32], chunk: usize) -> Vec<Vec<f32>> {
        let session = self.open(1);
        let mut logits = Vec::new();
        for (i, ids) in ids.chunks(chunk).enumerate() {
            let range = i * chunk..i * chunk + ids.len();
            let here = positions.iter().filter(|p| range.contains(&(**p as usize)));
            let rows: Vec<u32> = here.map(|p| p - range.start as u32).collect();
            let tensor = self.run(session, ids, &rows, &[]).unwrap();
            logits.extend((0..rows.len()).map(|row| tensor.row(row).unwrap().to_vec()));
        }
        self.exec.close(session);
        logits
    }
}

/// Taps that keep the last value of these nodes.
pub fn taps(nodes: &[NodeId]) -> Vec<Tap> {
    let policy = TapPolicy::Last;
    nodes.iter().map(|&node| Tap { node, policy }).collect()
}

/// The largest difference; infinite where either is no number, so that no comparison with a
/// tolerance can overlook it.
pub fn max_diff(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let diffs = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    diffs.fold(0.0, |max, d| {
        if d <= max {
            max
        } else if d.is_nan() {
            f32::INFINITY
        } else {
            d
        }
    })
}

/// The largest magnitude.
pub fn max_abs(a: &[f32]) -> f32 {
    a.iter().fold(0.0, |max, x| max.max(x.abs()))
}

/// `log Σ exp(logits)`, summed in f64 as the goldens' is.
pub fn logsumexp(logits: &[f32]) -> f64 {
    let max = f64::from(logits.iter().fold(f32::MIN, |max, &l| max.max(l)));
    let sum: f64 = logits.iter().map(|&l| (f64::from(l) - max).exp()).sum();
    max + sum.ln()
}

/// KL(reference ‖ other) over the whole vocabulary, in nats.
pub fn kl_divergence(reference: &[f32], other: &[f32]) -> f64 {
    let norms = [logsumexp(reference), logsumexp(other)];
    let terms = reference.iter().zip(other).map(|(&a, &b)| {
        let (a, b) = (f64::from(a) - norms[0], f64::from(b) - norms[1]);
        a.exp() * (a - b)
    });
    terms.sum()
}

/// Ids of the two largest logits.
pub fn top_two(logits: &[f32]) -> [usize; 2] {
    let mut top = [usize::MAX; 2];
    for (id, logit) in logits.iter().enumerate() {
        if top[0] == usize::MAX || *logit > logits[top[0]] {
            top = [id, top[0]];
        } else if top[1] == usize::MAX || *logit > logits[top[1]] {
            top[1] = id;
        }
    }
    top
}

/// A figure of the comparison, for people: shown with `--nocapture`.
pub struct Worst {
    what: String,
    value: f64,
    at: String,
}

impl Worst {
    /// Nothing seen yet.
    pub fn new(what: impl Into<String>) -> Self {
        let (value, at) = (0.0, "nowhere".to_owned());
        Self {
            what: what.into(),
            value,
            at,
        }
    }

    /// Fails if `value` is above `tolerance` or no number; remembers the largest and where it was.
    #[track_caller]
    pub fn check(&mut self, value: f64, tolerance: f64, at: impl std::fmt::Display) {
        let within = value <= tolerance;
        assert!(
            within,
            "{} at {at}: {value:e} is above {tolerance:e}",
            self.what
        );
        if value > self.value {
            (self.value, self.at) = (value, at.to_string());
        }
    }
}

impl Drop for Worst {
    fn drop(&mut self) {
        println!("{}: at most {:.2e} ({})", self.what, self.value, self.at);
    }
}
