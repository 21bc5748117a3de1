//! The small model of the tests of sessions and taps.
#![allow(clippy::unwrap_used, reason = "a test stops at what it cannot read")]

use glassformer_engine::MemorySource;
use glassformer_graph::Precision;

use crate::golden::{self, Runner, Target};

/// More than three growths of the cache, and not a multiple of its step.
pub const CONTEXT: u32 = 900;

/// Its tokens.
pub const VOCAB: u32 = 320;

/// Everything that runs models: the CPU in both precisions, and the GPU where there is one.
pub fn targets(test: &str) -> Vec<Target> {
    let mut targets = vec![Precision::Exact.into(), Precision::Fast.into()];
    targets.extend(golden::gpus(test));
    targets
}

/// The tiny model in 4-bit blocks, so that `fast` differs from `exact`, with a longer context than
/// its file says.
pub fn model(target: impl Into<Target>) -> Runner {
    const KEY: &[u8] = b"llama.context_length";
    let name = "q4_1.gguf";
    let mut bytes = std::fs::read(golden::path("llama/tiny-blocks").join(name)).unwrap();
    let key = bytes.windows(KEY.len()).position(|w| w == KEY).unwrap();
    // After the key its type, 4 for u32, then the number.
    let value = key + KEY.len() + 4;
    assert_eq!(bytes[value - 4..value + 4], [4, 0, 0, 0, 128, 0, 0, 0]);
    bytes[value..value + 4].copy_from_slice(&CONTEXT.to_le_bytes());
    let source = MemorySource {
        name: name.into(),
        bytes,
    };
    let model = Runner::load(vec![Box::new(source)], target);
    assert_eq!(model.loaded.max_context, CONTEXT as usize);
    model
}

/// Ids without a pattern.
pub fn ids(seed: u32, n: usize) -> Vec<u32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % VOCAB
    };
    (0..n).map(|_| next()).collect()
}
