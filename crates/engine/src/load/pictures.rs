//! What a model's files say of pictures, beside its weights.

use std::collections::BTreeMap;

use glassformer_images::Preprocessing;
use serde::Deserialize;

use super::Result;
use crate::EngineError;

/// How pictures are prepared, and what a classifier's outputs are called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pictures {
    /// From `preprocessor_config.json`; nothing if there is none.
    pub preprocessing: Option<Preprocessing>,
    /// In the order of a classifier's outputs, as far as the config names them.
    pub labels: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    id2label: BTreeMap<String, String>,
}

impl Pictures {
    /// From a `config.json` and the `preprocessor_config.json` beside it.
    ///
    /// # Errors
    /// If the latter cannot be followed.
    pub(super) fn read(config: &[u8], preprocessor: Option<&[u8]>) -> Result<Self> {
        let preprocessing = preprocessor.map(Preprocessing::from_json).transpose();
        // A config that cannot be read has been refused by the family.
        let named = serde_json::from_slice::<Config>(config);
        let named = named.map(|config| config.id2label).unwrap_or_default();
        let label = |i: usize| named.get(&i.to_string()).cloned();
        Ok(Self {
            preprocessing: preprocessing.map_err(EngineError::Preprocessing)?,
            labels: (0..).map_while(label).collect(),
        })
    }
}
