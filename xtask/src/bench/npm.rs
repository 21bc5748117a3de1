//! What measurements compare with, from npm.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result, file};
use crate::step::{run_logged, step};
use crate::tools::on_path;
use crate::workspace::Workspace;

/// Installs what the `package-lock.json` of a folder names, if it is not there yet, without running
/// any script of the packages. Gives the folder `node_modules`, in the cache.
pub fn install(workspace: &Workspace, folder: &Path, what: &str) -> Result<PathBuf> {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    let into = workspace.cache.join("bench").join(name).join("npm");
    let modules = into.join("node_modules");
    let lock = std::fs::read(folder.join("package-lock.json")).map_err(file(folder))?;
    // Written last, so a copy of the lock file says that all of it was installed.
    let installed = into.join("installed.json");
    if std::fs::read(&installed).is_ok_and(|before| before == lock) {
        return Ok(modules);
    }
    let npm = on_path("npm").or_else(|| on_path("npm.cmd"));
    let npm = npm.ok_or_else(|| {
        Error::State(format!(
            "Node.js with npm was not found, which {what} comes from"
        ))
    })?;
    step(&format!("Fetching {what} with npm, once"), || {
        std::fs::create_dir_all(&into).map_err(file(&into))?;
        for name in ["package.json", "package-lock.json"] {
            std::fs::copy(folder.join(name), into.join(name)).map_err(file(folder))?;
        }
        let mut command = workspace.command(npm);
        command
            .current_dir(&into)
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        let log = workspace.cache.join("logs/npm.log");
        run_logged(&mut command, &log, "Check the network, then try again.")?;
        std::fs::write(&installed, &lock).map_err(file(&installed))?;
        Ok(modules)
    })
}

/// The version of a package that the lock file of a folder names.
pub fn version(folder: &Path, package: &str) -> Result<String> {
    let path = folder.join("package-lock.json");
    let text = std::fs::read_to_string(&path).map_err(file(&path))?;
    let version = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|lock| {
            let entry = &lock["packages"][format!("node_modules/{package}")];
            Some(entry["version"].as_str()?.to_owned())
        });
    version.ok_or_else(|| Error::State(format!("{} names no {package}", path.display())))
}
