//! What models are used for. Each task drives an executor step by step, so that whoever calls it
//! can stop, show progress or do something else in between.

pub mod attention;
mod error;
mod fill_mask;
mod generation;
pub mod matching;
mod ranking;
mod sampling;
mod stages;
pub mod translation;

pub use error::TaskError;
pub use fill_mask::{Filled, Filling, Masked, Predictions, Shortened};
pub use generation::{
    Advance, Branch, FinishReason, Forced, GeneratedToken, Generation, Held, PREFILL_CHUNK, Step,
};
pub use ranking::{Candidate, Cut};
pub use sampling::{GenerateSettings, Sampler};
pub use stages::{Fate, SHOWN, SamplerStep, Stage, Stages, shown_ids, stages};
