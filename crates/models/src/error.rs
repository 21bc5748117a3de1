//! What can be wrong with a checkpoint's description.

use glassformer_graph::GraphError;

/// A checkpoint that is no model we can build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// No family of that name.
    #[error("Models of the kind {found} are not supported yet; these are: {known}.")]
    UnknownArchitecture {
        /// What the checkpoint says.
        found: String,
        /// What there is.
        known: String,
    },
    /// A required entry of the config is missing or of the wrong type.
    #[error("The model's description lacks {0}.")]
    MissingKey(String),
    /// The config is no JSON, or does not have the family's fields.
    #[error("The model's config.json cannot be read: {0}.")]
    Config(String),
    /// The config asks for something that would be computed wrongly.
    #[error("The model asks for {key} = {value}, which is not supported.")]
    Unsupported {
        /// Which entry.
        key: String,
        /// What it says.
        value: String,
    },
    /// The config contradicts itself.
    #[error("The model's description does not fit together: {0}.")]
    Inconsistent(String),
    /// A weight is not in the files.
    #[error("The weight {0} is missing from the model's files.")]
    MissingWeight(String),
    /// A weight has another shape than the config implies.
    #[error("The weight {name} has the shape {found:?}, but the model needs {expected:?}.")]
    WeightShape {
        /// Which.
        name: String,
        /// In the file.
        found: Vec<usize>,
        /// By the config.
        expected: Vec<usize>,
    },
    /// The files hold a weight that the model would ignore, so its answers would be wrong.
    #[error("The model's files hold {0}, which this kind of model does not use.")]
    UnusedWeight(String),
    /// The graph could not be built.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
