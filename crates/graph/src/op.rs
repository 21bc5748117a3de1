//! The operations a graph is made of. They stay primitive: fusing is the executor's business, so
//! that everything between input and answer has a name and can be looked at.
//!
//! Axes, outermost first: `batch`, `q_len` (positions of this run), `kv_len` (positions in the
//! state), `source_len` (positions of the longest source of the batch), `heads`, `kv_heads` (divides `heads`;
//! query head `h` reads key head `h / (heads / kv_heads)`), `head_dim`, `hidden`.

use crate::{StateId, TableId, WeightId};

/// The score of a pair that attention may not see: finite, since WGSL does not promise infinities.
pub const MASKED: f32 = f32::MIN;

/// One operation. Operands are listed in the order of [`crate::Node::inputs`].
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Token ids or row numbers given by the caller, u32.
    Input,
    /// Numbers given by the caller, f32: the words of the input are their bits.
    Values,
    /// A vector of the model as a value. No operands `→ [len]`; weight `[len]`.
    Vector {
        /// The vector.
        weight: WeightId,
    },
    /// The squares that a convolution sees, so that it becomes a matrix product: of a picture
    /// `[batch, height · width, channels]`, for each place the numbers under the kernel, in the order of
    /// PyTorch's kernels: `→ [batch, places, channels · kernel · kernel]`, 0 beyond the borders.
    Unfold(Unfold),
    /// Places of a picture as positions of a sequence, behind learned first ones.
    /// `[batch, places, hidden] → [batch, q_len, hidden]`, which says what `q_len` is; weights `[hidden]`.
    Sequence {
        /// Such as the class token.
        first: Vec<WeightId>,
    },
    /// One vector of a sequence's positions. `x [batch, q_len, hidden]`, optional lengths `[batch]` (u32),
    /// all positions without `→ [batch, hidden]`.
    Pool(Pool),
    /// Rows of a table by id. `ids [..] → [.., hidden]`; weight `[vocab, hidden]`.
    Embedding {
        /// The table.
        weight: WeightId,
    },
    /// Rows of a table by position, for models that learn positions: row `past_len + i + offset` for
    /// the `i`-th position of this run. No operands `→ [batch, q_len, hidden]`; weight
    /// `[positions, hidden]`.
    PositionEmbedding {
        /// The table.
        weight: WeightId,
        /// Rows before that of the first position (RoBERTa's two).
        offset: usize,
    },
    /// `x · scale` with `scale = weight / √(mean(x²) + eps)` over the last axis (Zhang & Sennrich
    /// 2019). `[.., hidden] → [.., hidden]`; weight `[hidden]`.
    RmsNorm {
        /// The gain of each element.
        weight: WeightId,
        /// Added under the root.
        eps: f32,
    },
    /// `(x − mean(x)) / √(var(x) + eps) · weight + bias` over the last axis, `var` the mean of the
    /// squared deviations (Ba, Kiros & Hinton 2016). `[.., hidden] → [.., hidden]`; weight and
    /// bias `[hidden]`.
    LayerNorm {
        /// The gain of each element.
        weight: WeightId,
        /// Added to each element.
        bias: WeightId,
        /// Added under the root.
        eps: f32,
    },
    /// `x · Wᵀ + b`. `[.., in] → [.., out]`; weight `[out, in]`, bias `[out]`.
    Linear {
        /// The matrix.
        weight: WeightId,
        /// Added to each output.
        bias: Option<WeightId>,
    },
    /// Chosen rows of a [`Op::Linear`]: `x [.., in]`, `words [candidates] → [.., candidates]`; weight
    /// `[out, in]`, bias `[out]`. What a decoder's shortlist leaves of the output matrix.
    LinearRows {
        /// The matrix.
        weight: WeightId,
        /// Added to each output.
        bias: Option<WeightId>,
    },
    /// `x · factor`.
    Scale {
        /// The same for all.
        factor: f32,
    },
    /// `x + table[position]`, `x [.., positions, hidden]`, table `[positions, hidden]`. A position is
    /// `past_len + i` on the axis `q_len`, `i` on the axis `source_len`.
    Positions {
        /// Uploaded, because WGSL's own sine is not trusted.
        table: TableId,
    },
    /// Zeros at the session's first position, `x` at all others: what Marian's decoders begin with.
    /// `[batch, q_len, hidden]` to the same.
    ZeroStart,
    /// `c[t] = gate[t]·c[t−1] + (1 − gate[t])·x[t]`, the cell of a simpler simple recurrent unit (Kim
    /// et al. 2019), beginning with the state's and leaving its last there. `gate, x
    /// [batch, q_len, hidden]` to the same.
    Recur {
        /// `[batch, hidden]`, zero at first.
        state: StateId,
    },
    /// Writes a value that belongs to the sources into a state, in place of what was there: a source for
    /// each sequence. `x [batch, source_len, kv_heads, head_dim]`, lengths `[batch]` (u32): how many
    /// positions each source has; the rest is padding `→ [batch, source_len, kv_heads, head_dim]`.
    Store {
        /// The state.
        state: StateId,
    },
    /// Of each sequence, what was last stored in a state for its source:
    /// `[batch, source_len, kv_heads, head_dim]`. Sequences that go on from one share its source.
    Recall {
        /// The state.
        state: StateId,
    },
    /// The same numbers in the same order under another shape.
    Reshape,
    /// Rotary positions (Su et al. 2021): pairs of a head's elements turn by the angle of their
    /// position, `past_len + i`. `[batch, q_len, heads, head_dim]` to the same. The table holds
    /// cosines then sines: `[positions, 2, head_dim / 2]`.
    Rope {
        /// Uploaded, because WGSL's own sine is not trusted.
        table: TableId,
        /// Which elements form a pair.
        layout: RopeLayout,
    },
    /// Appends this run's positions to a state and reads all of it.
    /// `[batch, q_len, kv_heads, head_dim] → [batch, kv_len, kv_heads, head_dim]`.
    Append {
        /// The state.
        state: StateId,
    },
    /// `query · keyᵀ · scale (+ bias)`, with unseen pairs set to [`MASKED`].
    /// `query [batch, q_len, heads, head_dim]`, `key [batch, kv_len, kv_heads, head_dim]`,
    /// lengths `[batch]` (u32) where the mask is [`Mask::Lengths`], optional bias
    /// `[heads, q_len, kv_len]`, or `[batch, heads, q_len, kv_len]` with one for each sequence
    /// `→ [batch, heads, q_len, kv_len]`. Keys of sources are `[batch, source_len, kv_heads, head_dim]`.
    AttentionScores {
        /// Usually `1 / √head_dim`.
        scale: f32,
        /// Who may see whom.
        mask: Mask,
    },
    /// `exp(x) / Σ exp(x)` over the last axis.
    Softmax,
    /// `probs · value`. `probs [batch, heads, q_len, kv_len]`,
    /// `value [batch, kv_len, kv_heads, head_dim] → [batch, q_len, heads, head_dim]`.
    AttentionContext,
    /// A function of each element.
    Unary(Unary),
    /// A function of each pair of elements; both operands have the same shape.
    Binary(Binary),
    /// Chosen positions of each sequence. `x [batch, q_len, hidden]`, `rows [rows]` (positions
    /// within this run) `→ [batch, rows, hidden]`.
    SelectRows,
}

