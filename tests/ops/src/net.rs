//! Small graphs with seeded weights.

use std::rc::Rc;

use glassformer_graph::{
    BLOCK, Builder, Encoding, Model, NodeId, StateId, Symbol, TableId, WeightId,
};
use half::{bf16, f16};

/// Tokens of every table that numbers come from.
pub const VOCAB: usize = 97;

/// Rotary positions and the most a state holds.
pub const CONTEXT: usize = 900;

/// Every encoding.
pub const ENCODINGS: [Encoding; 7] = {
    let [a, b, c, d, e, f] = Encoding::ALL;
    [a, b, c, d, e, f, Encoding::I8]
};

/// Columns of which every matrix of this encoding has a multiple.
pub fn columns(encoding: Encoding) -> usize {
    match encoding {
        // What the CPU takes; the students' are multiples of 64.
        Encoding::I8 => 4,
        other => other.block_len(),
    }
}

/// Numbers without a pattern, the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A stream of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// Any number (Steele, Lea & Flood 2014: SplitMix64).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.draw() % n as u64) as usize
    }

    /// In `low..high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (self.draw() >> 40) as f32 / (1u64 << 24) as f32 * (high - low)
    }

    /// Token ids.
    pub fn ids(&mut self, n: usize) -> Vec<u32> {
        (0..n).map(|_| self.below(VOCAB) as u32).collect()
    }
}

/// A model with its weights as a file would hold them.
#[derive(Clone, Debug)]
pub struct Made {
    /// The last entry is `run`.
    pub model: Rc<Model>,
    /// Of each weight.
    pub encodings: Vec<Encoding>,
    /// Of each weight.
    pub bytes: Vec<Vec<u8>>,
}

/// A graph in the making. Numbers are of the size that a trained model's have: products of a
/// normed input are about 1.
#[derive(Debug)]
pub struct Net {
    /// For what needs no weights.
    pub builder: Builder,
    random: Random,
    encodings: Vec<Encoding>,
    bytes: Vec<Vec<u8>>,
    ids: Option<NodeId>,
    rows: Option<NodeId>,
    lengths: Option<NodeId>,
    words: Option<NodeId>,
}

impl Net {
    /// An empty graph.
    pub fn new(seed: u64) -> Self {
        Self {
            builder: Builder::new(),
            random: Random::new(seed),
            encodings: Vec::new(),
            bytes: Vec::new(),
            ids: None,
            rows: None,
            lengths: None,
            words: None,
        }
    }

    fn weight(&mut self, shape: &[usize], encoding: Encoding, bytes: Vec<u8>) -> WeightId {
        let name = format!("weight {}", self.bytes.len());
        self.encodings.push(encoding);
        self.bytes.push(bytes);
        self.builder.weight(name, shape).unwrap()
    }

    /// A matrix `[rows, cols]` of numbers of the size `√(1 / cols)`.
    pub fn matrix(&mut self, rows: usize, cols: usize, encoding: Encoding) -> WeightId {
        let most = (3.0 / cols as f32).sqrt();
        let bytes = numbers(&mut self.random, rows * cols, most, encoding);
        self.weight(&[rows, cols], encoding, bytes)
    }

    /// A vector of numbers up to 1.5.
    pub fn vector(&mut self, len: usize, encoding: Encoding) -> WeightId {
        let bytes = numbers(&mut self.random, len, 1.5, encoding);
        self.weight(&[len], encoding, bytes)
    }

    /// Token ids `[batch, q_len]`.
    pub fn ids(&mut self) -> NodeId {
        *self.ids.get_or_insert_with(|| {
            let dims = [Symbol::Batch, Symbol::QueryLen];
            self.builder.input("ids", &dims).unwrap()
        })
    }

    /// Selected rows `[rows]`.
    pub fn rows(&mut self) -> NodeId {
        *self
            .rows
            .get_or_insert_with(|| self.builder.input("rows", &[Symbol::Rows]).unwrap())
    }

    /// Positions of each sequence `[batch]`.
    pub fn lengths(&mut self) -> NodeId {
        *self
            .lengths
            .get_or_insert_with(|| self.builder.input("lengths", &[Symbol::Batch]).unwrap())
    }

    /// Chosen rows of a matrix `[candidates]`.
    pub fn words(&mut self) -> NodeId {
        *self
            .words
            .get_or_insert_with(|| self.builder.input("words", &[Symbol::Candidates]).unwrap())
    }

    /// Token ids `[batch, source_len]` of an entry that reads sources.
    pub fn source_ids(&mut self) -> NodeId {
        *self.ids.get_or_insert_with(|| {
            let dims = [Symbol::Batch, Symbol::SourceLen];
            self.builder.input("ids", &dims).unwrap()
        })
    }

