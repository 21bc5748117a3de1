//! What a checkpoint says of itself, under Hugging Face's names.

use glassformer_weights::Header;
use serde::Deserialize;
use serde_json::Value;

use crate::ModelError;

/// `config.json` of `LlamaForCausalLM`, derived values filled in and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Tokens.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Elements of a head, even.
    pub head_dim: usize,
    /// Most positions the model was made for.
    pub max_position_embeddings: usize,
    /// Added under the root of the norms.
    pub rms_norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the output matrix is the embedding.
    pub tie_word_embeddings: bool,
    /// Whether the four projections of attention have biases.
    pub attention_bias: bool,
    /// Whether the three matrices of the feed-forward layer have biases.
    pub mlp_bias: bool,
}

/// The fields as they stand in the file; the defaults are those of `LlamaConfig` in Python.
#[derive(Deserialize)]
struct Raw {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    #[serde(default = "Raw::positions")]
    max_position_embeddings: usize,
    #[serde(default = "Raw::eps")]
    rms_norm_eps: f32,
    #[serde(default = "Raw::theta")]
    rope_theta: f64,
    #[serde(default)]
    rope_scaling: Value,
    /// How newer checkpoints write `rope_theta` and `rope_scaling`.
    #[serde(default)]
    rope_parameters: Value,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default = "Raw::act")]
    hidden_act: String,
}

impl Raw {
    fn positions() -> usize {
        2048
    }
    fn eps() -> f32 {
        1e-6
    }
    fn theta() -> f64 {
        10000.0
    }
    fn act() -> String {
        "silu".into()
    }
}

fn unsupported(key: &str, value: impl ToString) -> ModelError {
    ModelError::Unsupported {
        key: key.into(),
        value: value.to_string(),
    }
}

/// The largest sizes a config may claim: far above any real model, small enough that the graph
/// and the rotary table stay small before the file has shown that it holds such weights.
const MOST_WIDE: usize = 1 << 20;
const MOST_LAYERS: usize = 1 << 10;
const MOST_HEADS: usize = 1 << 10;
const MOST_HEAD_DIM: usize = 1 << 10;
const MOST_POSITIONS: usize = 1 << 24;

impl LlamaConfig {
    /// From a parsed `config.json`.
    ///
    /// # Errors
    /// If a field is missing, contradicts another, or asks for what is not supported.
    pub fn from_json(config: &Value) -> Result<Self, ModelError> {
        let raw = Raw::deserialize(config).map_err(|e| ModelError::Config(e.to_string()))?;
        if raw.hidden_act != "silu" {
            return Err(unsupported("hidden_act", raw.hidden_act));
        }
        for (key, rope) in [
            ("rope_scaling", &raw.rope_scaling),
            ("rope_parameters", &raw.rope_parameters),
        ] {
            let kind = rope.get("rope_type").or(rope.get("type"));
            if !rope.is_null() && kind.and_then(Value::as_str) != Some("default") {
                return Err(unsupported(key, rope));
            }
        }
        let newer_theta = raw
            .rope_parameters
            .get("rope_theta")
            .and_then(Value::as_f64);
        let heads = raw.num_attention_heads;
        Self {
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_hidden_layers: raw.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: raw.num_key_value_heads.unwrap_or(heads),
            head_dim: raw.head_dim.unwrap_or(raw.hidden_size / heads.max(1)),
            max_position_embeddings: raw.max_position_embeddings,
            rms_norm_eps: raw.rms_norm_eps,
            rope_theta: newer_theta.unwrap_or(raw.rope_theta),
            tie_word_embeddings: raw.tie_word_embeddings,
            attention_bias: raw.attention_bias,
            mlp_bias: raw.mlp_bias,
        }
        .checked()
    }