/// How [`Op::Unfold`] goes over a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfold {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Side of the square.
    pub kernel: usize,
    /// Pixels from one square to the next.
    pub stride: usize,
    /// Pixels of zeros around the picture.
    pub padding: usize,
}

impl Unfold {
    /// Rows of squares and squares of a row; nothing if there are none.
    pub fn places(self) -> Option<[usize; 2]> {
        let along = |side: usize| {
            let room = (side + 2 * self.padding).checked_sub(self.kernel)?;
            Some(room.checked_div(self.stride)? + 1)
        };
        let some = self.kernel > 0 && self.height > 0 && self.width > 0;
        Some([along(self.height)?, along(self.width)?]).filter(|_| some)
    }
}

/// Which of a sequence's positions [`Op::Pool`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The first.
    First,
    /// The last of each sequence.
    Last,
    /// The mean of all from this one on.
    MeanFrom(usize),
}

/// Which elements of a head turn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeLayout {
    /// Elements `2i` and `2i + 1`: the paper's, and GGUF's for llama.
    Interleaved,
    /// Elements `i` and `i + head_dim / 2`: Hugging Face's.
    Half,
}

/// Which keys a query may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// All.
    Full,
    /// Those at its own position and before; the query's position is `past_len + i`.
    Causal,
    /// Causal, and at most this many of the latest, its own included.
    Window(usize),
    /// Those of its own sequence, which may be shorter than the longest of the batch: the third
    /// operand says how many positions each has, and what stands behind them is padding.
    Lengths,
    /// Those of its sequence's source, which may be shorter than the longest of the batch: as many as
    /// were stored.
    Source,
}

