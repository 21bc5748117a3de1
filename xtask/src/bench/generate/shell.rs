//! The shell, which computes natively.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{CONTEXT, MODEL, Workload};
use crate::error::{Error, Result};
use crate::step::{output, run, step};
use crate::workspace::Workspace;

/// How often each precision is measured.
const RUNS: usize = 3;

/// What one precision measured.
pub struct Shell {
    pub precision: &'static str,
    pub prompt_tokens: u64,
    /// Seconds to load, one a run, as for the rest.
    pub load: Vec<f64>,
    pub first_token: Vec<f64>,
    pub prefill: Vec<f64>,
    pub decode: Vec<f64>,
    /// What a token took of the GPU, if it ran there.
    pub gpu: Option<Value>,
}

/// Where cargo puts the shell.
pub fn program(workspace: &Workspace, profile: &str) -> PathBuf {
    let name = format!("glassformer{}", std::env::consts::EXE_SUFFIX);
    workspace.target().join(profile).join(name)
}

/// Builds it, and says where it is.
pub fn build(workspace: &Workspace, profile: &str) -> Result<PathBuf> {
    step("Building the shell", || {
        let build = ["build", "-p", "glassformer-cli", "--profile", profile];
        let advice = "The messages above say what to correct.";
        run(&mut workspace.cargo(&build), advice)
    })?;
    Ok(program(workspace, profile))
}

/// Runs the shell a few times in each precision, in turns. The times are the engine's own, since
/// starting the program is no part of them.
pub fn measure(
    workspace: &Workspace,
    program: &Path,
    workload: &Workload,
    prompt: &str,
) -> Result<Vec<Shell>> {
    let mut shells = ["fast", "exact"].map(|precision| Shell {
        precision,
        prompt_tokens: 0,
        load: Vec::new(),
        first_token: Vec::new(),
        prefill: Vec::new(),
        decode: Vec::new(),
        gpu: None,
    });
    for _ in 0..RUNS {
        for shell in &mut shells {
            let mut command = workspace.command(program);
            command.env("GLASSFORMER_MODELS", workspace.models());
            command.args(["generate", "--json", "--temperature", "0", "--model", MODEL]);
            command.args([
                "--backend",
                workload.backend,
                "--precision",
                shell.precision,
            ]);
            command.args(["--context", &CONTEXT.to_string()]);
            command.args(["--max-tokens", &workload.shell_tokens.to_string()]);
            command.args(["--prompt", prompt]);
            let said = output(&mut command).and_then(|said| serde_json::from_str(&said).ok());
            let taken = said.and_then(|said: Value| {
                shell.prompt_tokens = said["prompt_tokens"].as_u64()?;
                shell.load.push(said["load_seconds"].as_f64()?);
                shell
                    .first_token
                    .push(said["first_token_seconds"].as_f64()?);
                shell.prefill.push(said["prefill_tps"].as_f64()?);
                shell.decode.push(said["decode_tps"].as_f64()?);
                shell.gpu = Some(said["gpu"].clone()).filter(Value::is_object);
                Some(())
            });
            taken.ok_or_else(|| {
                Error::State(format!(
                    "{} did not say how fast it was; without --no-build it is built first",
                    program.display()
                ))
            })?;
        }
    }
    Ok(shells.into())
}
