//! What a checkpoint says of itself: five families under one set of names.

use glassformer_graph::Unary;
use serde::Deserialize;
use serde_json::Value;

use crate::ModelError;

/// Which of BERT's relatives it is: they differ in names, positions and what is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Devlin et al. 2018.
    Bert,
    /// Liu et al. 2019: positions begin behind the padding id; one token type.
    Roberta,
    /// Sanh et al. 2019: half the layers, no token types.
    DistilBert,
    /// Lan et al. 2019: layers share weights, narrow embeddings.
    Albert,
    /// Clark et al. 2020: narrow embeddings; its generator names words.
    Electra,
}

/// `config.json` of the family, derived values filled in and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct BertConfig {
    /// Which relative.
    pub kind: Kind,
    /// Tokens.
    pub vocab_size: usize,
    /// Width of the word, position and type embeddings.
    pub embedding_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Layers that are computed.
    pub num_hidden_layers: usize,
    /// For each layer, the group and place within it whose weights it has; only ALBERT shares.
    pub shared: Vec<[usize; 2]>,
    /// Heads.
    pub num_attention_heads: usize,
    /// Rows of the table of positions.
    pub position_rows: usize,
    /// Rows of it before that of the first position.
    pub position_offset: usize,
    /// Token types; 0 if there are none.
    pub type_vocab_size: usize,
    /// Added under the root of the norms.
    pub layer_norm_eps: f32,
    /// Of the feed-forward layer.
    pub activation: Unary,
    /// Of the head that names words.
    pub head_activation: Unary,
    /// Whether the output matrix is the word embedding.
    pub tie_word_embeddings: bool,
}

/// The fields as they stand in the file. DistilBERT has its own names for some.
#[derive(Deserialize)]
struct Raw {
    vocab_size: usize,
    #[serde(alias = "dim")]
    hidden_size: usize,
    embedding_size: Option<usize>,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(default = "Raw::one")]
    num_hidden_groups: usize,
    #[serde(default = "Raw::one")]
    inner_group_num: usize,
    #[serde(default = "Raw::positions")]
    max_position_embeddings: usize,
    type_vocab_size: Option<usize>,
    #[serde(default = "Raw::eps")]
    layer_norm_eps: f32,
    #[serde(alias = "activation")]
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
    pad_token_id: Option<usize>,
    #[serde(default = "Raw::yes")]
    tie_word_embeddings: bool,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    add_cross_attention: bool,
}

impl Raw {
    fn one() -> usize {
        1
    }
    fn positions() -> usize {
        512
    }
    fn eps() -> f32 {
        1e-12
    }
    fn yes() -> bool {
        true
    }
}

fn unsupported(key: &str, value: impl ToString) -> ModelError {
    ModelError::Unsupported {
        key: key.into(),
        value: value.to_string(),
    }
}

fn activation(name: &str) -> Result<Unary, ModelError> {
    match name {
        "gelu" => Ok(Unary::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Unary::GeluTanh),
        _ => Err(unsupported("hidden_act", name)),
    }
}

/// The largest sizes a config may claim: far above any real model, small enough that the graph
/// stays small before the file has shown that it holds such weights.
const MOST_WIDE: usize = 1 << 20;
const MOST_LAYERS: usize = 1 << 10;

impl BertConfig {
    /// From a parsed `config.json`.
    ///
    /// # Errors
    /// If a field is missing, contradicts another, or asks for what is not supported.
    pub fn from_json(kind: Kind, config: &Value) -> Result<Self, ModelError> {
        let raw = Raw::deserialize(config).map_err(|e| ModelError::Config(e.to_string()))?;
        if let Some(positions) = raw.position_embedding_type.filter(|p| p != "absolute") {
            return Err(unsupported("position_embedding_type", positions));
        }
        for (key, value) in [
            ("is_decoder", raw.is_decoder),
            ("add_cross_attention", raw.add_cross_attention),
        ] {
            if value {
                return Err(unsupported(key, value));
            }
        }
        // What ALBERT's class takes where its config.json does not say.
        let default = if kind == Kind::Albert {
            "gelu_new"
        } else {
            "gelu"
        };
        let activation = activation(raw.hidden_act.as_deref().unwrap_or(default))?;
        let own_head = matches!(kind, Kind::Roberta | Kind::Electra);
        let narrow = matches!(kind, Kind::Albert | Kind::Electra);
        // The default of both narrow families' classes.
        let narrow = narrow.then(|| raw.embedding_size.unwrap_or(128));
        let (groups, inner) = match kind {
            Kind::Albert => (raw.num_hidden_groups, raw.inner_group_num),
            _ => (raw.num_hidden_layers, 1),
        };
        let sizes = [
            ("vocab_size", raw.vocab_size, MOST_WIDE << 4),
            ("embedding_size", narrow.unwrap_or(1), MOST_WIDE),
            ("hidden_size", raw.hidden_size, MOST_WIDE),
            ("intermediate_size", raw.intermediate_size, MOST_WIDE),
            ("num_hidden_layers", raw.num_hidden_layers, MOST_LAYERS),
            ("num_hidden_groups", groups, MOST_LAYERS),
            ("inner_group_num", inner, MOST_LAYERS),
            ("num_attention_heads", raw.num_attention_heads, MOST_WIDE),
            (
                "max_position_embeddings",
                raw.max_position_embeddings,
                MOST_WIDE,
            ),
        ];
        if let Some((key, value, _)) = sizes.iter().find(|(_, n, most)| *n == 0 || n > most) {
            return Err(unsupported(key, value));
        }
        if raw.hidden_size % raw.num_attention_heads != 0 {
            return Err(ModelError::Inconsistent(format!(
                "{} heads do not divide a width of {}",
                raw.num_attention_heads, raw.hidden_size
            )));
        }
        if groups > raw.num_hidden_layers || raw.num_hidden_layers * inner > MOST_LAYERS {
            return Err(ModelError::Inconsistent(format!(
                "{groups} groups of {inner} layers in {} layers",
                raw.num_hidden_layers
            )));
        }
        let layers = 0..raw.num_hidden_layers;
        let group = |layer: usize| layer * groups / raw.num_hidden_layers;
        let shared = layers.flat_map(|layer| (0..inner).map(move |place| [group(layer), place]));
        let shared: Vec<[usize; 2]> = shared.collect();
        let position_offset = match kind {
            Kind::Roberta => raw.pad_token_id.unwrap_or(1) + 1,
            _ => 0,
        };
        if position_offset >= raw.max_position_embeddings {
            return Err(unsupported("pad_token_id", position_offset - 1));
        }
        Ok(Self {
            kind,
            vocab_size: raw.vocab_size,
            embedding_size: narrow.unwrap_or(raw.hidden_size),
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_hidden_layers: shared.len(),
            shared,
            num_attention_heads: raw.num_attention_heads,
            position_rows: raw.max_position_embeddings,
            position_offset,
            type_vocab_size: match kind {
                Kind::DistilBert => 0,
                _ => raw.type_vocab_size.unwrap_or(2),
            },
            layer_norm_eps: raw.layer_norm_eps,
            activation,
            head_activation: if own_head { Unary::Gelu } else { activation },
            tie_word_embeddings: raw.tie_word_embeddings,
        })
    }

    /// Whether a matrix stands between the embeddings and the first layer: in ALBERT always.
    pub fn widens(&self) -> bool {
        self.kind == Kind::Albert || self.embedding_size != self.hidden_size
    }

    /// Most positions of a sequence.
    pub fn positions(&self) -> usize {
        self.position_rows - self.position_offset
    }
}
