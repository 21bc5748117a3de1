//! Translating: a text is cut into sentences, and each is searched for its likeliest translation.

use futures::future::join;
use glassformer_graph::{
    ExecError, Executor, Input, Model, NodeId, Role, Run, SessionId, Stack, Tap, TapPolicy, Tensor,
};
use serde::{Deserialize, Serialize};

use crate::TaskError;

mod beam;
mod search;
mod sentence;
mod sentences;

pub use beam::{BeamNode, Fate};
pub use search::{Search, SearchStep, Wanted, forced_scores};
pub use sentence::{Hypothesis, Sentence, Word};
pub use sentences::{Piece, pieces};

type Result<T, E = TaskError> = std::result::Result<T, E>;

/// Tokens of a sentence beyond which it is cut between words: what Bergamot does.
pub const LONGEST_SENTENCE: usize = 128;

/// How to search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TranslateSettings {
    /// Hypotheses that are followed at once, 1 to 8; 1 is greedy.
    pub beams: u32,
    /// Translations wanted of each sentence; at most `beams`.
    pub best: u32,
    /// Hypotheses are compared by `score / length^length_penalty`.
    pub length_penalty: f32,
    /// A translation has at most so many tokens for each of its sentence, its end included.
    pub max_length_factor: f32,
    /// A translation has at most so many tokens, whatever its sentence; 0 leaves it to the factor.
    pub max_tokens: u32,
    /// Whether the words of a translation come from the shortlist, if there is one.
    pub shortlist: bool,
    /// Layer and head of the cross-attention that words are aligned by; the first head of the last
    /// layer is the one that students were taught to align with.
    pub alignment: Option<(u32, u32)>,
}

impl Default for TranslateSettings {
    fn default() -> Self {
        Self {
            beams: 1,
            best: 1,
            length_penalty: 1.0,
            max_length_factor: 2.0,
            max_tokens: 0,
            shortlist: true,
            alignment: None,
        }
    }
}

impl TranslateSettings {
    /// Checks every setting.
    ///
    /// # Errors
    /// Names the first that is out of range.
    pub fn check(&self) -> Result<()> {
        let setting = |name, range, value: String, good: bool| {
            if good {
                return Ok(());
            }
            Err(TaskError::Setting { name, range, value })
        };
        let Self { beams, best, .. } = *self;
        setting(
            "The number of beams",
            "1 to 8",
            beams.to_string(),
            (1..=8).contains(&beams),
        )?;
        setting(
            "The number of translations",
            "1 to the number of beams",
            best.to_string(),
            (1..=beams).contains(&best),
        )?;
        setting(
            "The length penalty",
            "0 to 4",
            self.length_penalty.to_string(),
            (0.0..=4.0).contains(&self.length_penalty),
        )?;
        setting(
            "The length factor",
            "0.5 to 10",
            self.max_length_factor.to_string(),
            (0.5..=10.0).contains(&self.max_length_factor),
        )
    }
}

/// What to know of a model beside its graphs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslationRules {
    /// The token a decoder begins with.
    pub start: u32,
    /// The token that ends a text, in both languages.
    pub end: u32,
    /// Tokens that are never written.
    pub never: Vec<u32>,
}

/// A model's entries and the nodes that a search reads.
#[derive(Clone, Debug)]
pub struct Decoding {
    rules: TranslationRules,
    entry: &'static str,
    logits: NodeId,
    probs: NodeId,
    head: usize,
    /// Most tokens of source or translation.
    max_len: usize,
    /// The words that logits are of; empty if of all.
    words: Vec<u32>,
}

/// What a run of the decoder gave.
struct Ran {
    /// `[beams, rows, words]`
    logits: Tensor,
    /// `[beams, heads, q_len, source_len]`
    attention: Tensor,
    head: usize,
}

impl Ran {
    /// Logits `[words]` of a beam at one of the rows that were asked for.
    fn logits(&self, beam: usize, row: usize) -> &[f32] {
        let rows = self.logits.shape.get(1).copied().unwrap_or(0);
        self.logits.row(beam * rows + row).unwrap_or_default()
    }

    /// How much a position of a beam attended to the source, `[source_len]`.
    fn attention(&self, beam: usize, position: usize) -> &[f32] {
        let [heads, positions] =
            [1, 2].map(|axis| self.attention.shape.get(axis).copied().unwrap_or(0));
        let row = (beam * heads + self.head) * positions + position;
        self.attention.row(row).unwrap_or_default()
    }
}

const ENCODE: &str = "encode";

