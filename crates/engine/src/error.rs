//! What the person is told when something does not work.

use glassformer_graph::ExecError;
use glassformer_images::{ConfigError, ImageError};
use glassformer_models::ModelError;
use glassformer_tasks::TaskError;
use glassformer_text::TextError;
use glassformer_weights::WeightsError;

/// Why a request could not be carried out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// The person, or a newer request, cancelled it.
    #[error("Cancelled.")]
    Cancelled,
    /// No model is loaded.
    #[error("No model is loaded yet.")]
    NoModel,
    /// It was loaded, but had to make room for another.
    #[error("The model had to make room for another one; run again to load it.")]
    Dropped,
    /// A text was run to look at its attention, but others have been run since.
    #[error("That text is not in memory any more; run it again to look further.")]
    RunDropped,
    /// The manifest has no such model.
    #[error("There is no model named {0} here.")]
    UnknownModel(String),
    /// What was opened is no model.
    #[error("{0}")]
    NotAModel(String),
    /// A file cannot be read.
    #[error("{file} could not be read: {reason}.")]
    Read {
        /// Which file.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// A file of the page's own server did not arrive.
    #[error("{file} could not be fetched ({reason}), and nothing of it was kept; try again.")]
    Fetch {
        /// Which file.
        file: String,
        /// What the browser says.
        reason: String,
    },
    /// A file could not be written.
    #[error("{file} could not be written: {reason}.")]
    Write {
        /// Which file.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// A part of the program is fetched when it is first needed, and did not come.
    #[error(
        "A part of the program did not arrive; check the network and try again, or reload the page if it was renewed."
    )]
    MissingPart,
    /// There is no GPU that can be used.
    #[error("{0}")]
    NoGpu(String),
    /// The server answered, but not with the file.
    #[error("{file} {}.", refusal(*.status))]
    Status {
        /// Which file.
        file: String,
        /// HTTP status.
        status: u16,
    },
    /// The bytes are not those of the manifest.
    #[error(
        "{file} arrived damaged: it is not the file that was published, so nothing of it was kept."
    )]
    WrongHash {
        /// Which file.
        file: String,
    },
    /// A small file is far too large to be what its name says.
    #[error("{file} is too large to be what its name says.")]
    TooLarge {
        /// Which file.
        file: String,
    },
    /// The files of the model lack something.
    #[error(
        "These files lack preprocessor_config.json, so pictures cannot be prepared as the model expects them."
    )]
    NoPreprocessing,
    /// A prepared picture is of another model.
    #[error("The picture was prepared for another model; this one sees {side} × {side} pixels.")]
    PictureSize {
        /// Pixels of a side.
        side: usize,
    },
    /// A picture cannot be taken.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// From the reader of `preprocessor_config.json`.
    #[error(transparent)]
    Preprocessing(#[from] ConfigError),
    /// From the reader of weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// From the model families.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// From the tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// From the executor.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// From a task.
    #[error(transparent)]
    Task(#[from] TaskError),
}

#[cfg(feature = "parts")]
impl From<wasm_split_helpers::SplitLoaderError> for EngineError {
    fn from(_: wasm_split_helpers::SplitLoaderError) -> Self {
        Self::MissingPart
    }
}

/// What a server's refusal means for the file that was asked for.
fn refusal(status: u16) -> String {
    match status {
        404 | 410 => format!("is not on the server (it answered {status})"),
        _ => format!("was not handed out by the server (it answered {status}); try again later"),
    }
}

impl EngineError {
    /// Whether less in memory might help.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Exec(ExecError::OutOfMemory { .. }))
    }

    /// One sentence, with a capital letter and a full stop. A file's name keeps its letters.
    pub fn sentence(&self) -> String {
        let text = self.to_string();
        let first_word = text.split(' ').next().unwrap_or_default();
        let mut chars = text.chars();
        let mut sentence = if first_word.trim_end_matches(['.', ':']).contains('.') {
            text.clone()
        } else {
            let first = chars.next().map(|c| c.to_uppercase().to_string());
            first.unwrap_or_default() + chars.as_str()
        };
        if !sentence.ends_with(['.', '!', '?']) {
            sentence.push('.');
        }
        sentence
    }
}
