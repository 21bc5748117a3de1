//! The tools that make a site of Rust: the wasm32 target, wasm-bindgen, Trunk.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::error::{Error, Result, file};
use crate::step::{output, run_logged, step};
use crate::workspace::Workspace;

/// The target the site is compiled for.
pub const WASM: &str = "wasm32-unknown-unknown";

/// The newest Trunk that the Rust of a year ago still builds.
const TRUNK_VERSION: &str = "0.21.14";

/// A tool of one exact version.
struct Tool {
    program: &'static str,
    package: &'static str,
    version: String,
    /// How to build it from source.
    install: &'static [&'static str],
    settings: &'static [(&'static str, &'static str)],
    /// About how long that takes on two cores.
    minutes: u32,
}

/// Where the tools are.
pub struct Tools {
    trunk: PathBuf,
    bindgen: PathBuf,
    /// The search path on which Trunk finds the right wasm-bindgen first.
    path: OsString,
}

impl Tools {
    /// Trunk in the checkout.
    pub fn trunk(&self, workspace: &Workspace) -> Command {
        let mut command = workspace.command(&self.trunk);
        // Trunk takes the customary NO_COLOR=1 for a mistake.
        if std::env::var_os("NO_COLOR").is_some() {
            command.env_remove("NO_COLOR").args(["--color", "never"]);
        }
        command.env("PATH", &self.path);
        command
    }

    /// wasm-bindgen.
    pub fn bindgen(&self) -> Command {
        Command::new(&self.bindgen)
    }
}

/// Sees to it that the target, wasm-bindgen and Trunk are there.
pub fn ensure(workspace: &Workspace) -> Result<Tools> {
    wasm_target(workspace)?;
    let bindgen = Tool {
        program: "wasm-bindgen",
        package: "wasm-bindgen-cli",
        version: locked_version(workspace, "wasm-bindgen")?,
        // Not --locked: its lock file names a crate that some mirrors do not carry. Without TLS, which only
        // its test runner has a use for.
        install: &["--no-default-features", "--bin", "wasm-bindgen"],
        // Half as long to build, and a second more for a site.
        settings: &[("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")],
        minutes: 2,
    };
    let trunk = Tool {
        program: "trunk",
        package: "trunk",
        version: TRUNK_VERSION.to_owned(),
        // Without TLS: it is kept off the network, and that is a good part of what it builds.
        install: &["--locked", "--no-default-features"],
        // It copies and renames files; its own release profile would take three times as long.
        settings: &[
            ("CARGO_PROFILE_RELEASE_LTO", "off"),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
        ],
        minutes: 3,
    };
    let bindgen = obtain(workspace, &bindgen)?;
    let trunk = obtain(workspace, &trunk)?;
    let mut folders: Vec<PathBuf> = search_path().collect();
    // A tool that is first on the path already must not move what else is in its folder.
    if on_path("wasm-bindgen").as_ref() != Some(&bindgen)
        && let Some(folder) = bindgen.parent()
    {
        folders.insert(0, folder.to_owned());
    }
    let path = std::env::join_paths(folders)
        .map_err(|e| Error::State(format!("the search path cannot be extended: {e}")))?;
    Ok(Tools {
        trunk,
        bindgen,
        path,
    })
}

/// Adds the wasm32 target to the toolchain.
pub fn wasm_target(workspace: &Workspace) -> Result<()> {
    let query = ["--print", "target-libdir", "--target", WASM];
    let there = output(workspace.command("rustc").args(query))
        .is_some_and(|folder| PathBuf::from(folder.trim()).is_dir());
    if there {
        return Ok(());
    }
    step(
        &format!("Adding the target {WASM} to the toolchain, under a minute, once"),
        || {
            run_logged(
                workspace.command("rustup").args(["target", "add", WASM]),
                &workspace.cache.join("logs/rustup.log"),
                "Check the network; without rustup, install that target as your toolchain came.",
            )
        },
    )
}

/// The version of a package in `Cargo.lock`.
fn locked_version(workspace: &Workspace, package: &str) -> Result<String> {
    let path = workspace.root.join("Cargo.lock");
    let lock = std::fs::read_to_string(&path).map_err(file(&path))?;
    version_in(&lock, package).ok_or_else(|| {
        Error::State(format!(
            "Cargo.lock names no version of {package}, which the page needs"
        ))
    })
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    Some(
        lines
            .next()?
            .strip_prefix("version = \"")?
            .trim_end_matches('"')
            .to_owned(),
    )
}

/// Finds a tool of the right version, or installs it.
fn obtain(workspace: &Workspace, tool: &Tool) -> Result<PathBuf> {
    let folder = workspace.cache.join("tools");
    let own = executable(folder.join("bin"), tool.program);
    let right = |program: &PathBuf| {
        let said = output(Command::new(program).arg("--version")).unwrap_or_default();
        said.split_whitespace().nth(1) == Some(&tool.version)
    };
    if let Some(found) = on_path(tool.program)
        .into_iter()
        .chain([own.clone()])
        .find(right)
    {
        return Ok(found);
    }
    let exact = format!("{}@{}", tool.package, tool.version);
    if output(
        workspace
            .cargo(&["binstall", "-V"])
            .current_dir(&workspace.cache),
    )
    .is_some()
    {
        let fetched = step(
            &format!("Fetching {exact} with cargo binstall, once"),
            || {
                let mut command = workspace.cargo(&["binstall", "--no-confirm", "--root"]);
                command
                    .arg(&folder)
                    .args(["--disable-strategies", "compile", &exact]);
                run_logged(&mut command, &workspace.cache.join("logs/binstall.log"), "")
            },
        );
        if fetched.is_ok() && right(&own) {
            return Ok(own);
        }
        println!("    that did not work, so it is built from source");
    }
    let what = format!(
        "Building {} {} from source, about {} minutes on two cores, once",
        tool.package, tool.version, tool.minutes
    );
    step(&what, || {
        // Kept until it is done, so that a build that was interrupted goes on where it was.
        let target = workspace.cache.join("target-tools");
        let mut command = workspace.cargo(&["install", &exact, "--force", "--root"]);
        command
            .arg(&folder)
            .args(tool.install)
            .envs(tool.settings.iter().copied());
        command.env("CARGO_TARGET_DIR", &target);
        let log = workspace.cache.join(format!("logs/{}.log", tool.package));
        let advice = "Check the network and try again, or install that version yourself and \
                      have it on the search path.";
        run_logged(&mut command, &log, advice)?;
        // What remains is large, and of no use to anything else.
        let _ = std::fs::remove_dir_all(&target);
        if right(&own) {
            Ok(own)
        } else {
            Err(Error::State(format!(
                "{} is not {exact}; delete it and try again",
                own.display()
            )))
        }
    })
}

/// The first program of this name on the search path.
pub fn on_path(program: &str) -> Option<PathBuf> {
    search_path()
        .map(|folder| executable(folder, program))
        .find(|path| path.is_file())
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn executable(folder: PathBuf, program: &str) -> PathBuf {
    folder.join(format!("{program}{}", std::env::consts::EXE_SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn reads_the_lock_file() {
        let lock = "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"9.9.9\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in(lock, "bindgen"), None);
    }
}
