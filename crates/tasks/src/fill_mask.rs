//! Naming the words behind masks.

use glassformer_graph::{
    Executor, Graph, Input, Model, NodeId, Role, Run, SessionId, Stack, Tap, TapPolicy,
};
use glassformer_text::{MASK, Piece, Tokenizer};

use crate::TaskError;

type Result<T, E = TaskError> = std::result::Result<T, E>;

const ENTRY: &str = "encode";

/// Bytes of text looked at for each position that fits: no token known is nearly as long, and encoding
/// takes far more memory than text.
const MOST_BYTES: usize = 64;

/// Where a text had to be cut because not all of it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortened {
    /// Which sentence, 0 or 1.
    pub sentence: usize,
    /// Bytes of it that are left.
    pub bytes: usize,
}

/// Text with masks, as tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Masked {
    /// The sentences with the model's own masks; spans of pieces count in them.
    pub sentences: Vec<String>,
    /// All tokens, special ones too.
    pub pieces: Vec<Piece>,
    /// Places of the masks among them, ascending.
    pub masks: Vec<usize>,
    /// What was left out at the end of sentences.
    pub shortened: Vec<Shortened>,
    /// Tokens that stand for something the vocabulary lacks.
    pub unknown: usize,
}

impl Masked {
    /// Finds the masks of a sentence, or of two, and cuts what does not fit into `context` positions.
    ///
    /// # Errors
    /// If the model has no mask, or the text none, or nothing but masks, or nothing that the vocabulary
    /// knows.
    pub fn new(
        tokenizer: &Tokenizer,
        context: usize,
        text: &str,
        pair: Option<&str>,
    ) -> Result<Self> {
        let mask = tokenizer.mask_id().ok_or(TaskError::CannotFill)?;
        let sentences = std::iter::once(text).chain(pair);
        let sentences: Vec<String> = sentences.map(|s| tokenizer.with_own_masks(s)).collect();
        let masked = Fitting {
            tokenizer,
            context,
            shortened: vec![None; sentences.len()],
            sentences,
        };
        let masked = masked.fit()?;
        let is_mask = |piece: &&Piece| piece.id == mask && piece.sentence.is_some();
        let places = masked.pieces.iter().enumerate();
        let masks: Vec<usize> = places
            .filter(|(_, piece)| is_mask(piece))
            .map(|(place, _)| place)
            .collect();
        let words = masked
            .pieces
            .iter()
            .filter(|piece| piece.sentence.is_some() && !is_mask(piece));
        let unknown = words
            .clone()
            .filter(|piece| Some(piece.id) == tokenizer.unknown_id())
            .count();
        match (masks.len(), words.count()) {
            (0, _) if !masked.shortened.is_empty() => {
                let kept = masked.pieces.len();
                Err(TaskError::MasksCut { kept })
            }
            (0, _) => Err(TaskError::NoMask(MASK)),
            (_, 0) => Err(TaskError::OnlyMasks),
            (_, words) if words == unknown => Err(TaskError::AllUnknown),
            _ => Ok(Self {
                masks,
                unknown,
                ..masked
            }),
        }
    }
}

/// Sentences being cut until they fit.
struct Fitting<'t> {
    tokenizer: &'t Tokenizer,
    context: usize,
    sentences: Vec<String>,
    shortened: Vec<Option<usize>>,
}

