//! Marian's binary shortlist: which target words a sentence's translation may consist of.
//!
//! Layout, little-endian: six `u64` (magic, checksum, `first`, `best`, number of offsets, number of
//! words), then the offsets, `u64` each, one a source word and one more, then the target words, `u32`
//! each.

use crate::WeightsError;
use crate::cursor::{Cursor, Stop};

const MAGIC: u64 = 0xF11A_48D5_0134_17F5;

/// Output words are looked at by eights.
const MULTIPLE: usize = 8;

/// The likeliest translations of every source word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortlist {
    /// The most frequent words, which are always candidates.
    first: u32,
    /// Where the words of each source word begin, and where the last one's end.
    offsets: Vec<u64>,
    words: Vec<u32>,
}

impl Shortlist {
    /// Reads a whole file.
    ///
    /// # Errors
    /// If the file is no shortlist, incomplete or damaged.
    pub fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        read(bytes).map_err(|stop| match stop {
            Stop::Error(error) => error,
            Stop::Need(_) => WeightsError::Shortlist("it ends too early"),
        })
    }

    /// Source words it knows.
    pub fn sources(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The largest target word.
    pub fn largest(&self) -> Option<u32> {
        self.words.iter().copied().max()
    }

    /// Candidates for a sentence, ascending: the most frequent words, what is listed for each of
    /// `source`, and, since one vocabulary serves both languages, `source` itself; then the next most
    /// frequent words until they are a multiple of eight. None is `vocab` or larger.
    pub fn candidates(&self, source: &[u32], vocab: usize) -> Vec<u32> {
        let first = (self.first as usize).min(vocab);
        let mut is_in = vec![false; vocab];
        is_in[..first].fill(true);
        let mut add = |word: u32| {
            if let Some(is_in) = is_in.get_mut(word as usize) {
                *is_in = true;
            }
        };
        for &word in source {
            add(word);
            let range = (word as usize).checked_add(1).and_then(|next| {
                let (begin, end) = (self.offsets.get(next - 1)?, self.offsets.get(next)?);
                self.words.get(*begin as usize..*end as usize)
            });
            range.into_iter().flatten().copied().for_each(&mut add);
        }
        let count = is_in.iter().filter(|is_in| **is_in).count();
        let more = count.next_multiple_of(MULTIPLE) - count;
        let next = is_in.iter_mut().filter(|is_in| !**is_in).take(more);
        next.for_each(|is_in| *is_in = true);
        let chosen = (0..).zip(is_in).filter(|(_, is_in)| *is_in);
        chosen.map(|(word, _)| word).collect()
    }
}

fn read(bytes: &[u8]) -> Result<Shortlist, Stop> {
    let mut cursor = Cursor::new(bytes);
    if cursor.u64()? != MAGIC {
        return Err(WeightsError::Shortlist("it does not begin as one").into());
    }
    let _checksum = cursor.u64()?;
    let first = u32::try_from(cursor.u64()?)
        .map_err(|_| WeightsError::Shortlist("its numbers are too large"))?;
    let _best = cursor.u64()?;
    let (offsets, words) = (cursor.u64()?, cursor.u64()?);
    let size = |count: u64, each: u64| count.checked_mul(each).ok_or(Stop::Need(u64::MAX));
    let offsets = cursor.take(size(offsets, 8)?)?.as_chunks::<8>().0;
    let words = cursor.take(size(words, 4)?)?.as_chunks::<4>().0;
    let offsets: Vec<u64> = offsets.iter().map(|&b| u64::from_le_bytes(b)).collect();
    let ends = offsets.last().copied() == Some(words.len() as u64);
    if !ends || !offsets.is_sorted() {
        return Err(WeightsError::Shortlist("its offsets are out of order").into());
    }
    let words = words.iter().map(|&b| u32::from_le_bytes(b)).collect();
    Ok(Shortlist {
        first,
        offsets,
        words,
    })
}
