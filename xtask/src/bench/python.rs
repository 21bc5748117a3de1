//! Scripts of measurements: models for other engines, and figures of models.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Result, file};
use crate::models;
use crate::step::{run, run_logged, step};
use crate::workspace::Workspace;

/// Runs `export.py` of a folder, with the packages of the `requirements.txt` beside it, and gives the
/// folder below `made` that it wrote into, unless this script and these packages wrote there before
/// from these files.
pub fn export(
    workspace: &Workspace,
    folder: &Path,
    made: &Path,
    from: &[&Path],
) -> Result<PathBuf> {
    let (script, wanted) = (folder.join("export.py"), folder.join("requirements.txt"));
    let read = |path: &Path| std::fs::read_to_string(path).map_err(file(path));
    let mut stamp = read(&script)? + &read(&wanted)?;
    for path in from {
        let found = path.metadata().map_err(file(path))?;
        stamp += &format!("{} {} {:?}", path.display(), found.len(), found.modified());
    }
    let (cases, packages) = (made.join("cases"), made.join("python"));
    let done = cases.join("exported.txt");
    if std::fs::read_to_string(&done).is_ok_and(|before| before == stamp) {
        return Ok(cases);
    }
    install(workspace, &wanted, &packages)?;
    let python = models::python()?;
    step("Writing ONNX models, once", || {
        let mut export = Command::new(python);
        export.env("PYTHONPATH", &packages).arg(&script);
        export
            .args(from.iter().map(AsRef::<OsStr>::as_ref))
            .arg(&cases);
        let log = workspace.cache.join("logs/export.log");
        run_logged(&mut export, &log, "The messages above say why.")
    })?;
    std::fs::write(&done, &stamp).map_err(file(&done))?;
    Ok(cases)
}

/// Runs a script with the packages of the `requirements.txt` beside it, which are kept in `packages`;
/// what it prints is shown.
pub fn run_script(
    workspace: &Workspace,
    script: &Path,
    packages: &Path,
    arguments: &[&OsStr],
) -> Result<()> {
    let wanted = script.with_file_name("requirements.txt");
    let read = std::fs::read_to_string(&wanted).map_err(file(&wanted))?;
    let done = packages.join("installed.txt");
    if !std::fs::read_to_string(&done).is_ok_and(|before| before == read) {
        install(workspace, &wanted, packages)?;
        std::fs::write(&done, &read).map_err(file(&done))?;
    }
    let mut command = Command::new(models::python()?);
    command.env("PYTHONPATH", packages).arg(script);
    run(command.args(arguments), "The messages above say why.")
}

/// Puts Python packages into a folder.
fn install(workspace: &Workspace, wanted: &Path, packages: &Path) -> Result<()> {
    let python = models::python()?;
    step("Fetching Python packages, once", || {
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "install", "--disable-pip-version-check"])
            .args(["--upgrade", "--only-binary=:all:", "--target"])
            .arg(packages)
            .arg("--requirement")
            .arg(wanted);
        let advice = "It needs the network and Python's pip (on Debian the package python3-pip).";
        run_logged(&mut pip, &workspace.cache.join("logs/pip.log"), advice)
    })
}
