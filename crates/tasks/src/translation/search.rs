//! The search for the likeliest translations of one sentence, or of several side by side, step by step.

use glassformer_graph::{Executor, SessionId};

use super::sentence::Sentence;
use super::{Decoding, Result, TranslateSettings};
use crate::TaskError;

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchStep {
    /// The sources were read.
    Encoded,
    /// Tokens were looked at.
    Searched,
    /// Nothing better can come: see [`Sentence::hypotheses`].
    Done,
}

/// A sentence to translate beside others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its tokens, its end included.
    pub source: Vec<u32>,
    /// What its translation may consist of, ascending; empty for all that the decoding knows.
    pub words: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Encode,
    /// The start and the forced tokens.
    Begin,
    Continue,
    Done,
}

/// A search in progress. Of several sentences each is searched as if it were alone: all beams are computed
/// at once, and those of a sentence that is done leave.
#[derive(Debug)]
pub struct Search {
    decoding: Decoding,
    session: SessionId,
    stage: Stage,
    sentences: Vec<Sentence>,
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
        settings: &TranslateSettings,
        source: Vec<u32>,
        prefix: Vec<u32>,
    ) -> Result<Self> {
        settings.check()?;
        let sentence = Sentence::new(&decoding, settings, source, prefix, &[])?;
        Self::of(exec, decoding, vec![sentence])
    }

    /// Starts the search for translations of several sentences. The decoding knows the words of all.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn together(
        exec: &mut dyn Executor,
        decoding: Decoding,
        settings: &TranslateSettings,
        wanted: Vec<Wanted>,
    ) -> Result<Self> {
        settings.check()?;
        let sentence = |wanted: Wanted| {
            let Wanted { source, words } = wanted;
            Sentence::new(&decoding, settings, source, Vec::new(), &words)
        };
        let sentences = wanted.into_iter().map(sentence).collect::<Result<_>>()?;
        Self::of(exec, decoding, sentences)
    }

    fn of(exec: &mut dyn Executor, decoding: Decoding, sentences: Vec<Sentence>) -> Result<Self> {
        let room = sentences.iter().map(Sentence::room).max();
        let room = room.ok_or(TaskError::NothingToTranslate)?;
        Ok(Self {
            session: exec.open(sentences.len(), room)?,
            decoding,
            stage: Stage::Encode,
            sentences,
        })
    }

    /// Frees the session.
    pub fn close(&mut self, exec: &mut dyn Executor) {
        exec.close(self.session);
    }

    /// What there is of each sentence.
    pub fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    /// Reads the sources, or looks at one token of every beam.
    ///
    /// # Errors
    /// From the executor, or if the logits are no numbers.
    pub async fn step(&mut self, exec: &mut dyn Executor) -> Result<SearchStep> {
        match self.stage {
            Stage::Encode => {
                let sources: Vec<&[u32]> = self.sentences.iter().map(Sentence::source).collect();
                self.decoding.encode(exec, self.session, &sources)?;
                self.stage = Stage::Begin;
                return Ok(SearchStep::Encoded);
            }
            Stage::Done => return Ok(SearchStep::Done),
            Stage::Begin => self.begin(exec).await?,
            Stage::Continue => {
                let going = self.sentences.iter().filter(|s| !s.is_done());
                let ids: Vec<u32> = going.flat_map(Sentence::last).collect();
                self.go_on(exec, &ids, 0).await?;
            }
        }
        Ok(SearchStep::Searched)
    }

    /// Runs the start and the forced tokens in one go. One sentence alone has such.
    async fn begin(&mut self, exec: &mut dyn Executor) -> Result<()> {
        let start = self.decoding.rules.start;
        let mut ids = Vec::new();
        for sentence in &self.sentences {
            ids.push(start);
            ids.extend(sentence.prefix());
        }
        let forced = ids.len() / self.sentences.len() - 1;
        self.go_on(exec, &ids, forced).await
    }

    /// Runs `ids [beams, 1 + forced]` and chooses what to follow.
    async fn go_on(&mut self, exec: &mut dyn Executor, ids: &[u32], forced: usize) -> Result<()> {
        let rows: Vec<u32> = (0..=forced as u32).collect();
        self.decoding.decode(exec, self.session, ids, &rows)?;
        let ran = self.decoding.ran(exec, self.session).await?;
        let (mut from, mut first) = (Vec::new(), 0);
        for sentence in self.sentences.iter_mut().filter(|s| !s.is_done()) {
            let beams = sentence.beams();
            if forced > 0 {
                sentence.force(&self.decoding, &ran, first)?;
            }
            if !sentence.is_done() {
                let next = sentence.choose(&self.decoding, &ran, first, forced)?;
                from.extend(next.into_iter().map(|beam| (first + beam) as u32));
            }
            first += beams;
        }
        if from.is_empty() {
            self.stage = Stage::Done;
            return Ok(());
        }
        let stay = from.len() == first && (0..).zip(&from).all(|(i, f)| i == *f);
        if !stay {
            exec.reorder(self.session, &from)?;
        }
        self.stage = Stage::Continue;
        Ok(())
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
    let mut search = Search::start(exec, decoding, &settings, source, target.to_vec())?;
    let mut run = async |search: &mut Search| -> Result<()> {
        while search.step(exec).await? != SearchStep::Done {}
        Ok(())
    };
    let done = run(&mut search).await;
    search.close(exec);
    done?;
    let nodes = search.sentences.iter().flat_map(Sentence::nodes);
    Ok(nodes.map(|node| node.log_prob).collect())
}
