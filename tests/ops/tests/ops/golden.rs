//! Operations beside PyTorch's values, on the CPU and on this machine's device. The file's schema
//! is in the docstring of `tests/golden/ops/generate.py`.

use std::rc::Rc;

use futures::executor::block_on;
use glassformer_cpu::CpuExecutor;
use glassformer_gpu::{Gpu, GpuExecutor, Wanted};
use glassformer_graph::{
    Builder, Encoding, Executor, Input, NodeId, Precision, Run, Symbol, Unary, WeightId,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    layer_norm: Vec<LayerNorm>,
    gelu: Gelu,
}

#[derive(Deserialize)]
struct LayerNorm {
    width: usize,
    eps: f32,
    weight: Vec<f32>,
    bias: Vec<f32>,
    x: Vec<Vec<f32>>,
    y: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Gelu {
    x: Vec<f32>,
    erf: Vec<f64>,
    tanh: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_slice(&std::fs::read("../golden/ops/ops.json").unwrap()).unwrap()
}

/// The CPU, and the device with all features and with none, if there is one.
fn executors(test: &str) -> Vec<(&'static str, Box<dyn Executor>)> {
    let exact = Precision::Exact;
    let mut all: Vec<(_, Box<dyn Executor>)> = vec![("CPU", Box::new(CpuExecutor::new(exact)))];
    let none = Wanted {
        f16: false,
        subgroups: false,
        ..Wanted::default()
    };
    for (name, wanted) in [("GPU", Wanted::default()), ("plain GPU", none)] {
        match block_on(Gpu::open(wanted)) {
            Ok(gpu) => all.push((name, Box::new(GpuExecutor::new(gpu, exact)))),
            Err(error) => glassformer_tests::cannot_run(test, &error.to_string()),
        }
    }
    all
}

/// What an operation makes of rows of `x`, with these vectors.
fn compute(
    exec: &mut dyn Executor,
    x: &[Vec<f32>],
    vectors: &[&[f32]],
    op: impl Fn(&mut Builder, NodeId, &[WeightId]) -> NodeId,
) -> Vec<f32> {
    let mut b = Builder::new();
    let table = b.weight("x", &[x.len(), x[0].len()]).unwrap();
    let named = vectors.iter().enumerate();
    let weights: Vec<_> = named
        .map(|(i, v)| b.weight(format!("vector {i}"), &[v.len()]).unwrap())
        .collect();
    let dims = [Symbol::Batch, Symbol::QueryLen];
    let ids = b.input("ids", &dims).unwrap();
    let rows = b.embedding("rows", ids, table).unwrap();
    let y = op(&mut b, rows, &weights);
    b.entry("run", &[y]).unwrap();
    let encodings = vec![Encoding::F32; 1 + vectors.len()];
    exec.load(Rc::new(b.finish()), &encodings).unwrap();
    let flat = x.concat();
    for (i, numbers) in [&flat[..]].iter().chain(vectors).enumerate() {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        exec.write_weight(WeightId(i), &bytes).unwrap();
    }
    exec.finish_load().unwrap();
    let session = exec.open(1, x.len()).unwrap();
    let data: Vec<u32> = (0..x.len() as u32).collect();
    let inputs = [Input {
        name: "ids",
        data: &data,
    }];
    let run = Run {
        session,
        entry: "run",
        inputs: &inputs,
        taps: &[],
    };
    exec.run(run).unwrap();
    let read = block_on(exec.read(session, "run", y, &[])).unwrap();
    read[0].data.clone()
}

/// Fails where numbers differ by more than `tolerance`, relative above 1, or are none.
fn check(at: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{at}");
    let mut worst = 0.0f64;
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        let diff = (f64::from(*a) - e).abs() / e.abs().max(1.0);
        assert!(diff <= tolerance, "{at}, {i}: {a} is not {e}");
        worst = worst.max(diff);
    }
    println!("{at}: at most {worst:.1e}");
}

#[test]
fn layer_norms_are_pytorch_s() {
    let golden = golden();
    assert!(golden.layer_norm.len() >= 5);
    for (name, mut exec) in executors("layer_norms_are_pytorch_s") {
        for norm in &golden.layer_norm {
            let at = format!("{name}, width {}", norm.width);
            let vectors = [&norm.weight[..], &norm.bias];
            let y = compute(exec.as_mut(), &norm.x, &vectors, |b, x, weights| {
                let weights = [weights[0], weights[1]];
                b.layer_norm("y", x, weights, norm.eps).unwrap()
            });
            // Numbers around 30 with a spread of 2 lose four bits to the subtraction.
            check(&at, &y, &norm.y.concat(), 2e-6);
        }
    }
}

#[test]
fn gelus_are_pytorch_s() {
    let Gelu { x, erf, tanh } = golden().gelu;
    assert!(x.len() > 300);
    let x = [x];
    for (name, mut exec) in executors("gelus_are_pytorch_s") {
        for (function, expected) in [(Unary::Gelu, &erf), (Unary::GeluTanh, &tanh)] {
            let at = format!("{name}, {function:?}");
            let y = compute(exec.as_mut(), &x, &[], |b, x, _| {
                b.unary("y", x, function).unwrap()
            });
            check(&at, &y, expected, 5e-7);
        }
    }
}
