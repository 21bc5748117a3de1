//! A graph on both executors.

use std::collections::BTreeMap;
use std::rc::Rc;

use glassformer_cpu::CpuExecutor;
use glassformer_gpu::{Gpu, GpuExecutor};
use glassformer_graph::{
    Bindings, ExecError, Executor, Graph, Input, MASKED, NodeId, Op, Precision, Run, SessionId,
    Tap, TapPolicy, Tensor, WeightId,
};

use crate::net::{Made, Random};

const ENTRY: &str = "run";

/// What products with a matrix may differ by where the GPU computes them in f16, relative to the
/// largest magnitude of the value, or absolutely below 1.
///
/// Input, weight, product and the sum of a few products are each rounded by up to u = 2⁻¹¹ of
/// themselves, so a product errs by up to 4u, and by √4 · u / √3 in the mean square. Operands are
/// of such sizes that a sum of K of them is about 1: independent errors of either sign add up to
/// about 1.2 u. The largest of some ten thousand values lies within five times as much.
const HALF: f32 = 6.0 / 2048.0;

/// What deeper graphs may differ by there: norms pass an error on, and a gate multiplies two.
const HALF_DEEP: f32 = 4.0 * HALF;

/// A device and how it is to compute.
#[derive(Clone, Debug)]
pub struct On {
    /// The device.
    pub gpu: Rc<Gpu>,
    /// In f16 or not.
    pub precision: Precision,
}

/// What an operation may differ by, relative to the largest magnitude of its value, or absolutely
/// below 1. Operands are equal where a graph is one operation deep; deeper ones state their own.
///
/// Both backends compute in f32; they differ in the order of sums, in fused multiply-adds and in
/// the last digits of `exp` and `inverseSqrt`.
fn tolerance(op: &Op) -> f32 {
    match op {
        // Nothing is computed, or each number once, correctly rounded.
        Op::Input | Op::Reshape | Op::Append { .. } | Op::SelectRows | Op::Binary(_) => 0.0,
        Op::Values | Op::Vector { .. } | Op::Unfold(_) | Op::Sequence { .. } => 0.0,
        Op::Scale { .. } | Op::Positions { .. } | Op::ZeroStart => 0.0,
        Op::Store { .. } | Op::Recall { .. } => 0.0,
        // A sum and one division.
        Op::Pool(_) => 3e-7,
        // 4-bit blocks: d·(q − 8) + (m + 8·d) against d·q + m.
        Op::Embedding { .. } | Op::PositionEmbedding { .. } => 3e-7,
        Op::Rope { .. } => 3e-7,
        Op::RmsNorm { .. } => 1e-6,
        // Its first step subtracts.
        Op::LayerNorm { .. } => 2e-6,
        Op::Unary(_) | Op::Softmax => 1e-6,
        Op::AttentionScores { .. } | Op::AttentionContext => 3e-6,
        // Sums of up to 1536 products.
        Op::Linear { .. } | Op::LinearRows { .. } => 3e-6,
        // A sum of two products, of which one may be fused, again at every position.
        Op::Recur { .. } => 1e-6,
    }
}

/// What the comparisons found.
#[derive(Debug, Default)]
pub struct Report {
    /// Values compared.
    pub compared: usize,
    /// Sentences.
    pub failures: Vec<String>,
    /// Of each operation, the largest difference relative to what it may be, and where.
    pub worst: BTreeMap<&'static str, (f32, String)>,
}

impl Report {
    /// Adds another's findings.
    pub fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.failures.extend(other.failures);
        for (op, (diff, at)) in other.worst {
            self.note(op, diff, at);
        }
    }

    fn note(&mut self, op: &'static str, diff: f32, at: String) {
        let worst = self.worst.entry(op).or_default();
        if diff >= worst.0 {
            *worst = (diff, at);
        }
    }

    /// Notes a failure unless `holds`.
    pub fn check(&mut self, holds: bool, failure: impl FnOnce() -> String) {
        self.compared += 1;
        if !holds {
            self.failures.push(failure());
        }
    }
}

/// A session on each.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    cpu: SessionId,
    gpu: SessionId,
    /// Sequences.
    pub batch: usize,
}

/// A model on both executors, and what differed so far.
#[derive(Debug)]
pub struct Pair {
    name: String,
    cpu: CpuExecutor,
    /// For tests that look at it alone.
    pub gpu: GpuExecutor,
    made: Made,
    random: Random,
    half: bool,
    deep: Option<f32>,
    /// What was found.
    pub report: Report,
}

