//! `fast` matrix products against a scalar twin, bit by bit: the same integer sums, the same order
//! of f32 operations. The twin reads the file's own bytes.
//!
//! Shared by the native test and by the program that runs it in a browser.

use std::error::Error;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use glassformer_cpu::CpuExecutor;
use glassformer_graph::{BLOCK, Builder, Encoding, Executor, Input, Precision, Run, Symbol};
use half::f16;

/// SplitMix64: a test that fails in a browser fails natively with the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// In −1..1.
    fn number(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// One product `x · Wᵀ`.
pub struct Case {
    encoding: Encoding,
    rows: usize,
    blocks: usize,
    n: usize,
    /// `W [rows, cols]` as a file has it.
    bytes: Vec<u8>,
    /// What weights and activations are multiplied by before they are rounded, in `I8` files.
    multipliers: [f32; 2],
    /// `[n, cols]`
    x: Vec<f32>,
}

impl Case {
    /// Small odd shapes; weights and activations are at their limits more often than not.
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let encodings = [Encoding::Q4_0, Encoding::Q4_1, Encoding::Q8_0, Encoding::I8];
        let encoding = encodings[random.below(4)];
        let (rows, blocks) = (1 + random.below(13), 1 + random.below(3));
        let n = 1 + random.below(20);
        // How many bytes stand behind each other; in `I8` files all of a matrix do.
        let (count, payload, scales) = match encoding {
            Encoding::I8 => (1, rows * blocks * BLOCK, 0),
            Encoding::Q4_1 => (rows * blocks, encoding.block_bytes() - 4, 2),
            _ => (rows * blocks, encoding.block_bytes() - 2, 1),
        };
        let extreme = random.below(3) == 0;
        let mut bytes = Vec::new();
        for _ in 0..count {
            for _ in 0..scales {
                bytes.extend(f16::from_f32(random.number()).to_le_bytes());
            }
            for _ in 0..payload {
                let limits = [0x80, 0x7f, 0xff, 0x00, 0x81, 0xf0];
                bytes.push(match extreme || random.below(4) == 0 {
                    true => limits[random.below(limits.len())],
                    false => random.next() as u8,
                });
            }
        }
        let large = random.below(3) == 0;
        let activation = |_| match large {
            // All of them ±127 after rounding.
            true => 3.0f32.copysign(random.number()),
            false => random.number() * 50.0,
        };
        let x = (0..n * blocks * BLOCK).map(activation).collect();
        let multipliers = [30.0 + random.number(), 40.0 + 38.0 * random.number()];
        if encoding == Encoding::I8 {
            bytes.extend(multipliers[0].to_le_bytes());
        }
        Self {
            encoding,
            rows,
            blocks,
            n,
            bytes,
            multipliers,
            x,
        }
    }

    /// `[n, rows]` by the executor.
    fn computed(&self) -> Result<Vec<f32>, Box<dyn Error>> {
        let (n, cols) = (self.n, self.blocks * BLOCK);
        let mut b = Builder::new();
        // A model whose embedding table is `x`.
        let table = b.weight("x", &[n, cols])?;
        let matrix = b.weight("w", &[self.rows, cols])?;
        let ids = b.input("ids", &[Symbol::Batch, Symbol::QueryLen])?;
        let hidden = b.embedding("hidden", ids, table)?;
        let out = b.linear("out", hidden, matrix, None)?;
        b.entry("product", &[out])?;
        let rounding = b.weight("alpha", &[1])?;
        if self.encoding == Encoding::I8 {
            b.rounds(matrix, rounding);
        }

        let mut exec = CpuExecutor::new(Precision::Fast);
        let encodings = [Encoding::F32, self.encoding, Encoding::F32];
        exec.load(Rc::new(b.finish()), &encodings)?;
        exec.write_weight(rounding, &self.multipliers[1].to_le_bytes())?;
        let x: Vec<u8> = self.x.iter().flat_map(|x| x.to_le_bytes()).collect();
        exec.write_weight(table, &x)?;
        exec.write_weight(matrix, &self.bytes)?;
        exec.finish_load()?;
        let session = exec.open(1, n)?;
        let data: Vec<u32> = (0..n as u32).collect();
        let inputs = &[Input {
            name: "ids",
            data: &data,
        }];
        exec.run(Run {
            session,
            entry: "product",
            inputs,
            taps: &[],
        })?;
        let read = pin!(exec.read(session, "product", out, &[]));
        // The CPU has nothing to wait for.
        match read.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(tensors) => Ok(tensors?.pop().map(|t| t.data).unwrap_or_default()),
            Poll::Pending => Ok(Vec::new()),
        }
    }

    /// `[n, rows]`, one number after the other.
    fn expected(&self) -> Vec<f32> {
        if self.encoding == Encoding::I8 {
            let (x, w) = (
                self.x.chunks(self.blocks * BLOCK),
                self.bytes.chunks_exact(self.blocks * BLOCK),
            );
            // The last four bytes are the multiplier.
            return x
                .flat_map(|x| w.clone().take(self.rows).map(|row| self.intgemm(x, row)))
                .collect();
        }
        let row_bytes = self.blocks * self.encoding.block_bytes();
        let dot = |x: &[f32], row: &[u8]| {
            let blocks = x.chunks(BLOCK).zip(row.chunks(self.encoding.block_bytes()));
            blocks.fold(0.0, |sum, (x, block)| sum + self.block(x, block))
        };
        let x = self.x.chunks(self.blocks * BLOCK);
        x.flat_map(|x| self.bytes.chunks(row_bytes).map(move |row| dot(x, row)))
            .collect()
    }

    /// What intgemm does: activations shifted up, two neighbouring products in 16 bits.
    fn intgemm(&self, x: &[f32], row: &[u8]) -> f32 {
        let [weights, inputs] = self.multipliers;
        let q = |byte: &u8| i32::from(byte.cast_signed());
        let a = |x: &f32| (x * inputs).clamp(-127.0, 127.0).round_ties_even() as i32 + 127;
        let two = |(x, w): (&[f32], &[u8])| {
            let sum = a(&x[0]) * q(&w[0]) + a(&x[1]) * q(&w[1]);
            sum.clamp(i16::MIN.into(), i16::MAX.into())
        };
        let dot: i32 = x.chunks(2).zip(row.chunks(2)).map(two).sum();
        let sum: i32 = row.iter().map(q).sum();
        let back = -((127.0 / inputs) * (127.0 / weights)) / 127.0;
        dot as f32 * (1.0 / (inputs * weights)) + sum as f32 * back
    }

    /// One block of a row with one block of activations.
    fn block(&self, x: &[f32], block: &[u8]) -> f32 {
        let max = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        let x_scale = max / 127.0;
        let inverse = if x_scale > 0.0 { 1.0 / x_scale } else { 0.0 };
        let a: Vec<i32> = x
            .iter()
            .map(|x| (x * inverse).round_ties_even() as i32)
            .collect();
        let x_sum = x_scale * a.iter().sum::<i32>() as f32;
        let number = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
        let scale = number(0);
        let (weight, min): (Box<dyn Fn(usize) -> i32>, f32) = match self.encoding {
            Encoding::Q8_0 => (Box::new(|k| i32::from(block[2 + k] as i8)), 0.0),
            encoding => {
                let (start, min) = match encoding {
                    Encoding::Q4_1 => (4, number(2)),
                    _ => (2, f16::from_f32(scale * -8.0).to_f32()),
                };
                let nibble = move |k: usize| match k < 16 {
                    true => block[start + k] & 15,
                    false => block[start + k - 16] >> 4,
                };
                (Box::new(move |k| i32::from(nibble(k))), min)
            }
        };
        let sum: i32 = a.iter().enumerate().map(|(k, a)| weight(k) * a).sum();
        let product = sum as f32 * (scale * x_scale);
        match self.encoding {
            Encoding::Q8_0 => product,
            _ => product + min * x_sum,
        }
    }

    /// What is not the same, in a sentence.
    pub fn difference(&self) -> Option<String> {
        let expected = self.expected();
        let computed = match self.computed() {
            Ok(computed) => computed,
            Err(error) => return Some(error.to_string()),
        };
        if computed.len() != expected.len() {
            return Some(format!("{} of {} numbers", computed.len(), expected.len()));
        }
        let pairs = computed.iter().zip(&expected).enumerate();
        let mut wrong = pairs.filter(|(_, (a, b))| a.to_bits() != b.to_bits());
        wrong.next().map(|(i, (computed, expected))| {
            let Self {
                encoding,
                rows,
                blocks,
                n,
                ..
            } = self;
            format!("{encoding} {rows}x{blocks} n={n}: {i} is {computed}, not {expected}")
        })
    }
}
