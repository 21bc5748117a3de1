//! What must hold before a change is good: `check` and `test`.

use std::panic::resume_unwind;
use std::path::PathBuf;

use crate::bench::gpu::PACKAGE;
use crate::error::Result;
use crate::site::{Options, build_ops_page, build_page};
use crate::step::{run, step};
use crate::tools::{self, WASM, wasm_target};
use crate::workspace::Workspace;
use crate::{models, system};

/// The programs of the site: package, binary, features.
const PROGRAMS: [[&str; 3]; 3] = [
    ["glassformer-web", "glassformer-web", ""],
    ["glassformer-worker", "glassformer-worker", ""],
    [
        "glassformer-worker",
        "glassformer-worker-relaxed",
        "relaxed-simd",
    ],
];

/// Lints and documentation have the profile of the tests, so that macros and build scripts are compiled once.
const PROFILE: &str = "quick";

const CORRECT: &str = "The messages above say what to correct.";

/// Format, lints, WebAssembly build, documentation.
pub fn check(workspace: &Workspace) -> Result<()> {
    wasm_target(workspace)?;
    step("Checking the format", || {
        run(
            &mut workspace.cargo(&["fmt", "--all", "--check"]),
            "`cargo fmt` puts it right.",
        )
    })?;
    step("Linting", || {
        let lint = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--profile",
            PROFILE,
            "--",
            "-D",
            "warnings",
        ];
        run(&mut workspace.cargo(&lint), CORRECT)
    })?;
    step("Linting for WebAssembly", || {
        let options = ["--profile", PROFILE, "--", "-D", "warnings"];
        each_program(workspace, &["clippy"], &options)?;
        let package = ["clippy", "-p", PACKAGE, "--target", WASM];
        let mut bench = workspace.cargo(&package);
        run(bench.args(options), CORRECT)
    })?;
    step("Building for WebAssembly", || {
        each_program(workspace, &["build"], &["--profile", PROFILE])
    })?;
    step("Building the documentation", || {
        let mut doc = workspace.cargo(&["doc", "--workspace", "--no-deps", "--profile", PROFILE]);
        run(doc.env("RUSTDOCFLAGS", "-D warnings"), CORRECT)
    })
}

/// A command of cargo for one program after the other, as Trunk does, so that it finds them built.
fn each_program(workspace: &Workspace, command: &[&str], options: &[&str]) -> Result<()> {
    PROGRAMS.iter().try_for_each(|[package, binary, features]| {
        let mut cargo = workspace.cargo(command);
        cargo.args(["-p", package, "--bin", binary, "--features", features]);
        cargo.args(["--target", WASM]).args(options);
        run(&mut cargo, CORRECT)
    })
}

/// The checks and all tests, or only the tests that are named.
pub fn test(workspace: &Workspace, names: &[String]) -> Result<()> {
    wasm_target(workspace)?;
    // Each build leaves a core idle now and then; tools and checks have nothing to do with each other.
    std::thread::scope(|scope| {
        let building = scope.spawn(|| tools::ensure(workspace).map(drop));
        if names.is_empty() {
            check(workspace)?;
        }
        building.join().unwrap_or_else(|panic| resume_unwind(panic))
    })?;
    models::ensure(workspace)?;
    let chrome = system::browser(workspace)?;
    system::vulkan(workspace)?;
    let dist = workspace.cache.join("dist-test");
    build_page(
        workspace,
        &Options {
            profile: PROFILE.to_owned(),
            dist: dist.clone(),
        },
    )?;
    let products = build_products(workspace)?;
    let ops = workspace.cache.join("dist-ops");
    build_ops_page(workspace, &ops)?;
    // A program of tests is named by its file, a test or a module of tests by itself.
    let (programs, tests): (Vec<_>, Vec<_>) =
        names.iter().partition(|name| is_program(workspace, name));
    step("Running the tests, the ones in Chromium too", || {
        let mut cargo = workspace.cargo(&["test", "--workspace", "--profile", PROFILE]);
        cargo.arg("--no-fail-fast");
        for program in &programs {
            cargo.args(["--test", program]);
        }
        cargo.arg("--").args(&tests);
        cargo
            .env("GLASSFORMER_DIST", &dist)
            .env("GLASSFORMER_MODELS", workspace.models());
        cargo
            .env("GLASSFORMER_CHROME", &chrome)
            .env("GLASSFORMER_PRODUCTS", &products)
            .env("GLASSFORMER_OPS_PAGE", &ops);
        run(&mut cargo, "The messages above name the tests that failed.")
    })
}

/// Whether tests of the browser or of numbers are a program of this name.
fn is_program(workspace: &Workspace, name: &str) -> bool {
    let tests = workspace.root.join("tests/tests");
    tests.join(name).with_extension("rs").is_file() || tests.join(name).join("main.rs").is_file()
}

/// Builds what checks the kernels of relaxed SIMD in the browser, and says where it is.
fn build_products(workspace: &Workspace) -> Result<PathBuf> {
    step("Building the kernels' test for WebAssembly", || {
        let mut cargo = workspace.cargo(&["build", "-p", "glassformer-cpu"]);
        cargo.args(["--example", "products", "--features", "relaxed-simd"]);
        cargo.args(["--target", WASM, "--profile", PROFILE]);
        run(&mut cargo, CORRECT)
    })?;
    Ok(workspace
        .target()
        .join(WASM)
        .join("quick/examples/products.wasm"))
}
