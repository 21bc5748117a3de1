//! Attention, fused (nobody looks at the scores) and in its three steps (somebody does). All of
//! them go through the same row functions, so both ways give the same numbers.

use glassformer_graph::{MASKED, Mask};
use wide::f32x4;

use super::{Order, dot, load, marian};

/// Lengths of one attention.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape<'a> {
    /// Sequences.
    pub batch: usize,
    /// Positions of this run.
    pub q_len: usize,
    /// Keys to look at.
    pub kv_len: usize,
    /// Where keys are those of sources: which source each sequence has, and how many positions that
    /// has, `[batch]`. Else empty, and each has its own.
    pub sources: &'a [[u32; 2]],
    /// Rows between the keys of one sequence and the next: a state's capacity.
    pub kv_stride: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
}

impl AttentionShape<'_> {
    /// The query of one head at one position, of `[batch, q_len, heads, head_dim]`.
    fn query(self, b: usize, i: usize, head: usize) -> std::ops::Range<usize> {
        let at = ((b * self.q_len + i) * self.heads + head) * self.head_dim;
        at..at + self.head_dim
    }

    /// The key or value that a query head reads at one position, of
    /// `[batch, kv_stride, kv_heads, head_dim]`.
    fn key(self, b: usize, j: usize, head: usize) -> std::ops::Range<usize> {
        let kv_head = head / (self.heads / self.kv_heads);
        let b = self.sources.get(b).map_or(b, |of| of[0] as usize);
        let at = ((b * self.kv_stride + j) * self.kv_heads + kv_head) * self.head_dim;
        at..at + self.head_dim
    }

    /// The scores of one head and query, of `[batch, heads, q_len, kv_len]`.
    fn row(self, b: usize, head: usize, i: usize) -> std::ops::Range<usize> {
        let at = ((b * self.heads + head) * self.q_len + i) * self.kv_len;
        at..at + self.kv_len
    }

    /// Runs `f(batch, position, head)` for all.
    fn each(self, mut f: impl FnMut(usize, usize, usize)) {
        for b in 0..self.batch {
            for i in 0..self.q_len {
                for head in 0..self.heads {
                    f(b, i, head);
                }
            }
        }
    }

    /// Keys that query `i` of this run may read in sequence `b`.
    fn seen(self, scoring: Scoring<'_>, b: usize, i: usize) -> std::ops::Range<usize> {
        let position = self.kv_len - self.q_len.min(self.kv_len) + i;
        scoring.mask.range(position, self.len(scoring, b))
    }

    /// Keys that sequence `b` has.
    fn len(self, scoring: Scoring<'_>, b: usize) -> usize {
        let of_source = self.sources.get(b).map(|of| &of[1]);
        let len = of_source.or_else(|| scoring.lengths.get(b));
        len.map_or(self.kv_len, |&n| n as usize)
    }
}

/// How a pair is scored.
#[derive(Clone, Copy, Debug)]
pub struct Scoring<'a> {
    /// Multiplies the products.
    pub scale: f32,
    /// Who may see whom.
    pub mask: Mask,
    /// Positions of each sequence, `[batch]`, where the mask asks for them; else empty.
    pub lengths: &'a [u32],
    /// Added, `[heads, q_len, kv_len]` or `[batch, heads, q_len, kv_len]`.
    pub bias: Option<&'a [f32]>,
    /// Of sums and exponentials.
    pub order: Order,
}

/// Keys as they are multiplied.
struct Keys<'a> {
    /// `[sequences or sources, kv_stride, kv_heads, head_dim]`.
    rows: &'a [f32],
    /// In Marian's order; without, in our own.
    fours: Option<Fours>,
}

/// Keys four by four, of each sequence or source `[kv_heads, len / 4, head_dim]`.
struct Fours {
    fours: Vec<f32x4>,
    /// Where those of each sequence begin, and how many a head has.
    at: Vec<[usize; 2]>,
}

impl Fours {
    fn new(s: AttentionShape<'_>, rows: &[f32], scoring: Scoring<'_>) -> Self {
        let group = s.heads / s.kv_heads;
        let (mut fours, mut at) = (Vec::new(), Vec::<[usize; 2]>::new());
        for b in 0..s.batch {
            // Beams of a sentence stand side by side.
            let again = b > 0 && s.sources.get(b).is_some_and(|of| *of == s.sources[b - 1]);
            if again {
                at.push(at[b - 1]);
                continue;
            }
            let len = s.len(scoring, b);
            at.push([fours.len(), len / 4 * s.head_dim]);
            for head in 0..s.kv_heads {
                fours.extend(marian::turn(|j| &rows[s.key(b, j, head * group)], len));
            }
        }
        Self { fours, at }
    }
}

impl<'a> Keys<'a> {
    fn new(s: AttentionShape<'_>, rows: &'a [f32], scoring: Scoring<'_>) -> Self {
        // Marian's order is known for keys that all are seen; students have no others.
        let all = matches!(scoring.mask, Mask::Full | Mask::Lengths | Mask::Source);
        let marian = scoring.order == Order::Marian && all;
        let fours = marian.then(|| Fours::new(s, rows, scoring));
        Self { rows, fours }
    }

