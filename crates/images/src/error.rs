//! What can be wrong with a picture, or with what a model says about pictures.

/// A picture that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Its bytes are of no known format.
    #[error("“{file}” is not a picture that can be read here; PNG, JPEG, WebP and GIF are.")]
    NotAnImage {
        /// Which file.
        file: String,
    },
    /// It ends before its end.
    #[error("“{file}” ends in the middle of the picture; it was not copied or saved completely.")]
    Truncated {
        /// Which file.
        file: String,
    },
    /// There is nothing to see.
    #[error(
        "“{file}” has only {width} × {height} pixels; a picture needs at least {least} each way."
    )]
    TooSmall {
        /// Which file.
        file: String,
        /// In pixels.
        width: usize,
        /// In pixels.
        height: usize,
        /// Pixels that are needed.
        least: usize,
    },
    /// A line rather than a picture.
    #[error(
        "“{file}” has {width} × {height} pixels; one side may be at most {most} times as long as the other."
    )]
    TooLong {
        /// Which file.
        file: String,
        /// In pixels.
        width: usize,
        /// In pixels.
        height: usize,
        /// How many times.
        most: usize,
    },
    /// More pixels than fit into memory beside a model.
    #[error(
        "“{file}” has {width} × {height} pixels, and at most {most} million fit here; make it smaller first."
    )]
    TooLarge {
        /// Which file.
        file: String,
        /// In pixels.
        width: usize,
        /// In pixels.
        height: usize,
        /// Millions of pixels.
        most: usize,
    },
    /// More bytes than any picture that fits.
    #[error("“{file}” has more than {most} MB, too many for a picture.")]
    TooManyBytes {
        /// Which file.
        file: String,
        /// Of what fits.
        most: u64,
    },
    /// The decoder gave up.
    #[error("“{file}” cannot be decoded: {reason}.")]
    Damaged {
        /// Which file.
        file: String,
        /// What the decoder says.
        reason: String,
    },
}

/// A `preprocessor_config.json` that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is no JSON, or a value has the wrong kind.
    #[error("preprocessor_config.json cannot be read: {0}.")]
    Json(String),
    /// It leaves out what has no default.
    #[error("preprocessor_config.json does not say {0}.")]
    Missing(&'static str),
    /// It asks for something that is not supported.
    #[error("preprocessor_config.json asks for {key} {value}, which is not supported.")]
    Unsupported {
        /// The key.
        key: &'static str,
        /// What it has.
        value: String,
    },
}
