//! Where things are: the checkout and the cache folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result, file};

/// The checkout and the cache folder.
pub struct Workspace {
    /// The checkout.
    pub root: PathBuf,
    /// What is kept between commands and checkouts.
    pub cache: PathBuf,
}

impl Workspace {
    pub fn locate() -> Result<Self> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.parent().unwrap_or(&package).to_owned();
        let cache = cache_folder().ok_or_else(|| {
            Error::State("no cache folder was found: name one in GLASSFORMER_CACHE".to_owned())
        })?;
        std::fs::create_dir_all(&cache).map_err(file(&cache))?;
        // Programs run in other folders; a relative name would mean another place there.
        let cache = std::path::absolute(&cache).map_err(file(&cache))?;
        Ok(Self { root, cache })
    }

    /// Where cargo builds.
    pub fn target(&self) -> PathBuf {
        match std::env::var_os("CARGO_TARGET_DIR") {
            Some(given) if !given.is_empty() => PathBuf::from(given),
            _ => self.cache.join("target"),
        }
    }

    /// Where weights are, under the paths of the manifest.
    pub fn models(&self) -> PathBuf {
        self.cache.join("models")
    }

    /// A program in the checkout, which builds in the cache if it builds.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        // Before each step: another checkout may have built since the one before.
        if let Err(error) = take(&self.target(), &self.root) {
            eprintln!("warning: {error}");
        }
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.target());
        command
    }

    /// Cargo in the checkout.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.command(PathBuf::from(cargo));
        command.args(arguments);
        command
    }
}

/// The file in the target folder that names the checkout which built there last.
const LAST: &str = "last-checkout.txt";

/// Makes a target folder this checkout's. Cargo knows crates of a workspace by their place in it, so of two checkouts
/// the one with the older files would get what the other has built. What cargo knows of them is forgotten where another
/// built last; what they stand on stays.
fn take(target: &Path, root: &Path) -> Result<()> {
    let (note, root) = (target.join(LAST), root.display().to_string());
    if std::fs::read_to_string(&note).is_ok_and(|last| last == root) {
        return Ok(());
    }
    for triple in [target.to_owned(), target.join("wasm32-unknown-unknown")] {
        for profile in folders_in(&triple) {
            for known in folders_in(&profile.join(".fingerprint")) {
                let name = known.file_name().unwrap_or_default().to_string_lossy();
                if name.starts_with("glassformer") || name.starts_with("xtask") {
                    std::fs::remove_dir_all(&known).map_err(file(&known))?;
                }
            }
        }
    }
    std::fs::create_dir_all(target).map_err(file(target))?;
    std::fs::write(&note, root).map_err(file(&note))
}

/// The folders in a folder; none where there is none.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.is_dir()).collect()
}

fn cache_folder() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(given) = folder("GLASSFORMER_CACHE") {
        return Some(given);
    }
    let users = if cfg!(windows) {
        folder("LOCALAPPDATA")?
    } else if cfg!(target_os = "macos") {
        folder("HOME")?.join("Library/Caches")
    } else {
        folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?
    };
    Some(users.join("glassformer"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_another_checkout_built_is_built_anew() {
        let target = std::env::temp_dir().join(format!("glassformer-take-{}", std::process::id()));
        let known = target.join("wasm32-unknown-unknown/quick/.fingerprint");
        let [own, other] = ["glassformer-cpu-0123", "serde-4567"].map(|name| known.join(name));
        let build = || [&own, &other].map(|folder| std::fs::create_dir_all(folder).unwrap());
        build();
        take(&target, Path::new("a")).unwrap();
        assert!(!own.exists() && other.exists());
        build();
        take(&target, Path::new("a")).unwrap();
        assert!(own.exists(), "the same checkout goes on where it was");
        take(&target, Path::new("b")).unwrap();
        assert!(!own.exists() && other.exists());
        std::fs::remove_dir_all(&target).unwrap();
    }
}
