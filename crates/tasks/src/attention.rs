//! Attention, looked at: runs a text or a picture once, keeps what every head looked at, and explains
//! any cell from the numbers the model computed.

mod explain;
mod focus;
mod heads;
mod layout;
mod rollout;
mod text;

use std::rc::Rc;

use glassformer_graph::{
    Executor, Input, Model, NodeId, Run, SessionId, Stack, Tap, TapPolicy, Tensor,
};

pub use self::explain::CellNumbers;
pub use self::focus::Focus;
pub use self::heads::{EVEN, HABIT, Habit, HeadStats, HeadSums, PatchGrid, THUMBNAIL, Tokens};
pub use self::layout::{LayerNodes, Layout};
pub use self::text::{AttentionPicture, AttentionSource, AttentionText};
use crate::{PREFILL_CHUNK, TaskError};

type Result<T, E = TaskError> = std::result::Result<T, E>;

/// Most tokens that are looked at: a longer text is cut, and said to be.
pub const MOST_TOKENS: usize = 512;

/// Bytes of maps that are kept. SmolLM2's 270 heads take 141 MB at 512 tokens, as a causal row has
/// no weights behind its own position. Layers beyond that are run again when they are looked at.
pub const KEPT_BYTES: usize = 160 << 20;

/// A text that was run, and what its heads looked at.
#[derive(Debug)]
pub struct AttentionRun {
    model: Rc<Model>,
    layout: Layout,
    session: SessionId,
    ids: Vec<u32>,
    types: Vec<u32>,
    special: Vec<bool>,
    source: AttentionSource,
    picture: Option<AttentionPicture>,
    /// Tokens run so far.
    done: usize,
    heads: Vec<HeadSums>,
    kept: Vec<LayerMaps>,
    /// How many layers' maps fit.
    most_kept: usize,
}

/// The maps of one layer, as far as they have been run.
#[derive(Clone, Debug)]
struct LayerMaps {
    layer: usize,
    /// One a head: the rows behind each other, those of a causal model without what they may not
    /// see.
    heads: Vec<Vec<f32>>,
}

impl AttentionRun {
    /// A run of a text, in a session of its own, to look at one of the model's attentions; at that over
    /// its own text where none is named.
    ///
    /// # Errors
    /// If the model has no such attention, or there are no tokens.
    pub fn start(
        model: &Rc<Model>,
        exec: &mut dyn Executor,
        stack: Option<Stack>,
        text: AttentionText,
    ) -> Result<Self> {
        let layout = match (&text.picture, stack) {
            (Some(_), _) => Layout::of_picture(model)?,
            (None, Some(stack)) => Layout::of_stack(model, stack)?,
            (None, None) => Layout::find(model)?,
        };
        let AttentionText {
            ids,
            types,
            special,
            source,
            picture,
        } = text;
        let source = source.unwrap_or_default();
        let (n, read) = (ids.len(), source.ids.len());
        // A picture cannot be cut: it has the places that its model gives it.
        let short = picture.is_some() || n + read <= MOST_TOKENS;
        let fits = n > 0 && short && source.special.len() == read;
        if !fits || types.len() != n || special.len() != n || (layout.has_source && read == 0) {
            return Err(TaskError::NoTokens);
        }
        let (cells, sums) = match (layout.stack, layout.causal) {
            (Stack::Cross, _) => (n * read, HeadSums::across(n, read)),
            (_, true) => (n * (n + 1) / 2, HeadSums::new(n)),
            (_, false) => (n * n, HeadSums::new(n)),
        };
        let layer_bytes = (layout.heads * cells * size_of::<f32>()).max(1);
        Ok(Self {
            session: exec.open(1, n)?,
            heads: vec![sums; layout.layers.len() * layout.heads],
            kept: Vec::new(),
            most_kept: (KEPT_BYTES / layer_bytes).clamp(1, layout.layers.len()),
            model: Rc::clone(model),
            layout,
            ids,
            types,
            special,
            source,
            picture,
            done: 0,
        })
    }

    /// Where the model's attention is.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The tokens that are run.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Tokens run so far, and all.
    pub fn progress(&self) -> (usize, usize) {
        (self.done, self.ids.len())
    }

    /// Ends it.
    pub fn close(&self, exec: &mut dyn Executor) {
        exec.close(self.session);
    }

    /// Runs some of the tokens and gathers what every head looked at.
    ///
    /// # Errors
    /// From the executor.
    pub async fn step(&mut self, exec: &mut dyn Executor) -> Result<()> {
        let all: Vec<usize> = (0..self.layout.layers.len()).collect();
        let first = self.done;
        if first == 0 {
            self.encode(exec, self.session)?;
        }
        // A picture is run as a whole, and leaves nothing behind: where its maps are too many to lie side
        // by side, it is run again for some of them.
        let together = match &self.picture {
            Some(_) => self.most_kept,
            None => all.len(),
        };
        let mut count = 0;
        for layers in all.chunks(together.max(1)) {
            count = self.run_some(exec, first, layers)?;
            for &layer in layers {
                self.gather(exec, layer, first..first + count).await?;
            }
        }
        self.done = first + count;
        Ok(())
    }

