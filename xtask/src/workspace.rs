//! Where things are: the checkout and the cache folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result, file};
use crate::sources;

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
            _ => self.own_target(),
        }
    }

    fn own_target(&self) -> PathBuf {
        self.cache.join("target")
    }

    /// Where weights are, under the paths of the manifest.
    pub fn models(&self) -> PathBuf {
        self.cache.join("models")
    }

    /// Tells cargo which files differ from those its folder was built from, and remembers them. In a folder of the
    /// person's own, where other commands build too, cargo's rules hold.
    pub fn claim(&self) {
        let target = self.target();
        if target == self.own_target()
            && let Err(error) = sources::claim(&target, &self.root)
        {
            eprintln!("warning: {error}; everything is built anew");
        }
    }

    /// A program in the checkout, which builds in the cache if it builds.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        // Before each step: another checkout may have built since the one before.
        self.claim();
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