    /// Ends an entry before the last; the next has inputs of its own.
    pub fn entry(&mut self, name: &str, outputs: &[NodeId]) {
        self.builder.entry(name, outputs).unwrap();
        (self.ids, self.rows, self.lengths, self.words) = (None, None, None, None);
    }

    /// Numbers of the size 1 from a table, of each id of the entry: `[batch, q_len, width]`, or of a
    /// source `[batch, source_len, width]`.
    pub fn source(&mut self, name: &str, width: usize) -> NodeId {
        let ids = self.ids();
        let bytes = numbers(&mut self.random, VOCAB * width, 1.7, Encoding::F32);
        let table = self.weight(&[VOCAB, width], Encoding::F32, bytes);
        self.builder.embedding(name, ids, table).unwrap()
    }

    /// `x · Wᵀ` to `rows` numbers.
    pub fn linear(
        &mut self,
        name: &str,
        x: NodeId,
        [rows, cols]: [usize; 2],
        encoding: Encoding,
        bias: bool,
    ) -> NodeId {
        let weight = self.matrix(rows, cols, encoding);
        let bias = bias.then(|| self.vector(rows, Encoding::F32));
        self.builder.linear(name, x, weight, bias).unwrap()
    }

    /// The RMS norm of `x`.
    pub fn norm(&mut self, name: &str, x: NodeId, width: usize) -> NodeId {
        let weight = self.vector(width, Encoding::F32);
        self.builder.rms_norm(name, x, weight, 1e-5).unwrap()
    }

    /// Angles of heads of this width.
    pub fn angles(&mut self, head_dim: usize) -> TableId {
        let half = head_dim / 2;
        let mut data = Vec::with_capacity(CONTEXT * head_dim);
        for position in 0..CONTEXT {
            let angle = |i: usize| position as f32 / 1e4f32.powf(i as f32 / half as f32);
            data.extend((0..half).map(|i| angle(i).cos()));
            data.extend((0..half).map(|i| angle(i).sin()));
        }
        let shape = [CONTEXT, 2, half];
        self.builder.table("angles", &shape, data).unwrap()
    }

    /// A table of numbers `[positions, width]`.
    pub fn places(&mut self, width: usize) -> TableId {
        let data = (0..CONTEXT * width).map(|_| self.random.between(-1.0, 1.0));
        let data = data.collect();
        let shape = [CONTEXT, width];
        self.builder.table("places", &shape, data).unwrap()
    }

    /// A state of rows `[kv_heads, head_dim]`.
    pub fn state(&mut self, row: [usize; 2]) -> StateId {
        self.builder.state("state", &row, CONTEXT)
    }

    /// The finished model.
    pub fn finish(mut self, outputs: &[NodeId]) -> Made {
        self.builder.entry("run", outputs).unwrap();
        Made {
            model: Rc::new(self.builder.finish()),
            encodings: self.encodings,
            bytes: self.bytes,
        }
    }
}

/// `len` numbers of at most about `most`, as a file holds them.
fn numbers(random: &mut Random, len: usize, most: f32, encoding: Encoding) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut number = || random.between(-most, most);
    match encoding {
        Encoding::F32 => (0..len).for_each(|_| bytes.extend(number().to_le_bytes())),
        Encoding::F16 => {
            (0..len).for_each(|_| bytes.extend(f16::from_f32(number()).to_le_bytes()));
        }
        Encoding::BF16 => {
            (0..len).for_each(|_| bytes.extend(bf16::from_f32(number()).to_le_bytes()));
        }
        Encoding::Q8_0 | Encoding::Q4_0 | Encoding::Q4_1 => {
            assert!(len.is_multiple_of(BLOCK));
            for _ in 0..len / BLOCK {
                block(&mut bytes, random, most, encoding);
            }
        }
        Encoding::I8 => {
            bytes.extend((0..len).map(|_| random.draw() as u8));
            bytes.extend((128.0 / most).to_le_bytes());
        }
    }
    bytes
}

/// One block of ggml's; see [`Encoding`].
fn block(bytes: &mut Vec<u8>, random: &mut Random, most: f32, encoding: Encoding) {
    let most = most * random.between(0.5, 1.5);
    let (steps, count) = match encoding {
        Encoding::Q8_0 => (127.0, BLOCK),
        Encoding::Q4_0 => (8.0, BLOCK / 2),
        _ => (7.5, BLOCK / 2),
    };
    bytes.extend(f16::from_f32(most / steps).to_le_bytes());
    if encoding == Encoding::Q4_1 {
        let least = -most * random.between(0.8, 1.2);
        bytes.extend(f16::from_f32(least).to_le_bytes());
    }
    bytes.extend((0..count).map(|_| random.draw() as u8));
}
