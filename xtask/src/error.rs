//! Why a command ended early.

use std::path::{Path, PathBuf};

/// Why a command ended early, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line makes no sense.
    #[error("{0}; `cargo xtask help` lists the commands")]
    Usage(String),
    /// A program could not be started or did not succeed.
    #[error("{program} {outcome}. {advice}")]
    Program {
        /// The program with its arguments.
        program: String,
        /// How it ended.
        outcome: String,
        /// What to do, as a sentence.
        advice: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something is not as it must be.
    #[error("{0}")]
    State(String),
}

/// What a command gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Makes an [`Error::File`] of an I/O error.
pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    |source| Error::File { path, source }
}
