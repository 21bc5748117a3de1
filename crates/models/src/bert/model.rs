//! The graph of BERT and its relatives.
//!
//! Entry `encode`: whole sequences, padded to one length.
//!
//! - `ids [batch, q_len]`: tokens;
//! - `types [batch, q_len]`, where the model has token types: 0, or 1 in the second sentence;
//! - `lengths [batch]`: positions of each sequence without its padding;
//! - `rows [rows]`, where the model has a head: the positions of which logits are wanted
//!   → `cls.predictions.decoder [batch, rows, vocab]`; without a head the hidden states
//!   `[batch, q_len, hidden]` are what is computed.
//!
//! Nodes are named as BERT's, whatever the checkpoint calls its weights.

use std::collections::HashMap;

use glassformer_graph::{
    Binary, Builder, GraphError, Model, NodeId, Role, Stack, Symbol, WeightId,
};
use glassformer_weights::TensorInfo;

use super::config::BertConfig;
use super::names::{HeadNames, LayerNames, Names};

type Result<T> = std::result::Result<T, GraphError>;

const STACK: Stack = Stack::Encoder;

pub(super) fn build(config: &BertConfig, tensors: &[TensorInfo]) -> Result<Model> {
    let mut builder = Builder::new();
    let mut bert = Bert {
        b: &mut builder,
        config,
        names: Names::new(config.kind, tensors),
        weights: HashMap::new(),
    };
    bert.encode()?;
    Ok(builder.finish())
}

/// The encoder as a tower of another model: its hidden states `[batch, q_len, hidden]` after the last
/// layer, and the input `lengths [batch]`. Its weights' names begin with `prefix`.
pub(crate) fn tower(
    b: &mut Builder,
    config: &BertConfig,
    tensors: &[TensorInfo],
    prefix: &str,
) -> Result<[NodeId; 2]> {
    let mut bert = Bert {
        b,
        config,
        names: Names::of_tower(config.kind, tensors, prefix),
        weights: HashMap::new(),
    };
    let hidden = bert.hidden()?;
    Ok([hidden.last, hidden.lengths])
}

/// What the layers leave behind.
struct Hidden {
    last: NodeId,
    lengths: NodeId,
    /// The word embeddings, which are the output matrix too where both are tied.
    words: WeightId,
}

struct Bert<'c> {
    b: &'c mut Builder,
    config: &'c BertConfig,
    names: Names<'c>,
    /// Layers may share weights.
    weights: HashMap<String, WeightId>,
}

