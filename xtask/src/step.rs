//! Saying what is done and how long it takes, and running programs.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::error::{Error, Result, file};

/// Does something that takes a while, between a line that names it and one with the time it took.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {what}");
    let began = Instant::now();
    let done = work()?;
    let seconds = began.elapsed().as_secs_f64();
    if thread::current().name() == Some("main") {
        println!("    done in {seconds:.1} s");
    } else {
        // Other lines may stand between.
        println!("    done in {seconds:.1} s: {what}");
    }
    Ok(done)
}

/// Runs a program whose output the person should see.
pub fn run(command: &mut Command, advice: &str) -> Result<()> {
    succeed(command, advice)
}

/// Runs a program that says much, into a log; its last lines are shown if it fails.
pub fn run_logged(command: &mut Command, log: &Path, advice: &str) -> Result<()> {
    let folder = log.parent().unwrap_or(log);
    std::fs::create_dir_all(folder).map_err(file(folder))?;
    let output = File::create(log).map_err(file(log))?;
    let errors = output.try_clone().map_err(file(log))?;
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let result = succeed(command, advice);
    if result.is_err() {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<_> = said.lines().collect();
        for line in &lines[lines.len().saturating_sub(20)..] {
            eprintln!("    {line}");
        }
        eprintln!("    (all of it: {})", log.display());
    }
    result
}

/// What a program prints, if it can be started and succeeds.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn succeed(command: &mut Command, advice: &str) -> Result<()> {
    let outcome = match command.status() {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("failed ({status})"),
        Err(e) => format!("could not be started ({e})"),
    };
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args());
    // A script in the arguments would hide the rest.
    let short = words
        .map(|word| word.to_string_lossy())
        .filter(|word| !word.contains('\n'));
    let program = format!("`{}`", short.collect::<Vec<_>>().join(" "));
    Err(Error::Program {
        program,
        outcome,
        advice: advice.to_owned(),
    })
}
