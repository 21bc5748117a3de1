//! The graphs of a translation model.
//!
//! - `encode`: `ids [batch, source_len]`, of which `lengths [batch]` are no padding → the encoder's states
//!   `[batch, source_len, hidden]`; keys and values of each cross-attention are left in the session, for
//!   all beams that go on from their sentence.
//! - `decode`: `ids [batch, q_len]` continue the beams, `rows [rows]` say of which of them logits are
//!   wanted → `[batch, rows, vocab]`.
//! - `decode_listed`, of the student: the same of chosen words, `words [candidates]` →
//!   `[batch, rows, candidates]`.

use std::collections::HashMap;

use glassformer_graph::{
    Binary, Builder, GraphError, Mask, Model, NodeId, Role, Stack, StateId, StateKind, Symbol,
    TableId, Unary, WeightId,
};

use super::names::{Pair, Place};
use super::{Decoder, MarianConfig};

type Result<T> = std::result::Result<T, GraphError>;

pub(super) fn build(config: &MarianConfig, context: usize) -> Result<Model> {
    let mut b = Builder::new();
    let table = positions(config.decoder, context, config.hidden);
    let positions = b.table("positions", &[context, config.hidden], table)?;
    let mut marian = Marian {
        b,
        config,
        names: config.decoder,
        context,
        positions,
        weights: HashMap::new(),
        states: HashMap::new(),
    };
    marian.encode()?;
    marian.decode(false)?;
    if config.decoder == Decoder::Student {
        marian.decode(true)?;
    }
    Ok(marian.b.finish())
}

/// Sines, then cosines, `[positions, hidden]`. The students' frequencies fall to 10⁻⁴ in equal steps,
/// the last included, and angles are f32, as the students have learnt them; MarianMT's do not reach it.
fn positions(decoder: Decoder, count: usize, hidden: usize) -> Vec<f32> {
    let half = hidden / 2;
    let angle = |position: usize, i: usize| match decoder {
        Decoder::Student => {
            let step = 10_000_f64.ln() as f32 / (half as f32 - 1.0).max(1.0);
            let frequency = f64::from(i as f32 * -step).exp() as f32;
            f64::from(position as f32 * frequency)
        }
        Decoder::Full => position as f64 * 10_000_f64.powf(-(i as f64) / half as f64),
    };
    let row = |position: usize| {
        let sines = (0..half).map(move |i| angle(position, i).sin() as f32);
        sines.chain((0..half).map(move |i| angle(position, i).cos() as f32))
    };
    (0..count).flat_map(row).collect()
}

struct Marian<'c> {
    b: Builder,
    config: &'c MarianConfig,
    names: Decoder,
    context: usize,
    positions: TableId,
    /// Entries share weights and states.
    weights: HashMap<String, WeightId>,
    states: HashMap<String, StateId>,
}

/// Where an attention stands.
struct Attention {
    place: Place,
    stack: Stack,
    layer: usize,
    heads: usize,
    seen: Seen,
}

/// Whom its queries see.
#[derive(Clone, Copy)]
enum Seen {
    /// Their own sequence, of these lengths.
    Padded(NodeId),
    /// What was written.
    Written,
    /// The source.
    Source,
}

