//! A choice of model.

use glassformer_engine::registry::{self, ModelEntry};

/// A choice of model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// One of the page's own.
    Manifest(&'static ModelEntry),
    /// Files the person opened.
    Opened {
        /// Name of the file or folder.
        label: String,
        /// Their sizes together.
        bytes: u64,
        /// Tells two openings apart.
        serial: u32,
    },
    /// The manifest is empty.
    Nothing,
}

impl Chosen {
    /// For people.
    pub fn name(&self) -> String {
        match self {
            Self::Manifest(entry) => entry.name.clone(),
            Self::Opened { label, .. } => label.clone(),
            Self::Nothing => "no model".into(),
        }
    }

    /// Size of its files.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Manifest(entry) => entry.total_bytes(),
            Self::Opened { bytes, .. } => *bytes,
            Self::Nothing => 0,
        }
    }

    /// The manifest's model of this id.
    pub fn find(id: &str) -> Self {
        registry::find(id).map_or(Self::Nothing, Self::Manifest)
    }
}
