//! The commands of the README: `cargo xtask <command>`.
//!
//! | command | does |
//! |---|---|
//! | `serve [--port 8080] [--open]` | builds the site and serves it on this machine |
//! | `build` | writes the finished site to `dist/`, default weights included |
//! | `test [names…]` | `check`, then all tests, in Chromium too; with names only the tests so called |
//! | `check` | format, lints, WebAssembly build, documentation |
//! | `bench <what> [options]` | measurements |
//! | `models [--into FOLDER]` | fetches the default weights, and puts them into a folder |
//!
//! `build` and `serve` take `--profile quick` (quick to build, slower to run) and `--dist FOLDER`.
//!
//! Each command sets up what it needs, once: the wasm32 target, wasm-bindgen of the version in
//! `Cargo.lock`, Trunk, the default weights, and Chromium for the tests. Tools of the right
//! version on the search path are used; others are built into the cache folder. That folder is
//! `GLASSFORMER_CACHE`, or `glassformer` in the user's own cache folder:
//!
//! | folder | holds |
//! |---|---|
//! | `tools/` | wasm-bindgen and Trunk, if they were built here |
//! | `models/` | the default weights, under the paths of `models/manifest.json` |
//! | `downloads/` | the packages the weights came in |
//! | `target/` | everything cargo builds, unless `CARGO_TARGET_DIR` says otherwise |
//! | `dist-test/`, `dist-ops/`, `dist-bench/` | the site and pages as the tests and measurements see them |
//! | `bench/` | what only comparisons need |
//! | `logs/` | what the builders of tools said |
//!
//! It can be deleted at any time; the next command makes it again.

use std::process::ExitCode;

mod arguments;
mod bench;
mod checks;
mod error;
mod models;
mod site;
mod sources;
mod split;
mod step;
mod system;
mod tools;
mod workspace;

use arguments::Arguments;
use error::{Error, Result};
use workspace::Workspace;

const USAGE: &str = "\
cargo xtask <command>

  serve [--port 8080] [--open]   build the site and serve it on this machine
  build                          write the finished site to dist/, default weights included
  test [names...]                check, then all tests; with names only the tests so called
  check                          format, lints, WebAssembly build, documentation
  bench <what> [options]         measure
  models [--into FOLDER]         fetch the default weights, and put them into a folder

  build and serve take --profile quick (quick to build, slower to run) and --dist FOLDER.
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if matches!(error, Error::Usage(_)) {
                2
            } else {
                1
            })
        }
    }
}

fn run(words: Vec<String>) -> Result<()> {
    let Some((command, rest)) = words.split_first() else {
        return Err(Error::Usage("no command was given".to_owned()));
    };
    let mut arguments = Arguments::new(rest);
    let workspace = Workspace::locate()?;
    let done = match command.as_str() {
        "serve" => {
            let port = arguments.number("--port")?.unwrap_or(8080);
            let open = arguments.flag("--open");
            let site = site::Options::parse(&workspace, &mut arguments)?;
            arguments.end()?;
            site::serve(&workspace, &site, port, open)
        }
        "build" => {
            let site = site::Options::parse(&workspace, &mut arguments)?;
            arguments.end()?;
            site::build(&workspace, &site)
        }
        "test" => checks::test(&workspace, &arguments.names()?),
        "check" => {
            arguments.end()?;
            checks::check(&workspace)
        }
        "bench" => bench::run(&workspace, rest),
        "models" => {
            let into = arguments.value("--into")?;
            arguments.end()?;
            models::ensure(&workspace)?;
            models::list(&workspace)?;
            into.map_or(Ok(()), |folder| {
                models::put_into(&workspace, folder.as_ref())
            })
        }
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(Error::Usage(format!("there is no command `{other}`"))),
    };
    // What was edited while something was built may be in it or not.
    workspace.claim();
    done
}