impl Bert<'_> {
    fn hidden(&mut self) -> Result<Hidden> {
        let positions = [Symbol::Batch, Symbol::QueryLen];
        let ids = self.b.input("ids", &positions)?;
        let words = self.names.encoder("embeddings.word_embeddings.weight");
        let (vocab, width) = (self.config.vocab_size, self.config.embedding_size);
        let words = self.weight(words, &[vocab, width])?;
        let mut x = self.embed(ids, words)?;
        let lengths = self.b.input("lengths", &[Symbol::Batch])?;
        if self.config.widens() {
            let widening = self.names.widening();
            let shape = [self.config.hidden_size, self.config.embedding_size];
            x = self.linear("embeddings_project", &widening, x, shape)?;
        }
        self.residual(x, 0);
        for layer in 0..self.config.num_hidden_layers {
            x = self.layer(layer, x, lengths)?;
            self.residual(x, layer + 1);
        }
        Ok(Hidden {
            last: x,
            lengths,
            words,
        })
    }

    fn encode(&mut self) -> Result<()> {
        let Hidden { last: x, words, .. } = self.hidden()?;
        let Some(head) = self.names.head() else {
            return self.b.entry("encode", &[x]);
        };
        let rows = self.b.input("rows", &[Symbol::Rows])?;
        let x = self.b.select_rows("rows.selected", x, rows)?;
        let logits = self.predict(&head, x, words)?;
        self.b.entry("encode", &[logits])
    }

    /// Word, position and type of each token, added and normed.
    fn embed(&mut self, ids: NodeId, words: WeightId) -> Result<NodeId> {
        let width = self.config.embedding_size;
        let mut x = self.b.embedding("embeddings.word_embeddings", ids, words)?;
        if self.config.type_vocab_size > 0 {
            let types = self.b.input("types", &[Symbol::Batch, Symbol::QueryLen])?;
            let table = "embeddings.token_type_embeddings";
            let weight = self.names.encoder(&format!("{table}.weight"));
            let weight = self.weight(weight, &[self.config.type_vocab_size, width])?;
            let added = self.b.embedding(table, types, weight)?;
            x = self.b.binary("embeddings.typed", x, added, Binary::Add)?;
        }
        let table = "embeddings.position_embeddings";
        let weight = self.names.encoder(&format!("{table}.weight"));
        let weight = self.weight(weight, &[self.config.position_rows, width])?;
        let offset = self.config.position_offset;
        let added = self.b.position_embedding(table, weight, offset)?;
        let x = self.b.binary("embeddings.sum", x, added, Binary::Add)?;
        let norm = self.names.encoder("embeddings.LayerNorm");
        self.norm("embeddings.LayerNorm", &norm, x, width)
    }

    fn layer(&mut self, layer: usize, x: NodeId, lengths: NodeId) -> Result<NodeId> {
        let (hidden, inner) = (self.config.hidden_size, self.config.intermediate_size);
        let at = format!("encoder.layer.{layer}");
        let node = |part: &str| format!("{at}.{part}");
        let weights = self.names.layer(layer, self.config.shared[layer]);
        let weight = |part: &str| format!("{weights}.{part}");
        let parts = self.names.layer_parts();

        let attended = self.attention(layer, x, lengths, &weights, &parts)?;
        let x = self
            .b
            .binary(&node("attention.sum"), x, attended, Binary::Add)?;
        let norm = "attention.output.LayerNorm";
        let x = self.norm(&node(norm), &weight(parts.attention_norm), x, hidden)?;
        let up = weight(parts.inner);
        let up = self.linear(&node("intermediate.dense"), &up, x, [inner, hidden])?;
        let up = self
            .b
            .unary(&node("intermediate.act_fn"), up, self.config.activation)?;
        let down = weight(parts.outer);
        let down = self.linear(&node("output.dense"), &down, up, [hidden, inner])?;
        let x = self.b.binary(&node("output.sum"), x, down, Binary::Add)?;
        self.norm(&at, &weight(parts.norm), x, hidden)
    }

    fn attention(
        &mut self,
        layer: usize,
        x: NodeId,
        lengths: NodeId,
        weights: &str,
        parts: &LayerNames,
    ) -> Result<NodeId> {
        let (hidden, heads) = (self.config.hidden_size, self.config.num_attention_heads);
        let at = format!("encoder.layer.{layer}.attention");
        let node = |part: &str| format!("{at}.{part}");
        let project = |bert: &mut Self, to: &str, part: &str| {
            let x = bert.linear(
                &node(&format!("self.{to}")),
                &format!("{weights}.{part}"),
                x,
                [hidden, hidden],
            )?;
            bert.b.split(&node(&format!("self.{to}.heads")), x, heads)
        };
        let query = project(self, "query", parts.query)?;
        let key = project(self, "key", parts.key)?;
        let value = project(self, "value", parts.value)?;

        let scale = 1.0 / ((hidden / heads) as f32).sqrt();
        let b = &mut *self.b;
        let scores =
            b.padded_attention_scores(&node("scores"), query, key, lengths, None, scale)?;
        let probs = b.softmax(&node("probs"), scores)?;
        let context = b.attention_context(&node("context"), probs, value)?;
        let stack = STACK;
        b.set_role(query, Role::Query { stack, layer });
        b.set_role(key, Role::Key { stack, layer });
        b.set_role(value, Role::Value { stack, layer });
        b.set_role(scores, Role::AttentionScores { stack, layer });
        b.set_role(probs, Role::AttentionProbs { stack, layer });
        let joined = b.join(&node("joined"), context)?;
        let output = format!("{weights}.{}", parts.output);
        self.linear(&node("output.dense"), &output, joined, [hidden, hidden])
    }

    /// The head: `x [batch, rows, hidden]` → logits `[batch, rows, vocab]`.
    fn predict(&mut self, head: &HeadNames, x: NodeId, words: WeightId) -> Result<NodeId> {
        let (width, vocab) = (self.config.embedding_size, self.config.vocab_size);
        let at = "cls.predictions";
        let node = |part: &str| format!("{at}.{part}");
        let shape = [width, self.config.hidden_size];
        let x = self.linear(&node("transform.dense"), head.dense, x, shape)?;
        let act = node("transform.act_fn");
        let x = self.b.unary(&act, x, self.config.head_activation)?;
        let x = self.norm(&node("transform.LayerNorm"), head.norm, x, width)?;
        self.b.set_role(x, Role::FinalHidden);
        let decoder = if self.config.tie_word_embeddings {
            words
        } else {
            self.weight(format!("{}.weight", head.decoder), &[vocab, width])?
        };
        let bias = self.names.held(head.bias.map(str::to_owned));
        let bias = self.weight(bias, &[vocab])?;
        let logits = self.b.linear(&node("decoder"), x, decoder, Some(bias))?;
        self.b.set_role(logits, Role::Logits);
        Ok(logits)
    }

    /// `x · Wᵀ + b`, `W [out, in]`.
    fn linear(
        &mut self,
        node: &str,
        weights: &str,
        x: NodeId,
        shape: [usize; 2],
    ) -> Result<NodeId> {
        let weight = self.weight(format!("{weights}.weight"), &shape)?;
        let bias = self.weight(format!("{weights}.bias"), &shape[..1])?;
        self.b.linear(node, x, weight, Some(bias))
    }

    /// A layer norm; checkpoints from TensorFlow call its gain `gamma` and its bias `beta`.
    fn norm(&mut self, node: &str, weights: &str, x: NodeId, width: usize) -> Result<NodeId> {
        let names = [["weight", "gamma"], ["bias", "beta"]];
        let names = names.map(|parts| parts.map(|part| format!("{weights}.{part}")));
        let [gain, bias] = names.map(|names| self.names.held(names));
        let gain = self.weight(gain, &[width])?;
        let bias = self.weight(bias, &[width])?;
        let eps = self.config.layer_norm_eps;
        self.b.layer_norm(node, x, [gain, bias], eps)
    }

    fn weight(&mut self, name: String, shape: &[usize]) -> Result<WeightId> {
        if let Some(&known) = self.weights.get(&name) {
            return Ok(known);
        }
        let weight = self.b.weight(name.clone(), shape)?;
        self.weights.insert(name, weight);
        Ok(weight)
    }

    fn residual(&mut self, node: NodeId, layer: usize) {
        let stack = STACK;
        self.b.set_role(node, Role::Residual { stack, layer });
    }
}
