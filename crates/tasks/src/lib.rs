//! What models are used for. Each task drives an executor step by step, so that whoever calls it
//! can stop, show progress or do something else in between.

mod error;
mod generation;
mod sampling;

pub use error::TaskError;
pub use generation::{Advance, FinishReason, GeneratedToken, Generation, PREFILL_CHUNK, Step};
pub use sampling::{Candidate, GenerateSettings, Sampler, log_softmax_at};
