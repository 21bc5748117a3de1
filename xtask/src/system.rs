//! What the tests need of the system: a browser, and a Vulkan driver.

use std::path::PathBuf;
use std::process::Command;

use glassformer_tests::browser;

use crate::error::{Error, Result};
use crate::step::{output, run_logged, step};
use crate::tools::on_path;
use crate::workspace::Workspace;

/// Finds Chromium or Chrome; on Debian, as root, installs it.
pub fn browser(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(found) = browser::find() {
        return Ok(found);
    }
    let advice = "Install Chromium or Google Chrome yourself, or name it in the variable CHROME.";
    apt_get(workspace, "Chromium", "chromium", advice)?;
    browser::find().ok_or_else(|| {
        Error::State(
            "The tests need a browser: install Chromium or Google Chrome, or name its program in \
             the variable CHROME."
                .to_owned(),
        )
    })
}

/// Finds a Vulkan driver, on Linux; on Debian, as root, installs Mesa's, which needs no GPU. Where
/// there is none the tests of the GPU say so themselves.
pub fn vulkan(workspace: &Workspace) -> Result<()> {
    let drivers = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let found =
        |folder: &&str| std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    if !cfg!(target_os = "linux") || drivers.iter().any(found) {
        return Ok(());
    }
    let advice = "Install a Vulkan driver yourself, such as Mesa's lavapipe.";
    apt_get(
        workspace,
        "a software Vulkan driver",
        "mesa-vulkan-drivers",
        advice,
    )
}

/// Installs a package on Debian, as root; elsewhere does nothing.
fn apt_get(workspace: &Workspace, what: &str, package: &str, advice: &str) -> Result<()> {
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !is_root || on_path("apt-get").is_none() {
        return Ok(());
    }
    step(
        &format!("Installing {what} with apt-get, about a minute, once"),
        || {
            let log = workspace.cache.join("logs/apt.log");
            for arguments in [&["update"][..], &["install", "-y", package]] {
                let mut command = Command::new("apt-get");
                command
                    .args(arguments)
                    .env("DEBIAN_FRONTEND", "noninteractive");
                run_logged(&mut command, &log, advice)?;
            }
            Ok(())
        },
    )
}