    /// Takes what the heads of a layer looked at in the last run, which was that of these tokens.
    async fn gather(
        &mut self,
        exec: &dyn Executor,
        layer: usize,
        tokens: std::ops::Range<usize>,
    ) -> Result<()> {
        let rows = self.layer_rows(exec, layer).await?;
        let (ids, special) = match self.layout.stack {
            Stack::Cross => (&self.source.ids, &self.source.special),
            Stack::Encoder | Stack::Decoder => (&self.ids, &self.special),
        };
        let about = Tokens {
            ids,
            special,
            places: self.picture.as_ref().map(|picture| picture.places),
        };
        let keep = layer < self.most_kept;
        if keep && tokens.start == 0 {
            self.kept.push(LayerMaps::new(layer, self.layout.heads));
        }
        for head in 0..self.layout.heads {
            for (r, i) in tokens.clone().enumerate() {
                let row = seen(&rows, &self.layout, head, r, i);
                self.heads[layer * self.layout.heads + head].row(i, row, about);
                if keep {
                    self.kept[layer].heads[head].extend_from_slice(row);
                }
            }
        }
        Ok(())
    }

    /// Gives a session its source, where the attention is a decoder's.
    fn encode(&self, exec: &mut dyn Executor, session: SessionId) -> Result<()> {
        if !self.layout.has_source {
            return Ok(());
        }
        let (ids, lengths) = (&self.source.ids[..], &[self.source.ids.len() as u32][..]);
        let inputs = [("ids", ids), ("lengths", lengths)];
        Ok(exec.run(Run {
            session,
            entry: "encode",
            inputs: &inputs.map(|(name, data)| Input { name, data }),
            taps: &[],
        })?)
    }

    /// Runs tokens from `first` on with taps on the probabilities of some layers; says how many.
    fn run_some(&self, exec: &mut dyn Executor, first: usize, layers: &[usize]) -> Result<usize> {
        // Whoever sees both ways sees everything at once.
        let most = if self.layout.appends {
            PREFILL_CHUNK
        } else {
            self.ids.len()
        };
        let count = most.min(self.ids.len() - first);
        let tap = |&layer: &usize| self.layout.layers[layer].probs;
        let taps: Vec<NodeId> = layers.iter().map(tap).collect();
        self.run(exec, self.session, first..first + count, &taps)?;
        Ok(count)
    }

    fn run(
        &self,
        exec: &mut dyn Executor,
        session: SessionId,
        tokens: std::ops::Range<usize>,
        nodes: &[NodeId],
    ) -> Result<()> {
        let lengths = [tokens.len() as u32];
        let given: [(&str, &[u32]); 4] = [
            ("ids", &self.ids[tokens.clone()]),
            ("types", &self.types[tokens]),
            ("lengths", &lengths),
            // Nobody reads logits.
            ("rows", &[]),
        ];
        let graph = self.model.entry(&self.layout.entry)?;
        let has = |(name, _): &(&str, &[u32])| graph.find(name).is_some();
        let pixels = self.picture.as_ref();
        let inputs: Vec<Input<'_>> = given
            .into_iter()
            .filter(has)
            .map(|(name, data)| Input { name, data })
            .chain(pixels.map(|picture| Input::values("pixels", &picture.pixels)))
            .collect();
        let taps: Vec<Tap> = nodes
            .iter()
            .map(|&node| Tap {
                node,
                policy: TapPolicy::Last,
            })
            .collect();
        exec.run(Run {
            session,
            entry: &self.layout.entry,
            inputs: &inputs,
            taps: &taps,
        })?;
        Ok(())
    }

    /// The rows of a layer that the last run computed, `[heads, rows, keys]`.
    async fn layer_rows(&self, exec: &dyn Executor, layer: usize) -> Result<Tensor> {
        let node = self.layout.layers[layer].probs;
        read(exec, self.session, &self.layout.entry, node, &[0]).await
    }

    /// The averages of all heads, `[layers, heads]`.
    pub fn stats(&self) -> Vec<HeadStats> {
        self.heads.iter().map(HeadSums::stats).collect()
    }

    /// Side of a thumbnail, and all of them, `[layers, heads, side, side]`.
    pub fn thumbnails(&self) -> (usize, Vec<f32>) {
        let all = self.heads.iter().flat_map(|head| head.thumbnail());
        (self.ids.len().min(THUMBNAIL), all.copied().collect())
    }

