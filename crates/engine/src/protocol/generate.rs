//! What is said about writing text.

use glassformer_graph::{KeptLogits, LOG_SUMS};
use serde::{Deserialize, Serialize};

/// What to continue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Prompt {
    /// The text as it is.
    Plain {
        /// May name special tokens such as `<|im_start|>`.
        text: String,
    },
    /// One message to the assistant, wrapped by the model's own chat template.
    Chat {
        /// What the person says.
        text: String,
    },
}

/// What is kept of a token's logits, and the names of the candidates one looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// [`KeptLogits`] as bytes (on the wire a `Uint8Array`), little-endian: 17 sums (f32), then
    /// the ids (u32) of the listed tokens, then their logits (f32); at most 2,116 bytes. See
    /// [`unpack`].
    #[serde(with = "serde_bytes")]
    pub logits: Vec<u8>,
    /// Texts of the candidates that `stages` tells, in its order; bytes that are no whole
    /// character appear as `<0xE2>`.
    pub texts: Vec<String>,
}

/// [`Kept::logits`] of kept logits.
pub fn pack(kept: &KeptLogits) -> Vec<u8> {
    let sums = kept.log_sums.iter().flat_map(|sum| sum.to_le_bytes());
    let ids = kept.top.iter().flat_map(|(id, _)| id.to_le_bytes());
    let logits = kept.top.iter().flat_map(|(_, logit)| logit.to_le_bytes());
    sums.chain(ids).chain(logits).collect()
}

/// Undoes [`pack`]; nothing if the bytes are not its own.
pub fn unpack(bytes: &[u8]) -> Option<KeptLogits> {
    let (words, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    let (sums, list) = words.split_at_checked(LOG_SUMS)?;
    if list.is_empty() || list.len() % 2 != 0 {
        return None;
    }
    let (ids, logits) = list.split_at(list.len() / 2);
    let pairs = ids.iter().zip(logits);
    Some(KeptLogits {
        top: pairs
            .map(|(id, logit)| (u32::from_le_bytes(*id), f32::from_le_bytes(*logit)))
            .collect(),
        log_sums: std::array::from_fn(|k| f32::from_le_bytes(sums[k])),
    })
}

/// A token of the prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptToken {
    /// Vocabulary id.
    pub id: u32,
    /// Its text; bytes that are no whole character appear as `<0xE2>`.
    pub text: String,
    /// Whether it is a special (control) token.
    pub special: bool,
}

/// Measured times of one generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateStats {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens written.
    pub tokens: u32,
    /// From the request to the first token, in seconds.
    pub first_token_seconds: f64,
    /// Prompt tokens per second.
    pub prefill_tps: f64,
    /// Tokens per second after the first.
    pub decode_tps: f64,
    /// What each of these tokens took of the GPU, if it ran there.
    #[serde(default)]
    pub gpu: Option<GpuStats>,
    /// Bytes of the engine's WebAssembly memory now (0 natively).
    pub heap_bytes: u64,
}

/// What a written token took of the GPU, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GpuStats {
    /// Compute dispatches.
    pub dispatches: f64,
    /// Compute passes.
    pub passes: f64,
    /// Submits.
    pub submits: f64,
    /// Bytes that came back from the GPU: the token and the logits kept of it.
    pub read_bytes: f64,
    /// Bytes of weights on the GPU, of which a token reads nearly all.
    pub weight_bytes: u64,
    /// Bytes of keys and values for one position, of which a token reads those it attends to.
    pub position_bytes: u64,
    /// Bytes of all buffers on the GPU.
    pub buffer_bytes: u64,
}