impl Marian<'_> {
    fn encode(&mut self) -> Result<()> {
        let (layers, heads, inner) = (
            self.config.layers[0],
            self.config.heads[0],
            self.config.inner[0],
        );
        let ids = self.b.input("ids", &[Symbol::Batch, Symbol::SourceLen])?;
        let lengths = self.b.input("lengths", &[Symbol::Batch])?;
        let mut x = self.embed(ids)?;
        x = self.b.positions("encoder_embedded", x, self.positions)?;
        self.residual(Stack::Encoder, 0, x);
        for layer in 0..layers {
            let place = Place::Encoder;
            let attention = Attention {
                place,
                stack: Stack::Encoder,
                layer,
                heads,
                seen: Seen::Padded(lengths),
            };
            let at = self.names.attention(place, layer);
            let [key, value] = self.keys_values(&at, x, heads)?;
            x = self.attention(&attention, x, [key, value])?;
            x = self.feed_forward(place, layer, inner, x)?;
            self.residual(Stack::Encoder, layer + 1, x);
        }
        self.b.set_role(x, Role::FinalHidden);
        let mut outputs = vec![x];
        for layer in 0..self.config.layers[1] {
            let at = self.names.attention(Place::Cross, layer);
            let both = self.keys_values(&at, x, self.config.heads[1])?;
            for (node, part) in both.into_iter().zip(["keys", "values"]) {
                let state = self.source_state(&at, part);
                let name = self.names.node(&at, part);
                outputs.push(self.b.store(&name, node, lengths, state)?);
            }
        }
        outputs.truncate(1);
        self.b.entry("encode", &outputs)
    }

    fn decode(&mut self, listed: bool) -> Result<()> {
        let (layers, heads, inner) = (
            self.config.layers[1],
            self.config.heads[1],
            self.config.inner[1],
        );
        let ids = self.b.input("ids", &[Symbol::Batch, Symbol::QueryLen])?;
        let rows = self.b.input("rows", &[Symbol::Rows])?;
        let mut x = self.embed(ids)?;
        if self.names == Decoder::Student {
            x = self.b.zero_start("decoder_start", x)?;
        }
        x = self.b.positions("decoder_embedded", x, self.positions)?;
        self.residual(Stack::Decoder, 0, x);
        for layer in 0..layers {
            x = match self.names {
                Decoder::Student => self.recurrent(layer, x)?,
                Decoder::Full => self.self_attention(layer, x)?,
            };
            let at = self.names.attention(Place::Cross, layer);
            let [keys, values] = ["keys", "values"].map(|part| {
                let state = self.source_state(&at, part);
                self.b.recall(&self.names.node(&at, part), state)
            });
            let attention = Attention {
                place: Place::Cross,
                stack: Stack::Cross,
                layer,
                heads,
                seen: Seen::Source,
            };
            x = self.attention(&attention, x, [keys?, values?])?;
            x = self.feed_forward(Place::Decoder, layer, inner, x)?;
            self.residual(Stack::Decoder, layer + 1, x);
        }
        let x = self.b.select_rows("decoder_rows", x, rows)?;
        self.b.set_role(x, Role::FinalHidden);
        let (hidden, vocab) = (self.config.hidden, self.config.vocab);
        let weight = self.matrix(self.names.embedding(), [vocab, hidden])?;
        let bias = Some(self.weight(self.names.output_bias(), &[vocab])?);
        let (entry, logits) = if listed {
            let words = self.b.input("words", &[Symbol::Candidates])?;
            let logits = self.b.linear_rows("logits", x, words, weight, bias)?;
            ("decode_listed", logits)
        } else {
            ("decode", self.b.linear("logits", x, weight, bias)?)
        };
        self.b.set_role(logits, Role::Logits);
        self.b.entry(entry, &[logits])
    }

    fn embed(&mut self, ids: NodeId) -> Result<NodeId> {
        let (vocab, hidden) = (self.config.vocab, self.config.hidden);
        let weight = self.matrix(self.names.embedding(), [vocab, hidden])?;
        let x = self.b.embedding("embedding", ids, weight)?;
        self.b.scale("embedding_scaled", x, self.config.embed_scale)
    }

    /// The student's layer in place of self-attention: gate and candidate from the input, the cell in
    /// between, its positive part out.
    fn recurrent(&mut self, layer: usize, x: NodeId) -> Result<NodeId> {
        let hidden = self.config.hidden;
        let at = self.names.attention(Place::Decoder, layer);
        let name = |part: &str| format!("{at}_{part}");
        let pair = |part: &str, bias: Option<&str>| Pair {
            weight: name(part),
            bias: bias.map(name),
        };
        let candidate = self.linear(&name("W"), x, &pair("W", None), [hidden, hidden])?;
        let gate = self.linear(&name("Wf"), x, &pair("Wf", Some("bf")), [hidden, hidden])?;
        let gate = self.b.unary(&name("gate"), gate, Unary::Sigmoid)?;
        let context = self.context;
        let state = *self.states.entry(name("cell")).or_insert_with(|| {
            let (kind, row) = (StateKind::Recurrent, [hidden]);
            self.b.state_of(kind, name("cell"), &row, context)
        });
        let cell = self.b.recur(&name("cell"), [gate, candidate], state)?;
        let out = self.b.unary(&name("out"), cell, Unary::Relu)?;
        self.residual_norm(&at, x, out, self.names.fed_norm(&at))
    }

    fn self_attention(&mut self, layer: usize, x: NodeId) -> Result<NodeId> {
        let heads = self.config.heads[1];
        let at = self.names.attention(Place::Decoder, layer);
        let row = [heads, self.config.hidden / heads];
        let mut both = self.keys_values(&at, x, heads)?;
        for (node, part) in both.iter_mut().zip(["keys", "values"]) {
            let name = self.names.node(&at, part);
            let context = self.context;
            let state = *self
                .states
                .entry(name.clone())
                .or_insert_with(|| self.b.state(name.clone(), &row, context));
            *node = self.b.append(&name, *node, state)?;
        }
        let attention = Attention {
            place: Place::Decoder,
            stack: Stack::Decoder,
            layer,
            heads,
            seen: Seen::Written,
        };
        self.attention(&attention, x, both)
    }

    /// Keys and values `[.., heads, head_dim]` of an attention.
    fn keys_values(&mut self, at: &str, x: NodeId, heads: usize) -> Result<[NodeId; 2]> {
        let hidden = self.config.hidden;
        let mut project = |part: char| {
            let pair = self.names.projection(at, part);
            let name = self.names.node(at, &part.to_string());
            let x = self.linear(&name, x, &pair, [hidden, hidden])?;
            self.b.split(&format!("{name}_heads"), x, heads)
        };
        Ok([project('k')?, project('v')?])
    }

    /// Attention to these keys and values, its projection, the way around it and the norm.
    fn attention(
        &mut self,
        attention: &Attention,
        x: NodeId,
        [key, value]: [NodeId; 2],
    ) -> Result<NodeId> {
        let &Attention {
            place,
            stack,
            layer,
            heads,
            seen,
        } = attention;
        let hidden = self.config.hidden;
        let at = self.names.attention(place, layer);
        let name = |part: &str| self.names.node(&at, part);
        let projection = |part| self.names.projection(&at, part);
        let (names, query) = (self.names, projection('q'));
        let out = projection('o');
        let (q_name, q_heads) = (name("q"), name("q_heads"));
        let [scores, probs, context, joined, o] =
            ["scores", "probs", "context", "joined", "o"].map(name);

        let query = self.linear(&q_name, x, &query, [hidden, hidden])?;
        let query = self.b.split(&q_heads, query, heads)?;
        let scale = 1.0 / ((hidden / heads) as f32).sqrt();
        let b = &mut self.b;
        let scores = match seen {
            Seen::Padded(lengths) => {
                b.padded_attention_scores(&scores, query, key, lengths, None, scale)
            }
            Seen::Written => b.attention_scores(&scores, query, key, None, scale, Mask::Causal),
            Seen::Source => b.attention_scores(&scores, query, key, None, scale, Mask::Source),
        }?;
        let probs = b.softmax(&probs, scores)?;
        let context = b.attention_context(&context, probs, value)?;
        b.set_role(query, Role::Query { stack, layer });
        b.set_role(key, Role::Key { stack, layer });
        b.set_role(value, Role::Value { stack, layer });
        b.set_role(scores, Role::AttentionScores { stack, layer });
        b.set_role(probs, Role::AttentionProbs { stack, layer });
        let joined = b.join(&joined, context)?;
        let out = self.linear(&o, joined, &out, [hidden, hidden])?;
        self.residual_norm(&at, x, out, names.attention_norm(&at))
    }

    fn feed_forward(
        &mut self,
        place: Place,
        layer: usize,
        inner: usize,
        x: NodeId,
    ) -> Result<NodeId> {
        let hidden = self.config.hidden;
        let at = self.names.feed_forward(place, layer);
        let name = |part: &str| self.names.node(&at, part);
        let [first, active, second, fed] = ["fc1", "active", "fc2", "fed"].map(name);
        let [up, down] = [1, 2].map(|part| self.names.fed(&at, part));
        let up = self.linear(&first, x, &up, [inner, hidden])?;
        let up = self.b.unary(&active, up, self.config.activation)?;
        let down = self.linear(&second, up, &down, [hidden, inner])?;
        let norm = self.names.fed_norm(&at);
        let sum = self.b.binary(&fed, x, down, Binary::Add)?;
        let out = self.names.layer(place, layer);
        self.norm(&out, sum, norm)
    }

    /// `norm(x + y)`.
    fn residual_norm(
        &mut self,
        at: &str,
        x: NodeId,
        y: NodeId,
        norm: [String; 2],
    ) -> Result<NodeId> {
        let [sum, normed] = ["sum", "norm"].map(|part| self.names.node(at, part));
        let sum = self.b.binary(&sum, x, y, Binary::Add)?;
        self.norm(&normed, sum, norm)
    }

    fn norm(&mut self, name: &str, x: NodeId, [gain, bias]: [String; 2]) -> Result<NodeId> {
        let hidden = self.config.hidden;
        let both = [
            self.weight(&gain, &[hidden])?,
            self.weight(&bias, &[hidden])?,
        ];
        self.b.layer_norm(name, x, both, self.config.eps)
    }

    fn linear(&mut self, name: &str, x: NodeId, pair: &Pair, shape: [usize; 2]) -> Result<NodeId> {
        let weight = self.matrix(&pair.weight, shape)?;
        let bias = match &pair.bias {
            Some(bias) => Some(self.weight(bias, &shape[..1])?),
            None => None,
        };
        self.b.linear(name, x, weight, bias)
    }

    /// A matrix, with what its inputs are multiplied by before they are rounded.
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<WeightId> {
        if let Some(&known) = self.weights.get(name) {
            return Ok(known);
        }
        let matrix = self.weight(name, &shape)?;
        if let Some(multiplier) = self.names.multiplier(name) {
            let multiplier = self.weight(&multiplier, &[1])?;
            self.b.rounds(matrix, multiplier);
        }
        Ok(matrix)
    }

    fn weight(&mut self, name: &str, shape: &[usize]) -> Result<WeightId> {
        if let Some(&known) = self.weights.get(name) {
            return Ok(known);
        }
        let id = self.b.weight(name, shape)?;
        self.weights.insert(name.into(), id);
        Ok(id)
    }

    /// Keys or values of a cross-attention.
    fn source_state(&mut self, at: &str, part: &str) -> StateId {
        let heads = self.config.heads[1];
        let row = [heads, self.config.hidden / heads];
        let (name, context) = (self.names.node(at, part), self.context);
        *self.states.entry(name.clone()).or_insert_with(|| {
            self.b
                .state_of(StateKind::Source, name.clone(), &row, context)
        })
    }

    fn residual(&mut self, stack: Stack, layer: usize, node: NodeId) {
        self.b.set_role(node, Role::Residual { stack, layer });
    }
}
