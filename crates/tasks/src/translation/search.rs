//! The search for the likeliest translation of one sentence, step by step.

use glassformer_graph::{Executor, SessionId};

use super::beam::{BeamNode, Best, Ended, Fate, log_sum_exp};
use super::{Decoding, Ran, Result, TranslateSettings};
use crate::TaskError;

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchStep {
    /// The source was read.
    Encoded,
    /// Tokens were looked at; the nodes behind this one are new.
    Searched {
        /// Nodes there were before.
        before: usize,
    },
    /// Nothing better can come: see [`Search::hypotheses`].
    Done,
}

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Encode,
    /// The start and the forced tokens.
    Begin,
    Continue,
    Done,
}

/// A search in progress.
#[derive(Debug)]
pub struct Search {
    decoding: Decoding,
    settings: TranslateSettings,
    session: SessionId,
    source: Vec<u32>,
    prefix: Vec<u32>,
    most: usize,
    stage: Stage,
    beams: Vec<Beam>,
    nodes: Vec<BeamNode>,
    /// Rows of attention `[source_len]`, one for each beam and position that was run.
    attention: Vec<Vec<f32>>,
    ended: Ended,
}

impl Search {
    /// Starts the search for a translation of `source` (its end included) that begins with `prefix`.
    /// The session is the search's own until [`Self::close`].
    ///
    /// # Errors
    /// If a setting is out of range, the source is empty, or there is no session to be had.
    pub fn start(
        exec: &mut dyn Executor,
        decoding: Decoding,
        settings: TranslateSettings,
        source: Vec<u32>,
        prefix: Vec<u32>,
    ) -> Result<Self> {
        settings.check()?;
        if source.is_empty() {
            return Err(TaskError::NothingToTranslate);
        }
        if prefix.iter().any(|&id| decoding.place(id).is_none()) {
            return Err(TaskError::CannotForce);
        }
        let by_factor = (settings.max_length_factor * source.len() as f32).ceil() as usize;
        let most = match settings.max_tokens {
            0 => by_factor.max(1),
            most => most as usize,
        };
        let most = most.min(decoding.max_len);
        let ended = Ended::new(settings.beams as usize, settings.length_penalty);
        let session = exec.open(1, most.max(prefix.len() + 1))?;
        Ok(Self {
            decoding,
            settings,
            session,
            source,
            prefix,
            most,
            stage: Stage::Encode,
            beams: vec![Beam {
                node: None,
                score: 0.0,
            }],
            nodes: Vec::new(),
            attention: Vec::new(),
            ended,
        })
    }

