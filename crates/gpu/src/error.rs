//! What can go wrong on the way to a device.

use glassformer_graph::ExecError;

/// Why there is no device, or none any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// The browser or system offers none.
    #[error("No GPU can be used here: {0}.")]
    NoAdapter(String),
    /// It offers one and then refuses.
    #[error("The GPU could not be opened: {0}.")]
    NoDevice(String),
    /// A shader is missing or wrong: our mistake.
    #[error("A shader does not fit: {0}.")]
    Shader(String),
}

impl From<GpuError> for ExecError {
    fn from(error: GpuError) -> Self {
        Self::Device(error.to_string())
    }
}