    /// Those of one query head, if they are turned.
    fn fours(&self, s: AttentionShape<'_>, b: usize, head: usize) -> Option<&[f32x4]> {
        let fours = self.fours.as_ref()?;
        let [at, len] = fours.at[b];
        let head = head / (s.heads / s.kv_heads);
        Some(&fours.fours[at + head * len..][..len])
    }
}

/// `query · key · scale (+ bias)` of the keys `seen` by one query of one head, into `out[seen]`.
fn score_row(
    s: AttentionShape<'_>,
    (b, i, head): (usize, usize, usize),
    (query, keys): (&[f32], &Keys<'_>),
    scoring: Scoring<'_>,
    seen: std::ops::Range<usize>,
    out: &mut [f32],
) {
    let query = &query[s.query(b, i, head)];
    let key = |j: usize| &keys.rows[s.key(b, j, head)];
    if let Some(fours) = keys.fours(s, b, head) {
        // Only an encoder has many queries at once, as many as keys; a decoder has one at a time, and
        // looks alike if it reads several words that are known.
        let len = seen.end;
        let by_four = s.q_len == s.kv_len && i < len / 4 * 4;
        let rest = (len / 4 * 4..len).map(key);
        marian::products(query, fours, rest, by_four, &mut out[..len]);
    } else {
        seen.clone().for_each(|j| out[j] = dot(query, key(j)));
    }
    for x in &mut out[seen.clone()] {
        *x *= scoring.scale;
    }
    if let Some(bias) = scoring.bias {
        // Each sequence's own, or one for all.
        let pairs = s.heads * s.q_len * s.kv_len;
        let own = if bias.len() > pairs { b * pairs } else { 0 };
        let bias = &bias[own + (head * s.q_len + i) * s.kv_len..][..s.kv_len];
        for j in seen {
            out[j] += bias[j];
        }
    }
}

/// `Σ probs · value` over the keys `seen`, into one head's `[head_dim]`.
fn context_row(
    s: AttentionShape<'_>,
    (b, head): (usize, usize),
    probs: &[f32],
    value: &[f32],
    seen: std::ops::Range<usize>,
    out: &mut [f32],
) {
    // Sixteen elements stay in registers while the keys pass by.
    const WIDTH: usize = 16;
    for (part, out) in out.chunks_mut(WIDTH).enumerate() {
        if let Ok(out) = <&mut [f32; WIDTH]>::try_from(&mut *out) {
            let mut sums = [f32x4::ZERO; WIDTH / 4];
            for j in seen.clone() {
                let p = f32x4::splat(probs[j]);
                let value = &value[s.key(b, j, head)][part * WIDTH..(part + 1) * WIDTH];
                for (sum, value) in sums.iter_mut().zip(value.as_chunks::<4>().0) {
                    *sum += p * load(value);
                }
            }
            for (out, sum) in out.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
                *out = sum.to_array();
            }
        } else {
            out.fill(0.0);
            for j in seen.clone() {
                let value = &value[s.key(b, j, head)][part * WIDTH..];
                for (out, value) in out.iter_mut().zip(value) {
                    *out += probs[j] * value;
                }
            }
        }
    }
}

/// All of attention, keeping only one row of scores. `query [batch, q_len, heads, head_dim]`,
/// `key` and `value [batch or sources, kv_stride, kv_heads, head_dim]`, bias `[heads, q_len, kv_len]` or with `batch` before →
/// `out [batch, q_len, heads, head_dim]`.
pub fn attention(
    s: AttentionShape<'_>,
    query: &[f32],
    key: &[f32],
    value: &[f32],
    scoring: Scoring<'_>,
    out: &mut [f32],
) {
    let mut scores = vec![0.0; s.kv_len];
    let keys = Keys::new(s, key, scoring);
    s.each(|b, i, head| {
        let seen = s.seen(scoring, b, i);
        score_row(
            s,
            (b, i, head),
            (query, &keys),
            scoring,
            seen.clone(),
            &mut scores,
        );
        scoring.order.softmax(&mut scores[seen.clone()], seen.len());
        let out = &mut out[s.query(b, i, head)];
        context_row(s, (b, head), &scores, value, seen, out);
    });
}

/// The scores of all pairs, [`MASKED`] where a query may not look, into
/// `out [batch, heads, q_len, kv_len]`.
pub fn attention_scores(
    s: AttentionShape<'_>,
    query: &[f32],
    key: &[f32],
    scoring: Scoring<'_>,
    out: &mut [f32],
) {
    out.fill(MASKED);
    let keys = Keys::new(s, key, scoring);
    s.each(|b, i, head| {
        let row = &mut out[s.row(b, head, i)];
        let seen = s.seen(scoring, b, i);
        score_row(s, (b, i, head), (query, &keys), scoring, seen, row);
    });
}

/// `probs [batch, heads, q_len, kv_len] · value` into `out [batch, q_len, heads, head_dim]`.
pub fn attention_context(s: AttentionShape<'_>, probs: &[f32], value: &[f32], out: &mut [f32]) {
    s.each(|b, i, head| {
        let out = &mut out[s.query(b, i, head)];
        context_row(
            s,
            (b, head),
            &probs[s.row(b, head, i)],
            value,
            0..s.kv_len,
            out,
        );
    });
}
