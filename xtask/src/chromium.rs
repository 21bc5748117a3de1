//! The browser of the tests.

use std::path::PathBuf;
use std::process::Command;

use glassformer_tests::browser;

use crate::error::{Error, Result};
use crate::step::{output, run_logged, step};
use crate::tools::on_path;
use crate::workspace::Workspace;

/// Finds Chromium or Chrome; on Debian, as root, installs it.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = browser::find() {
        return Ok(found);
    }
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if is_root && on_path("apt-get").is_some() {
        step(
            "Installing Chromium with apt-get, about a minute, once",
            || {
                let advice = "Install Chromium or Google Chrome yourself, or name it in the variable CHROME.";
                let log = workspace.cache.join("logs/apt.log");
                for arguments in [&["update"][..], &["install", "-y", "chromium"]] {
                    let mut command = Command::new("apt-get");
                    command
                        .args(arguments)
                        .env("DEBIAN_FRONTEND", "noninteractive");
                    run_logged(&mut command, &log, advice)?;
                }
                Ok(())
            },
        )?;
    }
    browser::find().ok_or_else(|| {
        Error::State(
            "The tests need a browser: install Chromium or Google Chrome, or name its program in \
             the variable CHROME."
                .to_owned(),
        )
    })
}