/// Layers and heads of the attention to the source, if the model has a decoder of one.
pub fn cross_attention(model: &Model) -> Option<(usize, usize)> {
    let graph = model.entries.get("decode")?;
    let of = |layer| {
        let stack = Stack::Cross;
        graph.role(Role::AttentionProbs { stack, layer })
    };
    let layers = (0..).take_while(|&layer| of(layer).is_some()).count();
    match graph.node(of(layers.checked_sub(1)?)?).shape.0.get(1) {
        Some(glassformer_graph::Dim::Fixed(heads)) => Some((layers, *heads)),
        _ => None,
    }
}

impl Decoding {
    /// The entries of a model that translates. `words` are what a translation may consist of, ascending;
    /// empty for the whole vocabulary.
    ///
    /// # Errors
    /// If the model does not translate, or the layer or head to align by does not exist.
    pub fn new(
        model: &Model,
        rules: TranslationRules,
        words: Vec<u32>,
        alignment: Option<(u32, u32)>,
    ) -> Result<Self> {
        let entry = if words.is_empty() {
            "decode"
        } else {
            "decode_listed"
        };
        let graph = model.entries.get(entry).ok_or(TaskError::CannotTranslate)?;
        if !model
            .entries
            .get(ENCODE)
            .is_some_and(|graph| graph.stores())
        {
            return Err(TaskError::CannotTranslate);
        }
        let (layers, heads) = cross_attention(model).ok_or(TaskError::CannotTranslate)?;
        let (layer, head) = match alignment {
            Some((layer, head)) => (layer as usize, head as usize),
            None => (layers - 1, 0),
        };
        let stack = Stack::Cross;
        let probs = graph.role(Role::AttentionProbs { stack, layer });
        let probs = probs.ok_or_else(|| TaskError::Setting {
            name: "The layer to align by",
            range: "a layer of the decoder",
            value: layer.to_string(),
        })?;
        if head >= heads {
            return Err(TaskError::Setting {
                name: "The head to align by",
                range: "a head of the layer",
                value: head.to_string(),
            });
        }
        Ok(Self {
            rules,
            entry,
            logits: graph.role(Role::Logits).ok_or(TaskError::CannotTranslate)?,
            probs,
            head,
            max_len: model.max_len().unwrap_or(usize::MAX),
            words,
        })
    }

    /// Reads the sources, their ends included, one for each sequence of the session.
    fn encode(
        &self,
        exec: &mut dyn Executor,
        session: SessionId,
        sources: &[&[u32]],
    ) -> Result<()> {
        let longest = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(sources.len() * longest);
        for source in sources {
            ids.extend_from_slice(source);
            // Nobody looks at what is behind the end.
            ids.resize(ids.len() + longest - source.len(), self.rules.end);
        }
        let lengths: Vec<u32> = sources.iter().map(|source| source.len() as u32).collect();
        let inputs = [("ids", &ids), ("lengths", &lengths)];
        Ok(exec.run(Run {
            session,
            entry: ENCODE,
            inputs: &inputs.map(|(name, data)| Input { name, data }),
            taps: &[],
        })?)
    }

    /// Continues all beams by `ids [beams, q_len]`, with logits at `rows`.
    fn decode(
        &self,
        exec: &mut dyn Executor,
        session: SessionId,
        ids: &[u32],
        rows: &[u32],
    ) -> Result<()> {
        let input = |name, data| Input { name, data };
        let inputs = [
            input("ids", ids),
            input("rows", rows),
            input("words", &self.words),
        ];
        let count = if self.words.is_empty() { 2 } else { 3 };
        let (node, policy) = (self.probs, TapPolicy::Last);
        Ok(exec.run(Run {
            session,
            entry: self.entry,
            inputs: &inputs[..count],
            taps: &[Tap { node, policy }],
        })?)
    }

    /// What the last run gave for all beams. Both values are asked for before either is waited for: on a
    /// device each is a way there and back.
    async fn ran(&self, exec: &dyn Executor, session: SessionId) -> Result<Ran> {
        let logits = self.read(exec, session, self.logits);
        let attention = self.read(exec, session, self.probs);
        let (logits, attention) = join(logits, attention).await;
        Ok(Ran {
            logits: logits?,
            attention: attention?,
            head: self.head,
        })
    }

    async fn read(&self, exec: &dyn Executor, session: SessionId, node: NodeId) -> Result<Tensor> {
        let read = exec.read(session, self.entry, node, &[]).await?;
        let missing = || ExecError::NotKept(self.entry.into());
        Ok(read.into_iter().next().ok_or_else(missing)?)
    }

    /// Where a word stands among the logits.
    fn place(&self, id: u32) -> Option<usize> {
        if self.words.is_empty() {
            return Some(id as usize);
        }
        self.words.binary_search(&id).ok()
    }

    /// The word at a place of the logits.
    fn word(&self, place: usize) -> u32 {
        self.words.get(place).copied().unwrap_or(place as u32)
    }
}
