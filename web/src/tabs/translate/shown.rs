//! A sentence as it is shown.

use std::sync::Arc;

use glassformer_engine::protocol::{Alternative, TranslatedSentence};

use super::words::{self, Word};

/// Which text a word is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What was typed.
    Source,
    /// Its translation.
    Target,
}

/// A word that is pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointed {
    /// Index of its sentence.
    pub sentence: usize,
    /// Which text.
    pub side: Side,
    /// Index among the words of its sentence.
    pub word: usize,
}

/// What one head looked at in one translation.
#[derive(Clone, Debug, PartialEq)]
pub struct Heads {
    /// The sentence.
    pub index: usize,
    /// [`Shown::version`] of it.
    pub version: u32,
    /// From 0.
    pub layer: u32,
    /// From 0.
    pub head: u32,
    /// `[tokens][source tokens]`.
    pub alignment: Arc<Vec<Vec<f32>>>,
}

/// A sentence and which of its translations is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// All the engine said.
    pub sentence: Arc<TranslatedSentence>,
    /// Which translation.
    pub chosen: usize,
    /// Differs whenever anything here does.
    pub version: u32,
    /// What was found before the person forced a beginning.
    pub free: Option<Arc<TranslatedSentence>>,
    /// The words of the source.
    pub source: Arc<Vec<Word>>,
    /// The words of the chosen translation.
    pub target: Arc<Vec<Word>>,
}

impl Shown {
    /// With its best translation. The engine's sentences have at least one.
    pub fn new(sentence: TranslatedSentence, version: u32) -> Self {
        let source = words::words(&sentence.source, words::of_source(&sentence.tokens));
        let mut shown = Self {
            sentence: Arc::new(sentence),
            chosen: 0,
            version,
            free: None,
            source: Arc::new(source),
            target: Arc::default(),
        };
        shown.choose(0, version);
        shown
    }

    /// Shows another translation, if there is one.
    pub fn choose(&mut self, alternative: usize, version: u32) {
        if let Some(found) = self.sentence.alternatives.get(alternative) {
            self.target = Arc::new(words::words(&found.target, words::of_target(found)));
            (self.chosen, self.version) = (alternative, version);
        }
    }

    /// The translation that is shown.
    pub fn found(&self) -> &Alternative {
        static NONE: Alternative = Alternative {
            target: String::new(),
            score: 0.0,
            normalised: 0.0,
            ended: false,
            tokens: Vec::new(),
            alignment: Vec::new(),
            node: 0,
        };
        self.sentence.alternatives.get(self.chosen).unwrap_or(&NONE)
    }

    /// The words of one text.
    pub fn words(&self, side: Side) -> &[Word] {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }

    /// How much a word has to do with each of the other text: what a word of the translation read of
    /// each source word, or how much of a source word each word of the translation read.
    pub fn across(&self, side: Side, word: usize) -> Vec<f32> {
        let alignment = &self.found().alignment;
        let row = |target: &Word| words::across(alignment, target, &self.source);
        match side {
            Side::Target => self.target.get(word).map_or_else(Vec::new, row),
            Side::Source => {
                let of = |target: &Word| row(target).get(word).copied().unwrap_or(0.0);
                self.target.iter().map(of).collect()
            }
        }
    }
}

/// Words of a sentence that a lens subject can tell apart.
const MOST_WORDS: usize = 1 << 12;

impl Pointed {
    /// As the lens numbers its subjects.
    pub fn index(&self) -> usize {
        let side = usize::from(self.side == Side::Target);
        (self.sentence * 2 + side) * MOST_WORDS + self.word.min(MOST_WORDS - 1)
    }

    /// Undoes [`Self::index`].
    pub fn from_index(index: usize) -> Self {
        let (rest, word) = (index / MOST_WORDS, index % MOST_WORDS);
        let side = if rest % 2 == 1 {
            Side::Target
        } else {
            Side::Source
        };
        Self {
            sentence: rest / 2,
            side,
            word,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tabs::translate::recorded::Recording;

    #[test]
    fn the_recorded_words_find_each_other() {
        let mut shown = Shown::new(Recording::load().unwrap().sentence, 1);
        let texts = |words: &[Word]| words.iter().map(|w| w.text.clone()).collect::<Vec<_>>();
        assert_eq!(
            texts(shown.words(Side::Source)),
            ["The", "bank", "is", "by", "the", "river", "."]
        );
        let best = |weights: Vec<f32>| {
            let all = weights.iter().enumerate();
            all.max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i)
        };
        // margem ← bank, rio ← river, and back.
        assert_eq!(best(shown.across(Side::Target, 1)), Some(1));
        assert_eq!(best(shown.across(Side::Target, 5)), Some(5));
        assert_eq!(best(shown.across(Side::Source, 5)), Some(5));
        shown.choose(1, 2);
        assert_eq!(shown.words(Side::Target)[1].text, "banco");
        assert_eq!(best(shown.across(Side::Target, 1)), Some(1));
        shown.choose(99, 3);
        assert_eq!(shown.version, 2);
    }

    #[test]
    fn subjects_of_the_lens_are_told_apart() {
        for side in [Side::Source, Side::Target] {
            let pointed = Pointed {
                sentence: 812,
                side,
                word: 4095,
            };
            assert_eq!(Pointed::from_index(pointed.index()), pointed);
        }
    }
}
