//! The list of the default weights, `manifest.json`; `glassformer-engine` reads it.
//!
//! A package of its own, as cargo remembers files of other folders by the checkout they were in.

/// The file's text.
pub const MANIFEST: &str = include_str!("manifest.json");
