//! What checkpoints call their weights.

use glassformer_graph::Encoding;
use glassformer_weights::TensorInfo;

use super::Decoder;
use crate::ModelError;

/// A matrix and its bias.
pub(super) struct Pair {
    pub(super) weight: String,
    pub(super) bias: Option<String>,
}

/// Which attention.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Encoder,
    Decoder,
    Cross,
}

impl Decoder {
    /// Of an attention, and the start of its nodes' names.
    pub(super) fn attention(self, place: Place, layer: usize) -> String {
        match (self, place) {
            (Self::Student, Place::Encoder) => format!("encoder_l{}_self", layer + 1),
            (Self::Student, Place::Decoder) => format!("decoder_l{}_rnn", layer + 1),
            (Self::Student, Place::Cross) => format!("decoder_l{}_context", layer + 1),
            (Self::Full, Place::Encoder) => format!("model.encoder.layers.{layer}.self_attn"),
            (Self::Full, Place::Decoder) => format!("model.decoder.layers.{layer}.self_attn"),
            (Self::Full, Place::Cross) => format!("model.decoder.layers.{layer}.encoder_attn"),
        }
    }

    /// Of a feed-forward layer.
    pub(super) fn feed_forward(self, place: Place, layer: usize) -> String {
        let stack = if place == Place::Encoder {
            "encoder"
        } else {
            "decoder"
        };
        match self {
            Self::Student => format!("{stack}_l{}_ffn", layer + 1),
            Self::Full => format!("model.{stack}.layers.{layer}"),
        }
    }

    /// The output of a layer.
    pub(super) fn layer(self, place: Place, layer: usize) -> String {
        let stack = if place == Place::Encoder {
            "encoder"
        } else {
            "decoder"
        };
        match self {
            Self::Student => format!("{stack}_l{}", layer + 1),
            Self::Full => format!("model.{stack}.layers.{layer}"),
        }
    }

    /// A node of `at`.
    pub(super) fn node(self, at: &str, part: &str) -> String {
        match self {
            Self::Student => format!("{at}_{part}"),
            Self::Full => format!("{at}.{part}"),
        }
    }

    /// The projection `q`, `k`, `v` or `o` of an attention.
    pub(super) fn projection(self, at: &str, part: char) -> Pair {
        match (self, part) {
            (Self::Student, _) => pair(format!("{at}_W{part}"), format!("{at}_b{part}")),
            (Self::Full, 'o') => pair(
                format!("{at}.out_proj.weight"),
                format!("{at}.out_proj.bias"),
            ),
            (Self::Full, _) => pair(
                format!("{at}.{part}_proj.weight"),
                format!("{at}.{part}_proj.bias"),
            ),
        }
    }

    /// The matrix 1 or 2 of a feed-forward layer.
    pub(super) fn fed(self, at: &str, part: u8) -> Pair {
        match self {
            Self::Student => pair(format!("{at}_W{part}"), format!("{at}_b{part}")),
            Self::Full => pair(
                format!("{at}.fc{part}.weight"),
                format!("{at}.fc{part}.bias"),
            ),
        }
    }

    /// Gain and bias of the norm behind an attention.
    pub(super) fn attention_norm(self, at: &str) -> [String; 2] {
        match self {
            Self::Student => [format!("{at}_Wo_ln_scale"), format!("{at}_Wo_ln_bias")],
            Self::Full => [
                format!("{at}_layer_norm.weight"),
                format!("{at}_layer_norm.bias"),
            ],
        }
    }

    /// Gain and bias of the norm behind a feed-forward layer or a recurrent unit.
    pub(super) fn fed_norm(self, at: &str) -> [String; 2] {
        match self {
            Self::Student => [format!("{at}_ffn_ln_scale"), format!("{at}_ffn_ln_bias")],
            Self::Full => [
                format!("{at}.final_layer_norm.weight"),
                format!("{at}.final_layer_norm.bias"),
            ],
        }
    }

    /// The one embedding, which is the output matrix too.
    pub(super) fn embedding(self) -> &'static str {
        match self {
            Self::Student => "Wemb",
            Self::Full => "model.shared.weight",
        }
    }

    /// Added to the logits.
    pub(super) fn output_bias(self) -> &'static str {
        match self {
            Self::Student => "decoder_ff_logit_out_b",
            Self::Full => "final_logits_bias",
        }
    }

    /// The weight that holds what the inputs of a matrix are multiplied by before they are rounded.
    pub(super) fn multiplier(self, weight: &str) -> Option<String> {
        match (self, weight) {
            (Self::Full, _) => None,
            (Self::Student, "Wemb") => Some("none_QuantMultA".into()),
            (Self::Student, _) => Some(format!("{weight}_QuantMultA")),
        }
    }
}

fn pair(weight: String, bias: String) -> Pair {
    let bias = Some(bias);
    Pair { weight, bias }
}

/// Matrices of f32 lie transposed in Marian's files, and square ones would not show it.
pub(super) fn check_bytes(tensors: &[TensorInfo]) -> Result<(), ModelError> {
    let matrix = |t: &&TensorInfo| t.shape.len() > 1 && t.encoding != Encoding::I8;
    match tensors.iter().find(matrix) {
        Some(tensor) => Err(ModelError::Unsupported {
            key: tensor.name.clone(),
            value: format!("a matrix of {}; students hold bytes", tensor.encoding),
        }),
        None => Ok(()),
    }
}
