//! Reading one item of a header from bytes that may end before the item does.

use crate::{Header, WeightsError};

/// Why an item could not be read.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The item needs at least this many bytes from its beginning on.
    Need(u64),
    /// The file is not acceptable.
    Error(WeightsError),
}

impl From<WeightsError> for Stop {
    fn from(error: WeightsError) -> Self {
        Self::Error(error)
    }
}

/// What one step of a header parser came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// So many bytes are taken in and are not needed any more.
    Took(usize),
    /// The header is complete and ended so many bytes further on.
    Done(Box<Header>, usize),
}

/// Takes little-endian numbers and strings off the front of `bytes`.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes taken so far.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The next `count` bytes. Nothing is allocated for a count that is only claimed.
    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.position..];
        let taken = usize::try_from(count)
            .ok()
            .and_then(|count| rest.get(..count));
        let Some(taken) = taken else {
            return Err(Stop::Need(count.saturating_add(self.position as u64)));
        };
        self.position += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64)?);
        Ok(out)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Stop> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of `N` bytes.
    pub(crate) fn number<T, const N: usize>(
        &mut self,
        decode: fn([u8; N]) -> T,
    ) -> Result<T, Stop> {
        self.array().map(decode)
    }

    /// A string with its length in front.
    pub(crate) fn string(&mut self) -> Result<&'a str, Stop> {
        let length = self.u64()?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| WeightsError::Utf8.into())
    }

    /// Appends the numbers that are there, at most `left` and at least one, to `out`.
    pub(crate) fn numbers<T, const N: usize>(
        &mut self,
        out: &mut Vec<T>,
        left: u64,
        decode: fn([u8; N]) -> T,
    ) -> Result<(), Stop> {
        let there = (self.bytes.len() - self.position) / N;
        let count = (there as u64).min(left).max(1);
        // `count` is at most `there`, or 1; 8 bytes at most are one number.
        let (numbers, _) = self.take(count * N as u64)?.as_chunks::<N>();
        make_room(out, numbers.len(), left);
        out.extend(numbers.iter().map(|&number| decode(number)));
        Ok(())
    }
}

/// Makes room for `count` more elements, of `left` that are claimed to come: doubling like `Vec`, but
/// not beyond the claim, so that an honest array ends up exactly as large as it is.
pub(crate) fn make_room<T>(out: &mut Vec<T>, count: usize, left: u64) {
    if out.capacity() - out.len() < count {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        out.reserve_exact(out.len().max(count).min(left).max(count));
    }
}
