//! Pictures beside texts: both become vectors of one space, and what belongs together lies close there.
//!
//! Axes: `pictures` or `texts`, then `width`, the numbers of a vector. Vectors have length one here, so
//! that their product is the cosine of the angle between them.

use glassformer_graph::{Executor, Graph, Input, Model, NodeId, Op, Pool, Run};
use glassformer_text::Tokenizer;

use crate::TaskError;

mod why;
mod words;

pub use why::{Deletion, MOST_PASSES, Occluding, Occlusion, RANDOM_DRAWS, deletion, reaching};
pub use words::{MOST_WORDS, words};

type Result<T, E = TaskError> = std::result::Result<T, E>;

const IMAGE: &str = "image";
const TEXT: &str = "text";
const SCALE: &str = "scale";

/// Pictures or texts that are run together: enough to read each weight for several, few enough that Stop
/// is heard soon.
pub const TOGETHER: usize = 8;

/// Most tokens of a text; what is beyond is not read.
pub const MOST_TOKENS: usize = 77;

/// Bytes of text looked at for each token that fits.
const MOST_BYTES: usize = 64;

/// The tower of a model that sees pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Pixels of a picture's side.
    pub side: usize,
    /// Colours.
    pub channels: usize,
    /// Patches of a row and of a column.
    pub grid: usize,
    /// Learned tokens in front of the patches.
    pub first: usize,
    /// Whether the vector is the mean over the patches; else it is that of the first token.
    pub mean: bool,
    output: NodeId,
}

impl Sight {
    /// Where a model sees pictures.
    ///
    /// # Errors
    /// [`TaskError::CannotSee`] if it does not, or not in squares.
    pub fn find(model: &Model) -> Result<Self> {
        model
            .entries
            .get(IMAGE)
            .and_then(Self::of)
            .ok_or(TaskError::CannotSee)
    }

    fn of(graph: &Graph) -> Option<Self> {
        use glassformer_graph::Dim::Fixed;
        let pixels = graph.node(graph.find("pixels")?);
        let [_, Fixed(pixels), Fixed(channels)] = *pixels.shape.0.as_slice() else {
            return None;
        };
        let sequence = graph.nodes().iter().find_map(|node| match &node.op {
            Op::Sequence { first } => Some((node.inputs[0], first.len())),
            _ => None,
        });
        let (patches, first) = sequence?;
        let Some(Fixed(places)) = graph.node(patches).shape.0.get(1).copied() else {
            return None;
        };
        let pool = graph.nodes().iter().find_map(|node| match node.op {
            Op::Pool(pool) => Some(pool),
            _ => None,
        });
        let (side, grid) = (pixels.isqrt(), places.isqrt());
        let square = side * side == pixels && grid * grid == places && grid > 0 && side >= grid;
        square.then_some(Self {
            side,
            channels,
            grid,
            first,
            mean: matches!(pool, Some(Pool::MeanFrom(_))),
            output: *graph.outputs().first()?,
        })
    }

    /// Numbers of a picture.
    pub fn numbers(&self) -> usize {
        self.side * self.side * self.channels
    }

    /// What the tower makes of pictures `[pictures, side · side, channels]`: an embedding each, not yet of
    /// length one, or a classifier's logits.
    ///
    /// # Errors
    /// From the executor, or if the model computed no numbers.
    pub async fn outputs(&self, exec: &mut dyn Executor, pixels: &[f32]) -> Result<Vec<Vec<f32>>> {
        let count = pixels.len() / self.numbers().max(1);
        let inputs = [Input::values("pixels", pixels)];
        let read = &[self.output];
        let mut values = run(exec, IMAGE, [count, self.positions()], &inputs, read).await?;
        rows(values.pop(), count)
    }

    /// Embeddings of pictures, of length one. `[pictures][width]`.
    ///
    /// # Errors
    /// As [`Self::outputs`].
    pub async fn embed(&self, exec: &mut dyn Executor, pixels: &[f32]) -> Result<Vec<Vec<f32>>> {
        let rows = self.outputs(exec, pixels).await?;
        rows.into_iter().map(unit).collect()
    }

    /// Places of a picture: learned tokens and patches.
    pub fn positions(&self) -> usize {
        self.first + self.grid * self.grid
    }
}

/// The tower of a model that reads texts to compare them with pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    output: NodeId,
    scale: NodeId,
    context: usize,
}

/// A text as the model reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caption {
    /// Ids, special ones too.
    pub ids: Vec<u32>,
    types: Vec<u32>,
    /// Whether its end was left out.
    pub cut: bool,
}