    /// Whether a layer's maps are here; otherwise looking at it runs the text again.
    pub fn has(&self, layer: usize) -> bool {
        self.kept.iter().any(|maps| maps.layer == layer)
    }

    /// What one head looked at, `[n, n]`: rows are queries, and 0 stands where a query may not look. Of
    /// attention to a source, the tokens are those that are written and behind them those of the source.
    ///
    /// # Errors
    /// If there is no such head, or from the executor when the layer has to be run again.
    pub async fn map(
        &mut self,
        exec: &mut dyn Executor,
        layer: usize,
        head: usize,
    ) -> Result<Vec<f32>> {
        self.layout.check(layer, head)?;
        self.fetch(exec, layer).await?;
        let maps = self.kept.iter().find(|maps| maps.layer == layer);
        let maps = maps.ok_or(TaskError::NoAttention)?;
        Ok(match self.layout.stack {
            Stack::Cross => joint(&maps.heads[head], self.ids.len(), self.source.ids.len()),
            _ => square(&maps.heads[head], self.ids.len(), self.layout.causal),
        })
    }

    /// The rollout of the layers up to and with `layer`, `[n, n]`.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub async fn rollout(&mut self, exec: &mut dyn Executor, layer: usize) -> Result<Vec<f32>> {
        self.layout.check(layer, 0)?;
        if self.layout.stack == Stack::Cross {
            return Err(TaskError::NoRollout);
        }
        let (n, causal) = (self.ids.len(), self.layout.causal);
        let mut rolled = rollout::identity(n);
        for each in 0..=layer {
            self.fetch(exec, each).await?;
            let maps = self.kept.iter().find(|maps| maps.layer == each);
            let maps = maps.ok_or(TaskError::NoAttention)?;
            let maps: Vec<Vec<f32>> = maps
                .heads
                .iter()
                .map(|rows| square(rows, n, causal))
                .collect();
            rollout::roll(&mut rolled, &maps, n);
        }
        Ok(rolled)
    }

    /// Runs the text again for a layer that did not fit, in place of the one fetched last.
    async fn fetch(&mut self, exec: &mut dyn Executor, layer: usize) -> Result<()> {
        if self.has(layer) {
            return Ok(());
        }
        exec.truncate(self.session, 0)?;
        let mut maps = LayerMaps::new(layer, self.layout.heads);
        let mut first = 0;
        while first < self.ids.len() {
            let count = self.run_some(exec, first, &[layer])?;
            let rows = self.layer_rows(exec, layer).await?;
            for (head, out) in maps.heads.iter_mut().enumerate() {
                for r in 0..count {
                    out.extend_from_slice(seen(&rows, &self.layout, head, r, first + r));
                }
            }
            first += count;
        }
        if self.kept.len() >= self.most_kept {
            self.kept.pop();
        }
        self.kept.push(maps);
        Ok(())
    }
}

impl LayerMaps {
    fn new(layer: usize, heads: usize) -> Self {
        let heads = vec![Vec::new(); heads];
        Self { layer, heads }
    }
}

async fn read(
    exec: &dyn Executor,
    session: SessionId,
    entry: &str,
    node: NodeId,
    select: &[usize],
) -> Result<Tensor> {
    let mut kept = exec.read(session, entry, node, select).await?;
    kept.pop().ok_or(TaskError::NoAttention)
}

/// The weights of row `r` that stand for query `i`, of `[heads, rows, keys]`: those it may see.
fn seen<'t>(rows: &'t Tensor, layout: &Layout, head: usize, r: usize, i: usize) -> &'t [f32] {
    let keys = rows.shape.last().copied().unwrap_or(0);
    let count = rows.shape.get(1).copied().unwrap_or(0);
    let at = (head * count + r) * keys;
    let end = if layout.causal { i + 1 } else { keys };
    rows.data.get(at..at + end.min(keys)).unwrap_or_default()
}

/// Rows `[queries, keys]` as `[n, n]` over the queries' tokens and the keys' behind them.
fn joint(rows: &[f32], queries: usize, keys: usize) -> Vec<f32> {
    let n = queries + keys;
    let mut out = vec![0.0; n * n];
    for (i, row) in rows.chunks_exact(keys.max(1)).enumerate() {
        out[i * n + queries..(i + 1) * n].copy_from_slice(row);
    }
    out
}

/// Rows behind each other as `[n, n]`.
fn square(rows: &[f32], n: usize, causal: bool) -> Vec<f32> {
    if !causal {
        return rows.to_vec();
    }
    let mut out = vec![0.0; n * n];
    let mut at = 0;
    for i in 0..n {
        out[i * n..=i * n + i].copy_from_slice(&rows[at..=at + i]);
        at += i + 1;
    }
    out
}