impl Mask {
    /// The keys `start..end` that the query at absolute position `position` may read, of the `kv_len`
    /// of its sequence.
    pub fn range(self, position: usize, kv_len: usize) -> std::ops::Range<usize> {
        let end = (position + 1).min(kv_len);
        match self {
            Self::Full | Self::Lengths | Self::Source => 0..kv_len,
            Self::Causal => 0..end,
            Self::Window(n) => end.saturating_sub(n)..end,
        }
    }
}

/// Functions of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `x / (1 + e⁻ˣ)`.
    Silu,
    /// `x · Φ(x)`, `Φ` the normal distribution's: `x/2 · (1 + erf(x / √2))` (Hendrycks & Gimpel
    /// 2016). Hugging Face's `gelu`. The error function is that of Abramowitz & Stegun 7.1.26,
    /// within 1.5e-7.
    Gelu,
    /// `x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³)))`: Hugging Face's `gelu_new` and
    /// `gelu_pytorch_tanh`.
    GeluTanh,
    /// `x / (1 + e^(−1.702·x))` (Hendrycks & Gimpel 2016): CLIP's.
    QuickGelu,
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
}

/// Functions of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// Sum.
    Add,
    /// Product.
    Mul,
}

impl Op {
    /// The operation's name, for lists of what runs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Values => "values",
            Self::Vector { .. } => "vector",
            Self::Unfold(_) => "unfold",
            Self::Sequence { .. } => "sequence",
            Self::Pool(_) => "pool",
            Self::Embedding { .. } => "embedding",
            Self::PositionEmbedding { .. } => "position_embedding",
            Self::RmsNorm { .. } => "rms_norm",
            Self::LayerNorm { .. } => "layer_norm",
            Self::Linear { .. } => "linear",
            Self::LinearRows { .. } => "linear_rows",
            Self::Scale { .. } => "scale",
            Self::Positions { .. } => "positions",
            Self::ZeroStart => "zero_start",
            Self::Recur { .. } => "recur",
            Self::Store { .. } => "store",
            Self::Recall { .. } => "recall",
            Self::Reshape => "reshape",
            Self::Rope { .. } => "rope",
            Self::Append { .. } => "append",
            Self::AttentionScores { .. } => "attention_scores",
            Self::Softmax => "softmax",
            Self::AttentionContext => "attention_context",
            Self::Unary(Unary::Silu) => "silu",
            Self::Unary(Unary::Gelu) => "gelu",
            Self::Unary(Unary::GeluTanh) => "gelu_tanh",
            Self::Unary(Unary::QuickGelu) => "quick_gelu",
            Self::Unary(Unary::Relu) => "relu",
            Self::Unary(Unary::Sigmoid) => "sigmoid",
            Self::Binary(Binary::Add) => "add",
            Self::Binary(Binary::Mul) => "mul",
            Self::SelectRows => "select_rows",
        }
    }
}
