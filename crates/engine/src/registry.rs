//! The default models: what `models/manifest.json` says about each, checked when the tests run.

use std::sync::OnceLock;

use serde::Deserialize;

/// One model of the manifest, served beside the page under `models/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ModelEntry {
    /// What links and commands call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The tab it is the default of, such as "generate".
    pub task: String,
    /// The languages it translates from and to (ISO 639-1), if it translates.
    #[serde(default)]
    pub languages: Option<[String; 2]>,
    /// What has to be fetched.
    pub files: Vec<ModelFile>,
    /// SPDX expression of the weights' licence, or what is known of it.
    pub licence: String,
    /// Who made the weights and how they got here.
    pub origin: String,
    /// What people should know of it, such as what it was trained on.
    #[serde(default)]
    pub about: String,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ModelFile {
    /// Below `models/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, lower-case hexadecimal.
    pub sha256: String,
}

#[derive(Deserialize)]
struct Manifest {
    models: Vec<ModelEntry>,
}

impl ModelEntry {
    /// Bytes of all its files.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Every default model, in the order of the manifest.
pub fn manifest() -> &'static [ModelEntry] {
    static MANIFEST: OnceLock<Vec<ModelEntry>> = OnceLock::new();
    MANIFEST.get_or_init(|| {
        // The file is part of the build, and a test below parses it.
        serde_json::from_str::<Manifest>(glassformer_manifest::MANIFEST)
            .map_or_else(|_| Vec::new(), |m| m.models)
    })
}

/// The manifest's model of this id.
pub fn find(id: &str) -> Option<&'static ModelEntry> {
    manifest().iter().find(|entry| entry.id == id)
}

/// The manifest's first model for a task.
pub fn default_of(task: &str) -> Option<&'static ModelEntry> {
    manifest().iter().find(|entry| entry.task == task)
}

/// The manifest's model that translates from one language to another.
pub fn translator(from: &str, to: &str) -> Option<&'static ModelEntry> {
    let is = |languages: &[String; 2]| languages[0] == from && languages[1] == to;
    let fits = |entry: &&ModelEntry| entry.languages.as_ref().is_some_and(is);
    manifest().iter().find(fits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_entry_is_complete() {
        assert!(!manifest().is_empty());
        for entry in manifest() {
            assert!(!entry.licence.is_empty() && !entry.origin.is_empty());
            assert!(entry.total_bytes() > 0, "{}", entry.id);
            for file in &entry.files {
                assert!(file.path.starts_with(&format!("{}/", entry.id)));
                assert!(file.sha256.len() == 64);
                assert!(
                    file.sha256
                        .bytes()
                        .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
                );
            }
        }
    }

    #[test]
    fn ids_are_unique_and_found() {
        for entry in manifest() {
            assert_eq!(find(&entry.id), Some(entry));
            assert_eq!(manifest().iter().filter(|e| e.id == entry.id).count(), 1);
        }
        assert_eq!(find("no-such-model"), None);
    }

    #[test]
    fn tabs_have_defaults() {
        for task in ["generate", "fill-mask", "match"] {
            assert!(default_of(task).is_some(), "{task}");
        }
        assert_eq!(default_of("no-such-task"), None);
    }
}
