//! The graph of a llama model.
//!
//! Entry `decode`: `ids [batch, q_len]` continue the session, `rows [rows]` say of which of them
//! logits are wanted → `lm_head [batch, rows, vocab]`.

use glassformer_graph::{
    Binary, Builder, GraphError, Mask, Model, NodeId, Role, RopeLayout, Stack, Symbol, TableId,
    Unary, WeightId,
};

use super::LlamaConfig;
use crate::Dialect;

type Result<T> = std::result::Result<T, GraphError>;

const STACK: Stack = Stack::Decoder;

pub(super) fn build(config: &LlamaConfig, dialect: Dialect, context: usize) -> Result<Model> {
    let mut llama = Llama {
        b: Builder::new(),
        config,
        dialect,
        context,
    };
    llama.decode()?;
    Ok(llama.b.finish())
}

struct Llama<'c> {
    b: Builder,
    config: &'c LlamaConfig,
    dialect: Dialect,
    context: usize,
}

impl Llama<'_> {
    fn decode(&mut self) -> Result<()> {
        let (hidden, vocab) = (self.config.hidden_size, self.config.vocab_size);
        let embed = self.weight("model.embed_tokens", "token_embd", &[vocab, hidden])?;
        let rope = self.rotary_table()?;

        let ids = self.b.input("ids", &[Symbol::Batch, Symbol::QueryLen])?;
        let rows = self.b.input("rows", &[Symbol::Rows])?;
        let mut x = self.b.embedding("model.embed_tokens", ids, embed)?;
        self.residual(x, 0);
        for layer in 0..self.config.num_hidden_layers {
            x = self.layer(layer, x, rope)?;
            self.residual(x, layer + 1);
        }
        let x = self.b.select_rows("model.rows", x, rows)?;
        let x = self.norm("model.norm", "output_norm", x)?;
        self.b.set_role(x, Role::FinalHidden);
        let head = if self.config.tie_word_embeddings {
            embed
        } else {
            self.weight("lm_head", "output", &[vocab, hidden])?
        };
        let logits = self.b.linear("lm_head", x, head, None)?;
        self.b.set_role(logits, Role::Logits);
        self.b.entry("decode", &[logits])
    }

    fn layer(&mut self, layer: usize, x: NodeId, rope: TableId) -> Result<NodeId> {
        let (hf, gguf) = (format!("model.layers.{layer}"), format!("blk.{layer}"));
        let normed = self.norm(
            &format!("{hf}.input_layernorm"),
            &format!("{gguf}.attn_norm"),
            x,
        )?;
        let attended = self.attention(layer, normed, rope)?;
        let x = self
            .b
            .binary(&format!("{hf}.attended"), x, attended, Binary::Add)?;
        let normed = self.norm(
            &format!("{hf}.post_attention_layernorm"),
            &format!("{gguf}.ffn_norm"),
            x,
        )?;
        let fed = self.feed_forward(layer, normed)?;
        self.b.binary(&hf, x, fed, Binary::Add)
    }

    fn attention(&mut self, layer: usize, x: NodeId, rope: TableId) -> Result<NodeId> {
        let LlamaConfig {
            hidden_size: hidden,
            num_attention_heads: heads,
            num_key_value_heads: kv_heads,
            head_dim,
            ..
        } = *self.config;
        let at = format!("model.layers.{layer}.self_attn");
        let gguf = format!("blk.{layer}");
        let bias = self.config.attention_bias;
        let name = |part: &str| format!("{at}.{part}");
        let state_row = [kv_heads, head_dim];

        let (q_width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        let project = |llama: &mut Self, to: &str, short: &str, width, heads| {
            let gguf = format!("{gguf}.{short}");
            let x = llama.linear(&name(to), &gguf, x, [width, hidden], bias)?;
            llama.b.split(&name(&format!("{to}.heads")), x, heads)
        };
        let query = project(self, "q_proj", "attn_q", q_width, heads)?;
        let key = project(self, "k_proj", "attn_k", kv_width, kv_heads)?;
        let value = project(self, "v_proj", "attn_v", kv_width, kv_heads)?;

        let layout = match self.dialect {
            Dialect::Gguf => RopeLayout::Interleaved,
            Dialect::HuggingFace => RopeLayout::Half,
        };
        let query = self.b.rope(&name("q_rope"), query, rope, layout)?;
        let key = self.b.rope(&name("k_rope"), key, rope, layout)?;
        let key_state = self.b.state(name("keys"), &state_row, self.context);
        let value_state = self.b.state(name("values"), &state_row, self.context);
        let key = self.b.append(&name("keys"), key, key_state)?;
        let value = self.b.append(&name("values"), value, value_state)?;

        let scale = 1.0 / (head_dim as f32).sqrt();
        let scores =
            self.b
                .attention_scores(&name("scores"), query, key, None, scale, Mask::Causal)?;
        let probs = self.b.softmax(&name("probs"), scores)?;
        let context = self.b.attention_context(&name("context"), probs, value)?;
        let (stack, b) = (STACK, &mut self.b);
        b.set_role(query, Role::Query { stack, layer });
        b.set_role(key, Role::Key { stack, layer });
        b.set_role(value, Role::Value { stack, layer });
        b.set_role(scores, Role::AttentionScores { stack, layer });
        b.set_role(probs, Role::AttentionProbs { stack, layer });

        let joined = self.b.join(&name("joined"), context)?;
        let gguf = format!("{gguf}.attn_output");
        self.linear(&name("o_proj"), &gguf, joined, [hidden, q_width], bias)
    }

    fn feed_forward(&mut self, layer: usize, x: NodeId) -> Result<NodeId> {
        let (hidden, inner) = (self.config.hidden_size, self.config.intermediate_size);
        let bias = self.config.mlp_bias;
        let name = |part: &str| format!("model.layers.{layer}.mlp.{part}");
        let gguf = |part: &str| format!("blk.{layer}.ffn_{part}");
        let gate = self.linear(&name("gate_proj"), &gguf("gate"), x, [inner, hidden], bias)?;
        let up = self.linear(&name("up_proj"), &gguf("up"), x, [inner, hidden], bias)?;
        let gate = self.b.unary(&name("act_fn"), gate, Unary::Silu)?;
        let x = self.b.binary(&name("gated"), gate, up, Binary::Mul)?;
        self.linear(&name("down_proj"), &gguf("down"), x, [hidden, inner], bias)
    }

    /// `x · Wᵀ (+ b)`, with `W [out, in]` named in both dialects.
    fn linear(
        &mut self,
        hf: &str,
        gguf: &str,
        x: NodeId,
        shape: [usize; 2],
        bias: bool,
    ) -> Result<NodeId> {
        let weight = self.weight(hf, gguf, &shape)?;
        let bias = if bias {
            let name = self.name(hf, gguf);
            Some(self.b.weight(format!("{name}.bias"), &shape[..1])?)
        } else {
            None
        };
        self.b.linear(hf, x, weight, bias)
    }

    fn norm(&mut self, hf: &str, gguf: &str, x: NodeId) -> Result<NodeId> {
        let weight = self.weight(hf, gguf, &[self.config.hidden_size])?;
        self.b.rms_norm(hf, x, weight, self.config.rms_norm_eps)
    }

    fn weight(&mut self, hf: &str, gguf: &str, shape: &[usize]) -> Result<WeightId> {
        let name = self.name(hf, gguf);
        self.b.weight(format!("{name}.weight"), shape)
    }

    fn name<'n>(&self, hf: &'n str, gguf: &'n str) -> &'n str {
        match self.dialect {
            Dialect::Gguf => gguf,
            Dialect::HuggingFace => hf,
        }
    }

    fn residual(&mut self, node: NodeId, layer: usize) {
        let stack = STACK;
        self.b.set_role(node, Role::Residual { stack, layer });
    }

    /// Cosines and sines of every position, `[context, 2, head_dim / 2]`: angle
    /// `position · theta^(−2i / head_dim)`, the frequency and the angle rounded to f32 as the
    /// reference does, so that far positions get the same angles.
    fn rotary_table(&mut self) -> Result<TableId> {
        let half = self.config.head_dim / 2;
        let frequency = |i: usize| {
            let exponent = (2 * i) as f64 / self.config.head_dim as f64;
            self.config.rope_theta.powf(-exponent) as f32
        };
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        let mut table = Vec::with_capacity(self.context * 2 * half);
        for position in 0..self.context {
            let angles = frequencies.iter().map(|f| f64::from(position as f32 * f));
            table.extend(angles.clone().map(|angle| angle.cos() as f32));
            table.extend(angles.map(|angle| angle.sin() as f32));
        }
        self.b.table("rotary", &[self.context, 2, half], table)
    }
}