    /// Frees the session.
    pub fn close(&mut self, exec: &mut dyn Executor) {
        exec.close(self.session);
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

    /// Reads the source, or looks at one token of every beam.
    ///
    /// # Errors
    /// From the executor, or if the logits are no numbers.
    pub async fn step(&mut self, exec: &mut dyn Executor) -> Result<SearchStep> {
        let before = self.nodes.len();
        match self.stage {
            Stage::Encode => {
                self.decoding.encode(exec, self.session, &self.source)?;
                self.stage = Stage::Begin;
                return Ok(SearchStep::Encoded);
            }
            Stage::Done => return Ok(SearchStep::Done),
            Stage::Begin => self.begin(exec).await?,
            Stage::Continue => {
                let last = |beam: &Beam| beam.node.map_or(0, |node| self.nodes[node].id);
                let ids: Vec<u32> = self.beams.iter().map(last).collect();
                self.decoding.decode(exec, self.session, &ids, &[0])?;
                let ran = self.decoding.ran(exec, self.session).await?;
                self.choose(exec, &ran, 0)?;
            }
        }
        Ok(SearchStep::Searched { before })
    }

    /// Runs the start and the forced tokens in one go.
    async fn begin(&mut self, exec: &mut dyn Executor) -> Result<()> {
        let mut ids = vec![self.decoding.rules.start];
        ids.extend(&self.prefix);
        // A prefix that ends the text leaves nothing to look for.
        let ends = self.prefix.last() == Some(&self.decoding.rules.end);
        let rows: Vec<u32> = (0..ids.len() as u32).collect();
        self.decoding.decode(exec, self.session, &ids, &rows)?;
        let ran = self.decoding.ran(exec, self.session).await?;
        for (step, &id) in self.prefix.iter().enumerate() {
            let row = ran.logits(0, step);
            let total = log_sum_exp(row).ok_or(TaskError::NotFinite)?;
            let place = self.decoding.place(id).and_then(|place| row.get(place));
            let log_prob = place.map_or(f64::MIN, |&logit| f64::from(logit) - total);
            let Beam { node, score } = self.beams[0];
            let score = score + log_prob;
            self.attention.push(ran.attention(0, step).to_vec());
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
        if ends || self.prefix.len() >= self.most {
            self.cut(ends);
            return Ok(());
        }
        self.choose(exec, &ran, self.prefix.len())
    }

    /// Chooses what to follow from the logits at row `row` of the last run (the last of several is the
    /// one).
    fn choose(&mut self, exec: &mut dyn Executor, ran: &Ran, row: usize) -> Result<()> {
        let width = self.settings.beams as usize;
        let never = &self.decoding.rules.never;
        let banned: Vec<usize> = never
            .iter()
            .filter_map(|&id| self.decoding.place(id))
            .collect();
        let mut best = Best::new(2 * width);
        let attention = self.attention.len();
        for (i, beam) in self.beams.iter().enumerate() {
            best.add(i, beam.score, ran.logits(i, row), &banned)
                .ok_or(TaskError::NotFinite)?;
            self.attention.push(ran.attention(i, row).to_vec());
        }
        let candidates = best.found();
        let step = self.beams[0]
            .node
            .map_or(0, |node| self.nodes[node].step + 1);
        let length = step + 1;
        let highest = candidates.first().map_or(f64::MIN, |c| c.score);
        let (mut next, mut from) = (Vec::new(), Vec::new());
        for (rank, candidate) in candidates.into_iter().enumerate() {
            let id = self.decoding.word(candidate.place);
            let node = self.nodes.len();
            let fate = if id == self.decoding.rules.end {
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
                    from.push(candidate.beam as u32);
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
            self.stage = Stage::Done;
            return Ok(());
        }
        let stays = from.len() == self.beams.len() && (0..).zip(&from).all(|(i, f)| i == *f);
        self.beams = next;
        if length >= self.most {
            self.cut(false);
            return Ok(());
        }
        if !stays {
            exec.reorder(self.session, &from)?;
        }
        self.stage = Stage::Continue;
        Ok(())
    }

    /// Ends the search with the beams as they are.
    fn cut(&mut self, ended: bool) {
        for beam in &self.beams {
            if let Some(node) = beam.node {
                let length = self.nodes[node].step + 1;
                self.ended.add(node, beam.score, length, ended);
            }
        }
        self.stage = Stage::Done;
    }

    /// The translations found so far, best first, at most [`TranslateSettings::best`].
    pub fn hypotheses(&self) -> Vec<Hypothesis> {
        let found = self.ended.found().iter();
        let found = found.take(self.settings.best as usize);
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

/// Log-probabilities of the tokens of a given translation, its end included if it has one: what a search
/// must find for it.
///
/// # Errors
/// From the executor, or if a token is not among the words of the decoding.
pub async fn forced_scores(
    exec: &mut dyn Executor,
    decoding: Decoding,
    source: Vec<u32>,
    target: &[u32],
) -> Result<Vec<f64>> {
    let settings = TranslateSettings {
        max_tokens: target.len() as u32,
        ..TranslateSettings::default()
    };
    let mut search = Search::start(exec, decoding, settings, source, target.to_vec())?;
    let mut run = async |search: &mut Search| -> Result<()> {
        while search.step(exec).await? != SearchStep::Done {}
        Ok(())
    };
    let done = run(&mut search).await;
    search.close(exec);
    done?;
    Ok(search.nodes().iter().map(|node| node.log_prob).collect())
}