impl Fitting<'_> {
    fn fit(mut self) -> Result<Masked> {
        let most = self.context.saturating_mul(MOST_BYTES);
        for sentence in 0..self.sentences.len() {
            let text = &self.sentences[sentence];
            if text.len() > most {
                let at = (0..=most).rev().find(|&at| text.is_char_boundary(at));
                self.cut(sentence, at.unwrap_or(0));
            }
        }
        loop {
            let second = self.sentences.get(1).map(String::as_str);
            let pieces = self.tokenizer.pieces(&self.sentences[0], second)?;
            let over = pieces.len().saturating_sub(self.context);
            if over == 0 {
                let shortened = self.shortened.iter().enumerate();
                let shortened = shortened
                    .filter_map(|(sentence, bytes)| {
                        let bytes = (*bytes)?;
                        Some(Shortened { sentence, bytes })
                    })
                    .collect();
                return Ok(Masked {
                    sentences: self.sentences,
                    pieces,
                    masks: Vec::new(),
                    shortened,
                    unknown: 0,
                });
            }
            // The longer one loses its end; a cut word may become more pieces, hence the loop.
            let of = |sentence: usize| {
                let mine = pieces.iter().filter(move |p| p.sentence == Some(sentence));
                mine.map(|piece| piece.span.start).collect::<Vec<_>>()
            };
            let longer = (0..self.sentences.len()).max_by_key(|&s| of(s).len());
            let (longer, places) = longer.map_or((0, Vec::new()), |s| (s, of(s)));
            let Some(&at) = places.get(places.len().saturating_sub(over)) else {
                let (tokens, most) = (pieces.len(), self.context);
                return Err(TaskError::PromptTooLong { tokens, most });
            };
            // Tokens of one character may share a place.
            let at = at.min(self.sentences[longer].len().saturating_sub(1));
            self.cut(longer, at);
        }
    }

    fn cut(&mut self, sentence: usize, at: usize) {
        let text = &mut self.sentences[sentence];
        let at = (0..=at).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(at.unwrap_or(0));
        self.shortened[sentence] = Some(text.len());
    }
}

/// The likeliest tokens behind a mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// Place of the mask among the tokens.
    pub position: usize,
    /// Id and probability, likeliest first.
    pub likeliest: Vec<(u32, f32)>,
}

/// A mask that was filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filled {
    /// Which mask, counted from the first.
    pub mask: usize,
    /// With what.
    pub id: u32,
    /// How likely it was there and then.
    pub score: f32,
}

/// Masks being filled.
#[derive(Debug)]
pub struct Filling<'m> {
    session: SessionId,
    graph: &'m Graph,
    logits: NodeId,
    ids: Vec<u32>,
    types: Vec<u32>,
    masks: Vec<usize>,
    /// Which of them are still open.
    open: Vec<usize>,
    /// Of the open ones, if they were computed for the ids as they are.
    computed: Option<Vec<Vec<f32>>>,
}

impl<'m> Filling<'m> {
    /// Prepares a model and a session for one sequence.
    ///
    /// # Errors
    /// If the model names no words.
    pub fn new(model: &'m Model, session: SessionId, masked: &Masked) -> Result<Self> {
        let graph = model.entries.get(ENTRY).ok_or(TaskError::CannotFill)?;
        let logits = graph.role(Role::Logits).ok_or(TaskError::CannotFill)?;
        Ok(Self {
            session,
            graph,
            logits,
            ids: masked.pieces.iter().map(|piece| piece.id).collect(),
            types: masked.pieces.iter().map(|piece| piece.type_id).collect(),
            masks: masked.masks.clone(),
            open: (0..masked.masks.len()).collect(),
            computed: None,
        })
    }

    /// The attention weights of every layer, for taps.
    fn probs(&self) -> Vec<NodeId> {
        let stack = Stack::Encoder;
        (0..)
            .map_while(|layer| self.graph.role(Role::AttentionProbs { stack, layer }))
            .collect()
    }

    /// Runs the sequence; logits of the open masks.
    async fn run(&mut self, exec: &mut dyn Executor, taps: &[NodeId]) -> Result<()> {
        let rows: Vec<u32> = self.open.iter().map(|&m| self.masks[m] as u32).collect();
        let lengths = [self.ids.len() as u32];
        let inputs = [
            ("ids", &self.ids[..]),
            ("types", &self.types),
            ("lengths", &lengths),
            ("rows", &rows),
        ];
        let inputs = inputs.map(|(name, data)| Input { name, data });
        let policy = TapPolicy::Last;
        let taps: Vec<Tap> = taps.iter().map(|&node| Tap { node, policy }).collect();
        exec.run(Run {
            session: self.session,
            entry: ENTRY,
            inputs: &inputs,
            taps: &taps,
        })?;
        let read = exec.read(self.session, ENTRY, self.logits, &[0]).await?;
        let logits = read.into_iter().next_back().ok_or(TaskError::NotFinite)?;
        let rows = (0..rows.len()).filter_map(|i| logits.row(i).map(<[f32]>::to_vec));
        let rows: Vec<Vec<f32>> = rows.collect();
        if rows.iter().flatten().any(|x| !x.is_finite()) {
            return Err(TaskError::NotFinite);
        }
        self.computed = Some(rows);
        Ok(())
    }