impl Pair {
    /// Loads a model on both. The GPU gets its weights in pieces cut anywhere.
    pub fn load(name: &str, on: &On, made: Made) -> Self {
        let mut random = Random::new(made.bytes.len() as u64);
        let mut cpu = CpuExecutor::new(Precision::Exact);
        let mut gpu = GpuExecutor::new(Rc::clone(&on.gpu), on.precision);
        let half = gpu.precision() == Precision::Fast;
        for exec in [&mut cpu as &mut dyn Executor, &mut gpu] {
            exec.load(Rc::clone(&made.model), &made.encodings).unwrap();
        }
        for (i, bytes) in made.bytes.iter().enumerate() {
            cpu.write_weight(WeightId(i), bytes).unwrap();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let most = 1 + bytes.len() / 3;
                let piece = rest.split_off(..(1 + random.below(most)).min(rest.len()));
                gpu.write_weight(WeightId(i), piece.unwrap_or_default())
                    .unwrap();
            }
        }
        for exec in [&mut cpu as &mut dyn Executor, &mut gpu] {
            exec.finish_load().unwrap();
        }
        Self {
            name: name.into(),
            cpu,
            gpu,
            made,
            random,
            half,
            deep: None,
            report: Report::default(),
        }
    }

    /// Values may differ by as much whatever computes them: what is computed from differing
    /// operands differs by more than its own rounding.
    #[must_use]
    pub fn deep(mut self, tolerance: f32) -> Self {
        self.deep = Some(if self.half { HALF_DEEP } else { tolerance });
        self
    }

    /// What a node's value may differ by.
    fn allowed(&self, op: &Op) -> f32 {
        let own = match op {
            Op::Linear { .. } | Op::LinearRows { .. } if self.half => HALF,
            op => tolerance(op),
        };
        self.deep.unwrap_or(own)
    }

    /// The last entry.
    pub fn graph(&self) -> &Graph {
        &self.made.model.entries[ENTRY]
    }

    /// Every node of the last entry with a value of its own.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.nodes_of(ENTRY)
    }

    /// Every node of an entry with a value of its own.
    pub fn nodes_of(&self, entry: &str) -> Vec<NodeId> {
        let graph = &self.made.model.entries[entry];
        let nodes = graph.ids();
        nodes
            .filter(|id| !matches!(graph.node(*id).op, Op::Input | Op::Values))
            .collect()
    }

    /// A new session on each.
    pub fn open(&mut self, batch: usize) -> Open {
        let most = crate::net::CONTEXT;
        Open {
            cpu: self.cpu.open(batch, most).unwrap(),
            gpu: self.gpu.open(batch, most).unwrap(),
            batch,
        }
    }

    /// Copies of both sessions, which go on by themselves.
    pub fn fork(&mut self, open: Open) -> Open {
        Open {
            cpu: self.cpu.fork(open.cpu).unwrap(),
            gpu: self.gpu.fork(open.gpu).unwrap(),
            batch: open.batch,
        }
    }

    /// Makes the sequences of both go on from chosen ones.
    pub fn reorder(&mut self, open: &mut Open, from: &[u32]) {
        self.cpu.reorder(open.cpu, from).unwrap();
        self.gpu.reorder(open.gpu, from).unwrap();
        open.batch = from.len();
    }

    /// Cuts both back to this many positions.
    pub fn truncate(&mut self, open: Open, len: usize) {
        self.cpu.truncate(open.cpu, len).unwrap();
        self.gpu.truncate(open.gpu, len).unwrap();
    }

    /// Frees a session on each.
    pub fn close(&mut self, open: Open) {
        self.cpu.close(open.cpu);
        self.gpu.close(open.gpu);
    }

    /// What the GPU dispatches for one token with these taps: names of shaders.
    pub fn shaders(&mut self, taps: &[NodeId]) -> Vec<String> {
        self.shaders_of(ENTRY, taps)
    }

    /// The same of another entry.
    pub fn shaders_of(&mut self, entry: &str, taps: &[NodeId]) -> Vec<String> {
        let steps = self.gpu.steps(entry, &taps_of(taps)).unwrap();
        let name = |step: &String| step.split(' ').next().unwrap_or_default().to_owned();
        steps.iter().map(name).collect()
    }

    /// Runs `q_len` tokens on both and compares outputs and tapped nodes.
    pub async fn run(&mut self, open: Open, q_len: usize, rows: &[u32], taps: &[NodeId]) {
        let ids = self.random.ids(open.batch * q_len);
        self.run_ids(open, &ids, rows, taps).await;
    }

    /// Runs these tokens on both and compares outputs and tapped nodes.
    pub async fn run_ids(&mut self, open: Open, ids: &[u32], rows: &[u32], taps: &[NodeId]) {
        let q_len = ids.len() / open.batch;
        // The first sequence is whole; others may be shorter.
        let length = |i| {
            if i == 0 {
                q_len
            } else {
                1 + self.random.below(q_len)
            }
        };
        let lengths: Vec<u32> = (0..open.batch).map(length).map(|n| n as u32).collect();
        let graph = self.graph();
        let pictures = graph.find("pixels").map_or(0, |node| {
            let bindings = Bindings {
                batch: open.batch,
                ..Bindings::default()
            };
            graph.node(node).shape.elements(&bindings)
        });
        let pixels: Vec<f32> = (0..pictures)
            .map(|_| self.random.between(-1.0, 1.0))
            .collect();
        let inputs = [
            input("ids", ids),
            input("rows", rows),
            input("lengths", &lengths),
            Input::values("pixels", &pixels),
        ];
        let at = format!("batch {} of {q_len}", open.batch);
        self.compare(open, ENTRY, &inputs, taps, &at).await;
    }

    /// Runs an entry on both and compares outputs and tapped nodes.
    pub async fn compare(
        &mut self,
        open: Open,
        entry: &str,
        inputs: &[Input<'_>],
        taps: &[NodeId],
        at: &str,
    ) {
        let tapped = taps_of(taps);
        let run = |session| Run {
            session,
            entry,
            inputs,
            taps: &tapped,
        };
        let at = format!("{}, {at}", self.name);
        self.cpu.run(run(open.cpu)).unwrap();
        if let Err(error) = self.gpu.run(run(open.gpu)) {
            self.report.failures.push(format!("{at}: {error}"));
            return;
        }
        let len = self.cpu.len(open.cpu).unwrap();
        let model = Rc::clone(&self.made.model);
        let graph = &model.entries[entry];
        let mut nodes = [graph.outputs(), taps].concat();
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes {
            let expected = last(self.cpu.read(open.cpu, entry, node, &[]).await).unwrap();
            let actual = last(self.gpu.read(open.gpu, entry, node, &[]).await);
            let node = graph.node(node);
            let (op, allowed) = (node.op.name(), self.allowed(&node.op));
            let at = format!("{at}, {len} in all, {} taps: {}", taps.len(), node.name);
            self.report.compared += 1;
            let diff = match actual {
                Ok(actual) if actual.shape == expected.shape => difference(&actual, &expected),
                Ok(actual) => {
                    let failure = format!("{at}: {:?} is not {:?}", actual.shape, expected.shape);
                    self.report.failures.push(failure);
                    continue;
                }
                Err(error) => {
                    self.report.failures.push(format!("{at}: {error}"));
                    continue;
                }
            };
            if diff <= allowed {
                self.report.note(op, diff, at);
            } else {
                let failure = format!("{at} ({op}): {diff:e} is above {allowed:e}");
                self.report.failures.push(failure);
            }
        }
    }
}

