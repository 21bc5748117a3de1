//! Each kind of matrix product of SmolLM2, fed with the inputs that the `exact` run gives it (they
//! are the reference's within 1e-4, see `golden_llama.rs`), in both precisions against a sum in
//! f64 on the reference decoding of the weights.
//!
//! # The bound
//! `fast` replaces each block of 32 inputs `x` by `x̂ = scale · q` with `scale = max|x| / 127` and
//! `q` the nearest integer, so `|x − x̂| ≤ scale / 2` each. The integer sums are exact, hence an
//! output errs by at most
//!
//! `Σ_blocks scale_block / 2 · Σ_{i in block} |w_i|`
//!
//! and what is left between it and `Σ w·x̂` is f32 rounding alone, a few 1e-7 of `Σ |w|·|x|`: that
//! is checked too, and much the sharper.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::rc::Rc;

use futures::executor::block_on;
use glassformer_cpu::CpuExecutor;
use glassformer_cpu::kernels::QuantBlock;
use glassformer_graph::{
    BLOCK, Builder, Encoding, Executor, Input, Model, Op, Precision, Run, Symbol,
};
use glassformer_weights::{FileStream, Header, Sink, WeightsError, dequantize};

use crate::golden::{self, Worst};

const TEST: &str = "matrix_products_err_by_their_rounding";

/// f32 rounding of one output, relative to `Σ |w|·|x|`. Each block's sum is rounded a few times at
/// up to three times that size (for 4-bit weights scale and minimum partly cancel), then up to 48
/// blocks are added one after the other. Of either sign, that grows as √(48 + 8) · 3 · 2⁻²⁴.
const F32_ROUNDING: f64 = 1.3e-6;

/// A matrix as the file has it.
struct Weight {
    encoding: Encoding,
    /// `[out, in]`
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Collects some tensors of a file.
struct Collect {
    wanted: Vec<String>,
    names: Vec<String>,
    found: HashMap<String, Weight>,
}

impl Sink for Collect {
    type Error = WeightsError;

    fn header(&mut self, header: &mut Header) -> Result<(), WeightsError> {
        for tensor in &header.tensors {
            self.names.push(tensor.name.clone());
            if self.wanted.contains(&tensor.name) {
                let (encoding, shape) = (tensor.encoding, tensor.shape.clone());
                let weight = Weight {
                    encoding,
                    shape,
                    bytes: Vec::new(),
                };
                self.found.insert(tensor.name.clone(), weight);
            }
        }
        Ok(())
    }

    fn data(&mut self, index: usize, _: u64, bytes: &[u8]) -> Result<(), WeightsError> {
        if let Some(weight) = self.found.get_mut(&self.names[index]) {
            weight.bytes.extend_from_slice(bytes);
        }
        Ok(())
    }
}

/// `x · Wᵀ` by the executor: a model whose embedding table is `x [n, in]`.
fn product(weight: &Weight, x: &[f32], precision: Precision) -> Vec<f32> {
    let width = weight.shape[1];
    let n = x.len() / width;
    let mut b = Builder::new();
    let table = b.weight("x", &[n, width]).unwrap();
    let matrix = b.weight("w", &weight.shape).unwrap();
    let ids = b.input("ids", &[Symbol::Batch, Symbol::QueryLen]).unwrap();
    let rows = b.embedding("rows", ids, table).unwrap();
    let out = b.linear("out", rows, matrix, None).unwrap();
    b.entry("product", &[out]).unwrap();
    let model: Rc<Model> = Rc::new(b.finish());

    let mut exec = CpuExecutor::new(precision);
    exec.load(model, &[Encoding::F32, weight.encoding]).unwrap();
    let bytes: Vec<u8> = x.iter().flat_map(|x| x.to_le_bytes()).collect();
    exec.write_weight(table, &bytes).unwrap();
    exec.write_weight(matrix, &weight.bytes).unwrap();
    exec.finish_load().unwrap();
    let session = exec.open(1, n).unwrap();
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
    })
    .unwrap();
    let read = exec.read(session, "product", out, &[]);
    block_on(read).unwrap().pop().unwrap().data
}

/// Figures of one node.
struct Figures {
    exact: Worst,
    /// Of the bound.
    fast: Worst,
    rounded: Worst,
}