    /// The `count` likeliest tokens behind each open mask.
    ///
    /// # Errors
    /// From the executor, or if the model computed no numbers.
    pub async fn predict(
        &mut self,
        exec: &mut dyn Executor,
        count: usize,
    ) -> Result<Vec<Predictions>> {
        self.run(exec, &[]).await?;
        Ok(self.ranked(count))
    }

    /// As [`Self::predict`], and what each of the masks read: attention weights
    /// `[layer][head][open mask][key]`, one after the other, with the first three lengths.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub async fn predict_and_look(
        &mut self,
        exec: &mut dyn Executor,
        count: usize,
    ) -> Result<(Vec<Predictions>, [usize; 3], Vec<f32>)> {
        let probs = self.probs();
        self.run(exec, &probs).await?;
        let (mut heads, mut weights) = (0, Vec::new());
        for &node in &probs {
            let read = exec.read(self.session, ENTRY, node, &[0]).await?;
            let layer = read.into_iter().next_back().ok_or(TaskError::NotFinite)?;
            let queries = layer.shape.get(1).copied().unwrap_or(0);
            heads = layer.shape.first().copied().unwrap_or(0);
            for head in 0..heads {
                for &mask in &self.open {
                    let row = layer.row(head * queries + self.masks[mask]);
                    weights.extend_from_slice(row.unwrap_or_default());
                }
            }
        }
        let sizes = [probs.len(), heads, self.open.len()];
        Ok((self.ranked(count), sizes, weights))
    }

    fn ranked(&self, count: usize) -> Vec<Predictions> {
        let computed = self.computed.iter().flatten();
        let open = self.open.iter().zip(computed);
        open.map(|(&mask, logits)| Predictions {
            position: self.masks[mask],
            likeliest: likeliest(logits, count),
        })
        .collect()
    }

    /// Fills the mask of which the model is surest, with its likeliest token that is not a special
    /// one; `None` when none is open. Every later mask is seen with what was filled before it.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub async fn fill_next(
        &mut self,
        exec: &mut dyn Executor,
        tokenizer: &Tokenizer,
    ) -> Result<Option<Filled>> {
        if self.open.is_empty() {
            return Ok(None);
        }
        if self.computed.is_none() {
            self.run(exec, &[]).await?;
        }
        // A handful of special tokens cannot hide the best word.
        const ENOUGH: usize = 64;
        let mut best: Option<(usize, Filled)> = None;
        for (place, logits) in self.computed.iter().flatten().enumerate() {
            let words = likeliest(logits, ENOUGH).into_iter();
            let word = { words }.find(|(id, _)| !tokenizer.is_special(*id));
            let Some((id, score)) = word else { continue };
            let mask = self.open[place];
            if best.is_none_or(|(_, best)| score > best.score) {
                best = Some((place, Filled { mask, id, score }));
            }
        }
        let (place, filled) = best.ok_or(TaskError::NotFinite)?;
        self.ids[self.masks[filled.mask]] = filled.id;
        self.open.remove(place);
        self.computed = None;
        Ok(Some(filled))
    }
}

/// The `count` likeliest ids and their probabilities; of equals the smaller id first.
fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let max = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from(l - max).exp()).sum();
    let mut all: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if count < all.len() {
        all.select_nth_unstable_by(count, order);
        all.truncate(count);
    }
    all.sort_unstable_by(order);
    let score = |logit: f32| (f64::from(logit - max).exp() / sum) as f32;
    all.iter().map(|&(id, logit)| (id, score(logit))).collect()
}

#[cfg(test)]
mod tests;
