//! Every case on this machine's device, with the features it has and with none of them, and what
//! multiplies matrices in half precision too.

use std::rc::Rc;
use std::time::Instant;

use futures::executor::block_on;
use glassformer_gpu::{Gpu, GpuExecutor, Wanted};
use glassformer_graph::{
    Builder, Encoding, ExecError, Executor, Input, Model, Precision, Run, Symbol, WeightId,
};
use glassformer_ops::On;
use glassformer_ops::cases::{ALL, Case, Extent, SMALL_BINDING, WITHOUT_MATRICES, parts};

/// A device, or nothing, after saying so.
fn open(test: &str, wanted: Wanted) -> Option<Rc<Gpu>> {
    match block_on(Gpu::open(wanted)) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            glassformer_tests::cannot_run(test, &error.to_string());
            None
        }
    }
}

fn check(name: &str) {
    let case: Case = ALL.iter().find(|(other, _)| *other == name).unwrap().1;
    let none = Wanted {
        f16: false,
        subgroups: false,
        ..Wanted::default()
    };
    let shared = Wanted {
        f16: true,
        subgroups: false,
        ..Wanted::default()
    };
    let mut targets = vec![
        (Wanted::default(), Precision::Exact, Extent::All),
        (none, Precision::Exact, Extent::All),
    ];
    if !WITHOUT_MATRICES.contains(&name) {
        // Only what is multiplied differs, and a software adapter compiles for a second each.
        targets.push((Wanted::default(), Precision::Fast, Extent::Some));
        targets.push((shared, Precision::Fast, Extent::Some));
    }
    for (wanted, precision, extent) in targets {
        let Some(gpu) = open(name, wanted) else {
            return;
        };
        if precision == Precision::Fast && !gpu.info().f16 {
            glassformer_tests::cannot_run(name, "this device has no half precision");
            continue;
        }
        let began = Instant::now();
        let report = block_on(case(On { gpu, precision }, extent));
        let seconds = began.elapsed().as_secs_f32();
        let count = report.compared;
        println!("{name} with {wanted:?}, {precision:?}: {count} values, {seconds:.1} s");
        for (op, (worst, at)) in &report.worst {
            println!("  {op}: at most {worst:.1e} ({at})");
        }
        assert!(report.compared > 0);
        let (count, some) = (report.failures.len(), report.failures.iter().take(20));
        let some: Vec<_> = some.map(String::as_str).collect();
        assert_eq!(count, 0, "{wanted:?}:\n{}", some.join("\n"));
    }
}

/// One test each, and none forgotten.
macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_case_is_tested() {
            let names: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

cases! {
    elements
    products
    weights_in_pieces
    attention_with_a_cache
    attention_without_a_cache
    attention_over_many_keys
    projections
    products_with_neighbours
    pictures
    pooling
    blocks
    chosen_rows
    recurrent
    sources
}

/// Loads a model of one weight.
fn load(gpu: &Rc<Gpu>, model: Model) -> Result<GpuExecutor, ExecError> {
    let mut exec = GpuExecutor::new(Rc::clone(gpu), Precision::Exact);
    exec.load(Rc::new(model), &[Encoding::F32])?;
    Ok(exec)
}

#[test]
fn matrices_larger_than_a_binding() {
    const TEST: &str = "matrices_larger_than_a_binding";
    for precision in [Precision::Exact, Precision::Fast] {
        let wanted = Wanted {
            most_binding: Some(SMALL_BINDING),
            ..Wanted::default()
        };
        // The device itself refuses larger bindings.
        let Some(gpu) = open(TEST, wanted) else {
            return;
        };
        let report = block_on(parts(On { gpu, precision }));
        println!("{precision:?}: {} values", report.compared);
        for (op, (worst, at)) in &report.worst {
            println!("  {op}: at most {worst:.1e} ({at})");
        }
        assert!(report.compared > 0);
        assert_eq!(report.failures, Vec::<String>::new(), "{precision:?}");
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    const TEST: &str = "what_does_not_fit_is_an_error";
    let Some(gpu) = open(TEST, Wanted::default()) else {
        return;
    };
    // A terabyte: beyond what any device binds.
    for shape in [&[1 << 20, 1 << 18][..], &[1 << 38]] {
        let mut builder = Builder::new();
        builder.weight("too large", shape).unwrap();
        let bytes = 1 << 40;
        let error = load(&gpu, builder.finish()).err();
        assert_eq!(error, Some(ExecError::OutOfMemory { bytes }));
    }

    // More rows than a dispatch has workgroups.
    let mut builder = Builder::new();
    let table = builder.weight("table", &[2, 1]).unwrap();
    let dims = [Symbol::Batch, Symbol::QueryLen];
    let ids = builder.input("ids", &dims).unwrap();
    let x = builder.embedding("x", ids, table).unwrap();
    builder.entry("run", &[x]).unwrap();
    let mut exec = load(&gpu, builder.finish()).unwrap();
    let numbers: Vec<u8> = [0.5f32, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    exec.write_weight(WeightId(0), &numbers).unwrap();
    exec.finish_load().unwrap();
    let session = exec.open(1, 1 << 20).unwrap();
    let mut run = |n: usize| {
        let data = vec![1; n];
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
        exec.run(run)?;
        let read = block_on(exec.read(session, "run", x, &[]))?;
        Ok::<_, ExecError>(read[0].data.iter().all(|x| *x == 2.0))
    };
    assert_eq!(run(65535), Ok(true));
    assert!(matches!(run(65536), Err(ExecError::Device(_))));
    assert_eq!(run(3), Ok(true));
}