/// One output of one row.
fn check(figures: &mut Figures, w: &[f32], x: &[f32], [exact, fast]: [f32; 2], at: &str) {
    let (mut sum, mut rounded_sum, mut size, mut bound) = (0.0, 0.0, 0.0, 0.0);
    for (w, x) in w
        .as_chunks::<BLOCK>()
        .0
        .iter()
        .zip(x.as_chunks::<BLOCK>().0)
    {
        let (q, scale) = QuantBlock::new(x).unpack();
        let scale = f64::from(scale);
        for ((&w, &x), &q) in w.iter().zip(x).zip(&q) {
            let (w, x, rounded) = (f64::from(w), f64::from(x), scale * f64::from(q));
            // Half a step, and the f32 rounding of `x / scale` just beside the middle of two.
            assert!(
                (x - rounded).abs() <= 0.50002 * scale,
                "{at}: {x} became {rounded}"
            );
            sum += w * x;
            rounded_sum += w * rounded;
            size += (w * x).abs();
            bound += 0.5 * scale * w.abs();
        }
    }
    let rounding = F32_ROUNDING * size;
    figures
        .exact
        .check((f64::from(exact) - sum).abs() / size, F32_ROUNDING, at);
    figures.rounded.check(
        (f64::from(fast) - rounded_sum).abs() / size,
        F32_ROUNDING,
        at,
    );
    figures.fast.check(
        (f64::from(fast) - sum).abs() / (1.0001 * bound + rounding),
        1.0,
        at,
    );
}

#[test]
fn matrix_products_err_by_their_rounding() {
    let Some(file) = golden::smollm2_file(TEST) else {
        return;
    };
    let mut model = golden::smollm2(TEST, Precision::Exact).unwrap();
    let mut nodes = vec!["lm_head".to_owned()];
    for layer in [0, 14, 29] {
        let parts = [
            "self_attn.q_proj",
            "self_attn.v_proj",
            "self_attn.o_proj",
            "mlp.gate_proj",
            "mlp.down_proj",
        ];
        nodes.extend(parts.map(|part| format!("model.layers.{layer}.{part}")));
    }
    // (name, its input, its weight's name in the file)
    let graph = model.graph();
    let linears: Vec<_> = nodes
        .iter()
        .map(|name| {
            let node = graph.node(graph.find(name).unwrap());
            let Op::Linear { weight, bias: None } = node.op else {
                panic!("{name} is {:?}", node.op);
            };
            (
                name,
                node.inputs[0],
                model.loaded.model.weights[weight.0].name.clone(),
            )
        })
        .collect();

    let ids = model
        .loaded
        .tokenizer
        .encode(
            "The river bank was covered with",
            glassformer_engine::text::SpecialTokens::Parse,
        )
        .unwrap();
    let taps = golden::taps(
        &linears
            .iter()
            .map(|(_, input, _)| *input)
            .collect::<Vec<_>>(),
    );
    let session = model.open(1);
    let rows: Vec<u32> = (0..ids.len() as u32).collect();
    model.run(session, &ids, &rows, &taps).unwrap();

    let wanted = linears.iter().map(|(.., weight)| weight.clone()).collect();
    let mut collect = Collect {
        wanted,
        names: Vec::new(),
        found: HashMap::new(),
    };
    let mut stream = FileStream::new();
    stream
        .push(&std::fs::read(file).unwrap(), &mut collect)
        .unwrap();
    stream.finish().unwrap();

    for (name, input, weight) in linears {
        let weight = &collect.found[&weight];
        let x = model.last(session, input, &[0]).data;
        let exact = product(weight, &x, Precision::Exact);
        let fast = product(weight, &x, Precision::Fast);
        let mut figures = Figures {
            exact: Worst::new(format!("{name}, exact, of Σ|w||x|")),
            fast: Worst::new(format!("{name}, fast, of its bound")),
            rounded: Worst::new(format!("{name}, fast beside Σ w·x̂, of Σ|w||x|")),
        };
        let &[out, width] = weight.shape.as_slice() else {
            panic!("{name} is no matrix");
        };
        let mut w = Vec::new();
        dequantize(weight.encoding, &weight.bytes, &mut w).unwrap();
        for (row, x) in x.chunks(width).enumerate() {
            for (column, w) in w.chunks(width).enumerate() {
                let i = row * out + column;
                check(
                    &mut figures,
                    w,
                    x,
                    [exact[i], fast[i]],
                    &format!("[{row}, {column}]"),
                );
            }
        }
    }
}