impl Reading {
    /// Where a model compares texts with pictures. `context` is the most positions of a text.
    ///
    /// # Errors
    /// [`TaskError::CannotMatch`] if it does not.
    pub fn find(model: &Model, context: usize) -> Result<Self> {
        let output = |entry: &str| {
            let graph = model.entries.get(entry)?;
            graph.outputs().first().copied()
        };
        let found = output(IMAGE).and(output(TEXT)).zip(output(SCALE));
        let (output, scale) = found.ok_or(TaskError::CannotMatch)?;
        Ok(Self {
            output,
            scale,
            context: context.min(MOST_TOKENS),
        })
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// If it is empty or the vocabulary has nothing of it.
    pub fn caption(&self, tokenizer: &Tokenizer, text: &str) -> Result<Caption> {
        if text.trim().is_empty() {
            return Err(TaskError::EmptyText);
        }
        let most = (0..=text.len().min(self.context * MOST_BYTES))
            .rev()
            .find(|&at| text.is_char_boundary(at));
        let (read, rest) = text.split_at(most.unwrap_or(0));
        let mut pieces = tokenizer.pieces(read, None)?;
        let cut = !rest.is_empty() || pieces.len() > self.context;
        // The token that ends a text stays at its end: CLIP reads the meaning there.
        if pieces.len() > self.context {
            pieces.drain(self.context.saturating_sub(1)..pieces.len() - 1);
        }
        if pieces.is_empty() {
            return Err(TaskError::NoTokens);
        }
        let words = pieces.iter().filter(|piece| piece.sentence.is_some());
        let known = |id: u32| Some(id) != tokenizer.unknown_id();
        if !words.clone().any(|piece| known(piece.id)) {
            return Err(TaskError::NoTokens);
        }
        Ok(Caption {
            ids: pieces.iter().map(|piece| piece.id).collect(),
            types: pieces.iter().map(|piece| piece.type_id).collect(),
            cut,
        })
    }

    /// Embeddings of texts, of length one. `[texts][width]`.
    ///
    /// # Errors
    /// From the executor, or if the model computed no numbers.
    pub async fn embed(
        &self,
        model: &Model,
        exec: &mut dyn Executor,
        texts: &[Caption],
    ) -> Result<Vec<Vec<f32>>> {
        let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
        let padded = |of: fn(&Caption) -> &[u32]| -> Vec<u32> {
            let rows = texts.iter().flat_map(|text| {
                let row = of(text).iter().copied();
                row.chain(std::iter::repeat(0)).take(longest)
            });
            rows.collect()
        };
        let (ids, types) = (padded(|text| &text.ids), padded(|text| &text.types));
        let lengths: Vec<u32> = texts.iter().map(|text| text.ids.len() as u32).collect();
        let graph = model.entry(TEXT)?;
        let inputs: Vec<Input<'_>> = [("ids", &ids), ("types", &types), ("lengths", &lengths)]
            .into_iter()
            .filter(|(name, _)| graph.find(name).is_some())
            .map(|(name, data)| Input { name, data })
            .collect();
        let read = &[self.output];
        let mut values = run(exec, TEXT, [texts.len(), longest], &inputs, read).await?;
        let rows = rows(values.pop(), texts.len())?;
        rows.into_iter().map(unit).collect()
    }

    /// What cosines are multiplied by before the softmax.
    ///
    /// # Errors
    /// From the executor.
    pub async fn scale(&self, exec: &mut dyn Executor) -> Result<f32> {
        let values = run(exec, SCALE, [1, 1], &[], &[self.scale]).await?;
        let scale = values.first().and_then(|value| value.data.first());
        let scale = scale.map(|log| log.exp()).filter(|scale| scale.is_finite());
        scale.ok_or(TaskError::NotFinite)
    }
}

/// Runs an entry in a session of its own and reads some of its nodes.
async fn run(
    exec: &mut dyn Executor,
    entry: &str,
    [batch, positions]: [usize; 2],
    inputs: &[Input<'_>],
    read: &[NodeId],
) -> Result<Vec<glassformer_graph::Tensor>> {
    let session = exec.open(batch, positions)?;
    let ran = exec.run(Run {
        session,
        entry,
        inputs,
        taps: &[],
    });
    let mut values = Vec::new();
    let mut done = ran.map_err(TaskError::from);
    for &node in read {
        if done.is_err() {
            break;
        }
        match exec.read(session, entry, node, &[]).await {
            Ok(kept) => values.extend(kept.into_iter().next_back()),
            Err(error) => done = Err(error.into()),
        }
    }
    exec.close(session);
    done.map(|()| values)
}

fn rows(value: Option<glassformer_graph::Tensor>, count: usize) -> Result<Vec<Vec<f32>>> {
    let value = value.ok_or(TaskError::NotFinite)?;
    let rows: Vec<Vec<f32>> = (0..count)
        .filter_map(|i| value.row(i).map(<[f32]>::to_vec))
        .collect();
    if rows.len() < count || rows.iter().flatten().any(|x| !x.is_finite()) {
        return Err(TaskError::NotFinite);
    }
    Ok(rows)
}

/// A vector of length one in the same direction.
fn unit(mut vector: Vec<f32>) -> Result<Vec<f32>> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length <= 0.0 || !length.is_finite() {
        return Err(TaskError::NotFinite);
    }
    vector.iter_mut().for_each(|x| *x /= length);
    Ok(vector)
}

/// The cosine of the angle between two vectors of length one.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Shares that sum to one: `exp(scale · cosine)`, each divided by their sum.
pub fn softmax(cosines: &[f32], scale: f32) -> Vec<f32> {
    let most = cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let raised: Vec<f32> = cosines.iter().map(|c| (scale * (c - most)).exp()).collect();
    let sum: f32 = raised.iter().sum();
    raised.iter().map(|x| x / sum).collect()
}

/// A text in its template: `{}` stands for the text, which follows the template where it has none.
pub fn in_template(template: &str, text: &str) -> String {
    let (template, text) = (template.trim(), text.trim());
    match (template, text) {
        ("", text) => text.to_owned(),
        (_, "") => String::new(),
        (template, text) if template.contains("{}") => template.replace("{}", text),
        (template, text) => format!("{template} {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_one_and_the_scale_sharpens_them() {
        let soft = softmax(&[0.3, 0.2, -0.1], 1.0);
        let sharp = softmax(&[0.3, 0.2, -0.1], 100.0);
        for shares in [&soft, &sharp] {
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        assert!(soft[0] < 0.5 && sharp[0] > 0.99);
        assert!((softmax(&[7.0], 3.0)[0] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn templates_hold_their_text() {
        assert_eq!(in_template("a photo of a {}", " cat "), "a photo of a cat");
        assert_eq!(in_template("", "cat"), "cat");
        assert_eq!(in_template("a photo of", "cat"), "a photo of cat");
        assert_eq!(in_template("a photo of a {}", " "), "");
    }
}
