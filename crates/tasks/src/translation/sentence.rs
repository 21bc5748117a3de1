//! The hypotheses of one sentence: which are followed, which have ended, and where each came from.

use super::beam::{BeamNode, Best, Ended, Fate, log_sum_exp};
use super::{Decoding, Ran, Result, TranslateSettings};
use crate::TaskError;

/// A token of a translation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// Vocabulary id.
    pub id: u32,
    /// Natural log of its probability behind the tokens before it.
    pub log_prob: f64,
}

/// A translation that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Its tokens, its end included if the model ended it.
    pub words: Vec<Word>,
    /// Sum of their log-probabilities.
    pub score: f64,
    /// What translations of different lengths are compared by.
    pub normalised: f64,
    /// Whether the model ended it; otherwise it was cut off.
    pub ended: bool,
    /// How much each token attended to each of the source, `[words][source_len]`; rows sum to one.
    pub alignment: Vec<Vec<f32>>,
    /// Its last node.
    pub node: usize,
}

/// A hypothesis that is followed.
#[derive(Clone, Copy, Debug)]
struct Beam {
    /// Its last node, if it has any.
    node: Option<usize>,
    score: f64,
}

/// A sentence whose translation is searched.
#[derive(Debug)]
pub struct Sentence {
    source: Vec<u32>,
    prefix: Vec<u32>,
    candidates: usize,
    /// Where its own words are among the logits; empty if all are its own.
    places: Vec<usize>,
    /// Places that are never written, among its own.
    banned: Vec<usize>,
    /// Hypotheses that are followed at once, and translations wanted.
    width: usize,
    best: usize,
    /// Most tokens of a translation.
    most: usize,
    done: bool,
    beams: Vec<Beam>,
    nodes: Vec<BeamNode>,
    /// Rows of attention `[source_len]`, one for each beam and position that was run.
    attention: Vec<Vec<f32>>,
    ended: Ended,
}

impl Sentence {
    /// A search that has not begun. `words` are what the translation may consist of, ascending; empty for
    /// all that the decoding knows.
    pub(super) fn new(
        decoding: &Decoding,
        settings: &TranslateSettings,
        source: Vec<u32>,
        prefix: Vec<u32>,
        words: &[u32],
    ) -> Result<Self> {
        if source.is_empty() {
            return Err(TaskError::NothingToTranslate);
        }
        let by_factor = (settings.max_length_factor * source.len() as f32).ceil() as usize;
        let most = match settings.max_tokens {
            0 => by_factor.max(1),
            most => most as usize,
        };
        let all = words.is_empty() || words.len() == decoding.words.len();
        let places = if all { &[] } else { words };
        let candidates = if all {
            decoding.words.len()
        } else {
            words.len()
        };
        let mut sentence = Self {
            places: places.iter().filter_map(|&id| decoding.place(id)).collect(),
            banned: Vec::new(),
            candidates,
            source,
            width: settings.beams as usize,
            best: settings.best as usize,
            most: most.min(decoding.max_len),
            done: false,
            beams: vec![Beam {
                node: None,
                score: 0.0,
            }],
            nodes: Vec::new(),
            attention: Vec::new(),
            ended: Ended::new(settings.beams as usize, settings.length_penalty),
            prefix: Vec::new(),
        };
        let never = decoding.rules.never.iter();
        let banned = never.filter_map(|&id| sentence.place(decoding, id));
        sentence.banned = banned.collect();
        if prefix
            .iter()
            .any(|&id| sentence.place(decoding, id).is_none())
        {
            return Err(TaskError::CannotForce);
        }
        sentence.prefix = prefix;
        Ok(sentence)
    }

    /// Its tokens, its end included.
    pub fn source(&self) -> &[u32] {
        &self.source
    }

    /// How many words its translation may consist of; 0 if of all.
    pub fn candidates(&self) -> usize {
        self.candidates
    }

    /// What its translation is to begin with.
    pub(super) fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    /// Most positions of its translation.
    pub(super) fn room(&self) -> usize {
        self.most.max(self.prefix.len() + 1)
    }

    /// Whether nothing better can come.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Every token that was looked at, parents first.
    pub fn nodes(&self) -> &[BeamNode] {
        &self.nodes
    }

    /// How much the token of a node attended to each of the source, `[source_len]`.
    pub fn attention(&self, node: &BeamNode) -> &[f32] {
        self.attention
            .get(node.attention)
            .map_or(&[], Vec::as_slice)
    }

    /// Beams that are followed.
    pub(super) fn beams(&self) -> usize {
        self.beams.len()
    }

