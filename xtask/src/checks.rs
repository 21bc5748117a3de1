//! What must hold before a change is good: `check` and `test`.

use crate::error::Result;
use crate::site::{Options, build_page};
use crate::step::{run, step};
use crate::tools::{WASM, wasm_target};
use crate::workspace::Workspace;
use crate::{chromium, models};

/// The programs of the site.
const PROGRAMS: [&str; 2] = ["glassformer-web", "glassformer-worker"];

/// Format, lints, WebAssembly build, documentation.
pub fn check(workspace: &Workspace) -> Result<()> {
    wasm_target(workspace)?;
    let [web, worker] = PROGRAMS;
    step("Checking the format", || {
        run(
            &mut workspace.cargo(&["fmt", "--all", "--check"]),
            "`cargo fmt` puts it right.",
        )
    })?;
    let correct = "The messages above say what to correct.";
    step("Linting", || {
        let lint = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        run(&mut workspace.cargo(&lint), correct)
    })?;
    step("Linting for WebAssembly", || {
        let lint = [
            "clippy", "-p", web, "-p", worker, "--target", WASM, "--", "-D", "warnings",
        ];
        run(&mut workspace.cargo(&lint), correct)
    })?;
    step("Building for WebAssembly", || {
        // One by one, as Trunk does, so that it finds them built.
        PROGRAMS.iter().try_for_each(|program| {
            let build = [
                "build",
                "-p",
                program,
                "--bin",
                program,
                "--target",
                WASM,
                "--profile",
                "quick",
            ];
            run(&mut workspace.cargo(&build), correct)
        })
    })?;
    step("Building the documentation", || {
        let mut doc = workspace.cargo(&["doc", "--workspace", "--no-deps"]);
        run(doc.env("RUSTDOCFLAGS", "-D warnings"), correct)
    })
}

/// The checks and all tests, or only the tests that are named.
pub fn test(workspace: &Workspace, names: &[String]) -> Result<()> {
    if names.is_empty() {
        check(workspace)?;
    }
    models::ensure(workspace)?;
    let chrome = chromium::ensure(workspace)?;
    let dist = workspace.cache.join("dist-test");
    build_page(
        workspace,
        &Options {
            profile: "quick".to_owned(),
            dist: dist.clone(),
        },
    )?;
    step("Running the tests, the ones in Chromium too", || {
        let mut cargo = workspace.cargo(&[
            "test",
            "--workspace",
            "--profile",
            "quick",
            "--no-fail-fast",
        ]);
        cargo.arg("--").args(names);
        cargo
            .env("GLASSFORMER_DIST", &dist)
            .env("GLASSFORMER_MODELS", workspace.models());
        cargo.env("GLASSFORMER_CHROME", &chrome);
        run(&mut cargo, "The messages above name the tests that failed.")
    })
}