    /// From GGUF metadata. What the metadata leaves out is read off the tensors: the vocabulary's
    /// size, tied outputs, biases.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_gguf(header: &Header) -> Result<Self, ModelError> {
        let meta = &header.metadata;
        let missing = |key: &str| ModelError::MissingKey(key.into());
        let count = |key: &str| {
            let key = format!("llama.{key}");
            meta.u32(&key)
                .map(|n| n as usize)
                .ok_or_else(|| missing(&key))
        };
        let has = |name: &str| header.tensors.iter().any(|t| t.name == name);
        const EMBEDDING: &str = "token_embd.weight";
        let embedding = header.tensors.iter().find(|t| t.name == EMBEDDING);
        let embedding = embedding.ok_or_else(|| ModelError::MissingWeight(EMBEDDING.into()))?;

        if let Some(kind) = meta
            .str("llama.rope.scaling.type")
            .filter(|kind| *kind != "none")
        {
            return Err(unsupported("llama.rope.scaling.type", kind));
        }
        for key in ["llama.rope.scaling.factor", "llama.rope.scale_linear"] {
            if let Some(factor) = meta.f32(key).filter(|&factor| factor != 1.0) {
                return Err(unsupported(key, factor));
            }
        }
        if has("rope_freqs.weight") {
            return Err(unsupported("rotary scaling", "rope_freqs.weight"));
        }
        if let Some(experts) = meta.u32("llama.expert_count").filter(|&n| n > 0) {
            return Err(unsupported("llama.expert_count", experts));
        }
        let heads = count("attention.head_count")?;
        let hidden = count("embedding_length")?;
        let head_dim = count("attention.key_length").unwrap_or(hidden / heads.max(1));
        if let Ok(rotary) = count("rope.dimension_count")
            && rotary != head_dim
        {
            return Err(unsupported("llama.rope.dimension_count", rotary));
        }
        if let Ok(values) = count("attention.value_length")
            && values != head_dim
        {
            return Err(unsupported("llama.attention.value_length", values));
        }
        const EPS: &str = "llama.attention.layer_norm_rms_epsilon";
        Self {
            vocab_size: embedding.shape.first().copied().unwrap_or(0),
            hidden_size: hidden,
            intermediate_size: count("feed_forward_length")?,
            num_hidden_layers: count("block_count")?,
            num_attention_heads: heads,
            num_key_value_heads: count("attention.head_count_kv").unwrap_or(heads),
            head_dim,
            max_position_embeddings: count("context_length")?,
            rms_norm_eps: meta.f32(EPS).ok_or_else(|| missing(EPS))?,
            rope_theta: meta.f32("llama.rope.freq_base").map_or(10000.0, f64::from),
            tie_word_embeddings: !has("output.weight"),
            attention_bias: has("blk.0.attn_q.bias"),
            mlp_bias: has("blk.0.ffn_gate.bias"),
        }
        .checked()
    }

    fn checked(self) -> Result<Self, ModelError> {
        let sizes = [
            ("vocab_size", self.vocab_size, MOST_WIDE),
            ("hidden_size", self.hidden_size, MOST_WIDE),
            ("intermediate_size", self.intermediate_size, MOST_WIDE),
            ("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS),
            ("num_attention_heads", self.num_attention_heads, MOST_HEADS),
            ("num_key_value_heads", self.num_key_value_heads, MOST_HEADS),
            ("head_dim", self.head_dim, MOST_HEAD_DIM),
            (
                "max_position_embeddings",
                self.max_position_embeddings,
                MOST_POSITIONS,
            ),
        ];
        for (name, size, most) in sizes {
            if size == 0 || size > most {
                return Err(ModelError::Inconsistent(format!("{name} is {size}")));
            }
        }
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        if heads % kv_heads != 0 {
            let reason = format!("{kv_heads} key heads do not divide {heads} query heads");
            return Err(ModelError::Inconsistent(reason));
        }
        if !self.head_dim.is_multiple_of(2) {
            let reason = format!(
                "heads of {} elements cannot be rotated in pairs",
                self.head_dim
            );
            return Err(ModelError::Inconsistent(reason));
        }
        Ok(self)
    }
}