    /// The last token of each beam.
    pub(super) fn last(&self) -> impl Iterator<Item = u32> + '_ {
        let last = |beam: &Beam| beam.node.map_or(0, |node| self.nodes[node].id);
        self.beams.iter().map(last)
    }

    /// Where a word stands among its own.
    fn place(&self, decoding: &Decoding, id: u32) -> Option<usize> {
        let place = decoding.place(id)?;
        if self.places.is_empty() {
            return Some(place);
        }
        self.places.binary_search(&place).ok()
    }

    /// The word at one of its own places.
    fn word(&self, decoding: &Decoding, place: usize) -> u32 {
        decoding.word(self.places.get(place).copied().unwrap_or(place))
    }

    /// Its own of the logits of a row.
    fn own(&self, logits: &[f32]) -> Vec<f32> {
        if self.places.is_empty() {
            return logits.to_vec();
        }
        let own = self.places.iter();
        own.filter_map(|&place| logits.get(place).copied())
            .collect()
    }

    /// Notes how much a beam attended to the source at a position of the run.
    fn attended(&mut self, ran: &Ran, beam: usize, position: usize) {
        let row = ran.attention(beam, position);
        // What is behind it is padding.
        let row = row.get(..self.source.len()).unwrap_or(row);
        self.attention.push(row.to_vec());
    }

    /// Scores the forced tokens from the run of the start and them; its only beam is the run's `at`-th.
    pub(super) fn force(&mut self, decoding: &Decoding, ran: &Ran, at: usize) -> Result<()> {
        for (step, id) in self.prefix.clone().into_iter().enumerate() {
            let row = self.own(ran.logits(at, step));
            let total = log_sum_exp(&row).ok_or(TaskError::NotFinite)?;
            let place = self.place(decoding, id).and_then(|place| row.get(place));
            let log_prob = place.map_or(f64::MIN, |&logit| f64::from(logit) - total);
            let Beam { node, score } = self.beams[0];
            let score = score + log_prob;
            self.attended(ran, at, step);
            self.nodes.push(BeamNode {
                parent: node,
                step,
                id,
                log_prob,
                score,
                fate: Fate::Forced,
                attention: self.attention.len() - 1,
            });
            let node = Some(self.nodes.len() - 1);
            self.beams[0] = Beam { node, score };
        }
        // A prefix that ends the text leaves nothing to look for.
        let ends = self.prefix.last() == Some(&decoding.rules.end);
        if ends || self.prefix.len() >= self.most {
            self.cut(ends);
        }
        Ok(())
    }

    /// Chooses what to follow from the logits at row `row` of the last run, where its beams are from the
    /// `first`-th on. Says which of them each of the next goes on from: none, if it is done.
    pub(super) fn choose(
        &mut self,
        decoding: &Decoding,
        ran: &Ran,
        first: usize,
        row: usize,
    ) -> Result<Vec<usize>> {
        let width = self.width;
        let mut best = Best::new(2 * width);
        let attention = self.attention.len();
        for i in 0..self.beams.len() {
            let logits = ran.logits(first + i, row);
            let score = self.beams[i].score;
            let added = if self.places.is_empty() {
                best.add(i, score, logits, &self.banned)
            } else {
                best.add(i, score, &self.own(logits), &self.banned)
            };
            added.ok_or(TaskError::NotFinite)?;
            self.attended(ran, first + i, row);
        }
        let candidates = best.found();
        let step = self.beams[0]
            .node
            .map_or(0, |node| self.nodes[node].step + 1);
        let length = step + 1;
        let highest = candidates.first().map_or(f64::MIN, |c| c.score);
        let (mut next, mut from) = (Vec::new(), Vec::new());
        for (rank, candidate) in candidates.into_iter().enumerate() {
            let id = self.word(decoding, candidate.place);
            let node = self.nodes.len();
            let fate = if id == decoding.rules.end {
                // An end that is not among the best as many as there are beams is none.
                if rank < width {
                    Fate::Finished
                } else {
                    Fate::Pruned
                }
            } else if next.len() < width {
                Fate::Kept
            } else {
                Fate::Pruned
            };
            self.nodes.push(BeamNode {
                parent: self.beams[candidate.beam].node,
                step,
                id,
                log_prob: candidate.log_prob,
                score: candidate.score,
                fate,
                attention: attention + candidate.beam,
            });
            match fate {
                Fate::Finished => self.ended.add(node, candidate.score, length, true),
                Fate::Kept => {
                    let (node, score) = (Some(node), candidate.score);
                    next.push(Beam { node, score });
                    from.push(candidate.beam);
                }
                Fate::Pruned | Fate::Forced => {}
            }
        }
        if self.ended.is_done(highest, length) || next.is_empty() {
            for beam in next {
                if let Some(node) = beam.node {
                    self.nodes[node].fate = Fate::Pruned;
                }
            }
            self.done = true;
            return Ok(Vec::new());
        }
        self.beams = next;
        if length >= self.most {
            self.cut(false);
            return Ok(Vec::new());
        }
        Ok(from)
    }

    /// Ends the search with the beams as they are.
    fn cut(&mut self, ended: bool) {
        for beam in &self.beams {
            if let Some(node) = beam.node {
                let length = self.nodes[node].step + 1;
                self.ended.add(node, beam.score, length, ended);
            }
        }
        self.done = true;
    }

    /// The translations found so far, best first, at most [`TranslateSettings::best`].
    pub fn hypotheses(&self) -> Vec<Hypothesis> {
        let found = self.ended.found().iter().take(self.best);
        found
            .map(|&(node, normalised, ended)| {
                let mut path = Vec::new();
                let mut at = Some(node);
                while let Some(i) = at {
                    path.push(&self.nodes[i]);
                    at = self.nodes[i].parent;
                }
                path.reverse();
                let word = |node: &&BeamNode| Word {
                    id: node.id,
                    log_prob: node.log_prob,
                };
                Hypothesis {
                    words: path.iter().map(word).collect(),
                    score: self.nodes[node].score,
                    normalised,
                    ended,
                    alignment: path
                        .iter()
                        .map(|node| self.attention(node).to_vec())
                        .collect(),
                    node,
                }
            })
            .collect()
    }
}
