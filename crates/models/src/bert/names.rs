//! What checkpoints of each relative call their weights.

use std::collections::HashSet;

use glassformer_weights::TensorInfo;

use super::config::Kind;

/// The weights of a layer, behind the layer's own name.
#[derive(Debug)]
pub(super) struct LayerNames {
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub output: &'static str,
    pub attention_norm: &'static str,
    pub inner: &'static str,
    pub outer: &'static str,
    pub norm: &'static str,
}

/// The weights of the head that names words.
#[derive(Debug)]
pub(super) struct HeadNames {
    pub dense: &'static str,
    pub norm: &'static str,
    pub decoder: &'static str,
    /// The bias of the output: checkpoints have one of these, or both with the same numbers.
    pub bias: [&'static str; 2],
}

/// Which names a kind has, and which of the alternatives its files hold.
#[derive(Debug)]
pub(super) struct Names<'t> {
    kind: Kind,
    tensors: HashSet<&'t str>,
    /// `bert.` where the files have it, else nothing; in a model of several towers the tower's.
    prefix: String,
}

impl<'t> Names<'t> {
    pub fn new(kind: Kind, tensors: &'t [TensorInfo]) -> Self {
        let tensors: HashSet<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
        let prefix = match kind {
            Kind::Bert => "bert.",
            Kind::Roberta => "roberta.",
            Kind::DistilBert => "distilbert.",
            Kind::Albert => "albert.",
            Kind::Electra => "electra.",
        };
        let bare = tensors.contains("embeddings.word_embeddings.weight");
        Self {
            kind,
            tensors,
            prefix: if bare { "" } else { prefix }.to_owned(),
        }
    }

    /// Those of a tower, whose weights all begin with `prefix`.
    pub fn of_tower(kind: Kind, tensors: &'t [TensorInfo], prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            ..Self::new(kind, tensors)
        }
    }

    /// The full name of a weight of the encoder.
    pub fn encoder(&self, part: &str) -> String {
        format!("{}{part}", self.prefix)
    }

    /// The name of a layer; `group` and `place` are its weights' if layers share them.
    pub fn layer(&self, layer: usize, [group, place]: [usize; 2]) -> String {
        self.encoder(&match self.kind {
            Kind::Bert | Kind::Roberta | Kind::Electra => format!("encoder.layer.{layer}"),
            Kind::DistilBert => format!("transformer.layer.{layer}"),
            Kind::Albert => format!("encoder.albert_layer_groups.{group}.albert_layers.{place}"),
        })
    }

    pub fn layer_parts(&self) -> LayerNames {
        match self.kind {
            Kind::Bert | Kind::Roberta | Kind::Electra => LayerNames {
                query: "attention.self.query",
                key: "attention.self.key",
                value: "attention.self.value",
                output: "attention.output.dense",
                attention_norm: "attention.output.LayerNorm",
                inner: "intermediate.dense",
                outer: "output.dense",
                norm: "output.LayerNorm",
            },
            Kind::DistilBert => LayerNames {
                query: "attention.q_lin",
                key: "attention.k_lin",
                value: "attention.v_lin",
                output: "attention.out_lin",
                attention_norm: "sa_layer_norm",
                inner: "ffn.lin1",
                outer: "ffn.lin2",
                norm: "output_layer_norm",
            },
            Kind::Albert => LayerNames {
                query: "attention.query",
                key: "attention.key",
                value: "attention.value",
                output: "attention.dense",
                attention_norm: "attention.LayerNorm",
                inner: "ffn",
                outer: "ffn_output",
                norm: "full_layer_layer_norm",
            },
        }
    }

    /// What widens narrow embeddings.
    pub fn widening(&self) -> String {
        self.encoder(match self.kind {
            Kind::Albert => "encoder.embedding_hidden_mapping_in",
            _ => "embeddings_project",
        })
    }

    /// The head, if the files have one.
    pub fn head(&self) -> Option<HeadNames> {
        let names = match self.kind {
            Kind::Bert => HeadNames {
                dense: "cls.predictions.transform.dense",
                norm: "cls.predictions.transform.LayerNorm",
                decoder: "cls.predictions.decoder",
                bias: ["cls.predictions.bias", "cls.predictions.decoder.bias"],
            },
            Kind::Roberta => HeadNames {
                dense: "lm_head.dense",
                norm: "lm_head.layer_norm",
                decoder: "lm_head.decoder",
                bias: ["lm_head.bias", "lm_head.decoder.bias"],
            },
            Kind::DistilBert => HeadNames {
                dense: "vocab_transform",
                norm: "vocab_layer_norm",
                decoder: "vocab_projector",
                bias: ["vocab_projector.bias"; 2],
            },
            Kind::Albert => HeadNames {
                dense: "predictions.dense",
                norm: "predictions.LayerNorm",
                decoder: "predictions.decoder",
                bias: ["predictions.bias", "predictions.decoder.bias"],
            },
            Kind::Electra => HeadNames {
                dense: "generator_predictions.dense",
                norm: "generator_predictions.LayerNorm",
                decoder: "generator_lm_head",
                bias: ["generator_lm_head.bias"; 2],
            },
        };
        let dense = format!("{}.weight", names.dense);
        self.tensors.contains(dense.as_str()).then_some(names)
    }

    /// The one of these that the files hold, else the first.
    pub fn held<const N: usize>(&self, names: [String; N]) -> String {
        let held = names
            .iter()
            .position(|name| self.tensors.contains(name.as_str()));
        let at = held.unwrap_or(0);
        names.into_iter().nth(at).unwrap_or_default()
    }
}

/// Ends of the names of tensors that checkpoints of the family carry although nothing of what is
/// computed here reads them: heads of other tasks of the pre-training, numbers that only count, and
/// copies of tied weights.
pub(crate) const UNUSED: &[&str] = &[
    "embeddings.position_ids",
    "embeddings.token_type_ids",
    "pooler.dense.weight",
    "pooler.dense.bias",
    "albert.pooler.weight",
    "albert.pooler.bias",
    "cls.seq_relationship.weight",
    "cls.seq_relationship.bias",
    "sop_classifier.classifier.weight",
    "sop_classifier.classifier.bias",
    "discriminator_predictions.dense.weight",
    "discriminator_predictions.dense.bias",
    "discriminator_predictions.dense_prediction.weight",
    "discriminator_predictions.dense_prediction.bias",
    "cls.predictions.decoder.weight",
    "cls.predictions.decoder.bias",
    "cls.predictions.bias",
    "lm_head.decoder.weight",
    "lm_head.decoder.bias",
    "lm_head.bias",
    "vocab_projector.weight",
    "predictions.decoder.weight",
    "predictions.decoder.bias",
    "predictions.bias",
    "generator_lm_head.weight",
];