/// An input of ids or rows.
pub fn input<'a>(name: &'a str, data: &'a [u32]) -> Input<'a> {
    Input { name, data }
}

fn taps_of(nodes: &[NodeId]) -> Vec<Tap> {
    let policy = TapPolicy::Last;
    nodes.iter().map(|&node| Tap { node, policy }).collect()
}

fn last(read: Result<Vec<Tensor>, ExecError>) -> Result<Tensor, ExecError> {
    read.map(|mut values| values.pop().unwrap())
}

/// The largest difference, relative to the largest magnitude if that is above 1; infinite where
/// one is no number or only one is masked.
fn difference(actual: &Tensor, expected: &Tensor) -> f32 {
    let seen = |x: &f32| *x > MASKED / 2.0;
    let values = expected.data.iter().filter(|x| seen(x));
    let scale = values.fold(1.0f32, |max, x| max.max(x.abs()));
    let mut worst = 0.0f32;
    for (a, b) in actual.data.iter().zip(&expected.data) {
        if !seen(a) && !seen(b) && !a.is_nan() {
            continue;
        }
        let diff = (a - b).abs() / scale;
        // What is no number is never within.
        worst = worst.max(if diff.is_finite() {
            diff
        } else {
            f32::INFINITY
        });
    }
    worst
}
