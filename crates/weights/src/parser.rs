//! Reading a header of either format from chunks of any size.

use crate::cursor::{Step, Stop};
use crate::{Header, WeightsError, gguf, safetensors};

/// Bytes from which the format is certain: `GGUF` needs four, safetensors a length and a brace.
const DETECT: usize = 9;

/// Reads a header item by item. Only an item that has not wholly arrived is kept as bytes.
#[derive(Default)]
pub(crate) struct HeaderParser {
    format: Format,
    /// Where the next item begins in the file.
    position: u64,
    /// Its first bytes, if it has not wholly arrived.
    pending: Vec<u8>,
    /// The least bytes it has.
    needed: usize,
}

#[derive(Default)]
enum Format {
    #[default]
    Unknown,
    Gguf(Box<gguf::Parser>),
    Safetensors,
}

impl HeaderParser {
    /// Takes in the next bytes of a file of `length` bytes, if that is known. At the end gives the header
    /// and how many of `bytes` belonged to it.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        length: Option<u64>,
    ) -> Result<Option<(Box<Header>, usize)>, WeightsError> {
        let mut rest = bytes;
        loop {
            // An item that began in an earlier chunk gets the bytes that it is known to lack, so that
            // each of its fields is tried once.
            let split = !self.pending.is_empty();
            if split {
                let lacking = self.needed.saturating_sub(self.pending.len());
                let (more, after) = rest.split_at(lacking.min(rest.len()));
                self.keep(more);
                rest = after;
                if more.len() < lacking {
                    return Ok(None);
                }
            }
            let pending = std::mem::take(&mut self.pending);
            let step = self.step(if split { &pending } else { rest }, length)?;
            self.pending = pending;
            match step {
                Some(Step::Took(count)) if split => drop(self.pending.drain(..count)),
                Some(Step::Took(count)) => rest = &rest[count..],
                Some(Step::Done(header, count)) => {
                    let taken = if split { 0 } else { count };
                    return Ok(Some((header, bytes.len() - rest.len() + taken)));
                }
                None if split => {}
                None => {
                    self.keep(rest);
                    return Ok(None);
                }
            }
        }
    }

    /// Why a file that ends here is not whole.
    pub(crate) fn incomplete(&self) -> WeightsError {
        match self.format {
            Format::Unknown => WeightsError::UnknownFormat,
            _ => {
                let missing = self.needed.saturating_sub(self.pending.len()) as u64;
                WeightsError::IncompleteHeader { missing }
            }
        }
    }

    /// Keeps `bytes` of an item that needs more. Room is made for what has arrived, at most twice over,
    /// and never for more than the item needs.
    fn keep(&mut self, bytes: &[u8]) {
        let left = self.needed.saturating_sub(self.pending.len());
        crate::cursor::make_room(&mut self.pending, bytes.len(), left as u64);
        self.pending.extend_from_slice(bytes);
    }

    /// Reads one item from `bytes`; `None` if it needs more, then `self.needed` says how many.
    fn step(&mut self, bytes: &[u8], length: Option<u64>) -> Result<Option<Step>, WeightsError> {
        let end = length.unwrap_or(u64::MAX);
        let limit_mib = match self.format {
            Format::Unknown => {
                return self.detect(bytes, end);
            }
            Format::Gguf(_) => gguf::LIMIT_MIB,
            Format::Safetensors => safetensors::LIMIT_MIB,
        };
        let room = end.min(limit_mib << 20).saturating_sub(self.position);
        let bytes = match usize::try_from(room) {
            Ok(room) if room < bytes.len() => &bytes[..room],
            _ => bytes,
        };
        let result = match &mut self.format {
            Format::Gguf(parser) => parser.step(bytes, self.position, room),
            _ => safetensors::step(bytes),
        };
        match result {
            Ok(step) => {
                let (Step::Took(count) | Step::Done(_, count)) = step;
                self.position += count as u64;
                Ok(Some(step))
            }
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Need(count)) if count <= room => {
                // At most the limit of the header, so it fits.
                self.needed = count as usize;
                Ok(None)
            }
            Err(Stop::Need(count)) if self.position.saturating_add(count) > end => {
                Err(WeightsError::HeaderPastEnd)
            }
            Err(Stop::Need(_)) => Err(WeightsError::HeaderTooLarge { limit_mib }),
        }
    }

    /// Finds out the format; takes no bytes.
    fn detect(&mut self, bytes: &[u8], end: u64) -> Result<Option<Step>, WeightsError> {
        if bytes.starts_with(gguf::MAGIC) {
            self.format = Format::Gguf(Box::default());
        } else if bytes.get(DETECT - 1) == Some(&b'{') {
            self.format = Format::Safetensors;
        } else if bytes.len() < DETECT && DETECT as u64 <= end {
            self.needed = DETECT;
            return Ok(None);
        } else {
            return Err(WeightsError::UnknownFormat);
        }
        Ok(Some(Step::Took(0)))
    }
}
