//! A checkpoint file as a stream of chunks.

use std::mem;

use crate::error::shown;
use crate::parser::HeaderParser;
use crate::{Header, WeightsError};

/// Receives what a [`FileStream`] reads.
pub trait Sink {
    /// What can go wrong here or in the file.
    type Error: From<WeightsError>;

    /// The header is complete. Comes once, before any data. What is taken out of the header here is
    /// gone from [`FileStream::header`]; the data that follows is the same.
    fn header(&mut self, header: &mut Header) -> Result<(), Self::Error>;

    /// Bytes of the tensor `index` of the header, `offset` bytes into it. They come in file order,
    /// without gaps, in runs of any length: a run may end in the middle of a number or a block.
    fn data(&mut self, index: usize, offset: u64, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// Push parser for one checkpoint file: feed it the bytes in order, in chunks of any size.
///
/// After an error the file is given up: everything else is [`WeightsError::Abandoned`].
#[derive(Default)]
pub struct FileStream {
    /// Bytes of the whole file, if known.
    length: Option<u64>,
    /// Bytes fed so far.
    received: u64,
    header: Option<Box<Header>>,
    stage: Stage,
}

enum Stage {
    Header(HeaderParser),
    Data(Data),
    Failed,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Header(HeaderParser::default())
    }
}

impl FileStream {
    /// A file of unknown length.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file of `length` bytes, so that a tensor that would lie beyond the end is refused as soon as the
    /// header is read. Give only a length that is certain: that of a compressed response is not.
    pub fn with_length(length: u64) -> Self {
        Self {
            length: Some(length),
            ..Self::default()
        }
    }

    /// The header, once it is complete.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_deref()
    }

    /// Feeds the next bytes of the file: calls `sink.header` once when the header is complete, then
    /// `sink.data` for each run of tensor bytes; padding is skipped.
    pub fn push<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) -> Result<(), S::Error> {
        // Whatever returns early leaves the stream failed.
        match mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Header(mut parser) => {
                let received = self.received;
                self.receive(bytes)?;
                let Some((mut header, taken)) = parser.push(bytes, self.length)? else {
                    self.stage = Stage::Header(parser);
                    return Ok(());
                };
                drop(parser);
                let mut data = Data::new(&header, received + taken as u64, self.length)?;
                sink.header(&mut header)?;
                self.header = Some(header);
                data.push(&bytes[taken..], sink)?;
                self.stage = Stage::Data(data);
            }
            Stage::Data(mut data) => {
                self.receive(bytes)?;
                data.push(bytes, sink)?;
                self.stage = Stage::Data(data);
            }
            Stage::Failed => return Err(WeightsError::Abandoned.into()),
        }
        Ok(())
    }

    /// Ends the file. An incomplete file is an error that says how many bytes are missing.
    pub fn finish(self) -> Result<(), WeightsError> {
        let missing_of = |end: u64| end.saturating_sub(self.received);
        let missing = match (&self.stage, self.length) {
            (Stage::Failed, _) => return Err(WeightsError::Abandoned),
            (Stage::Data(data), length) => missing_of(data.end().max(length.unwrap_or(0))),
            (Stage::Header(_), Some(length)) if missing_of(length) > 0 => missing_of(length),
            (Stage::Header(parser), _) => return Err(parser.incomplete()),
        };
        if missing > 0 {
            Err(WeightsError::Incomplete { missing })
        } else {
            Ok(())
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), WeightsError> {
        self.received = self.received.saturating_add(bytes.len() as u64);
        match self.length {
            Some(length) if self.received > length => Err(WeightsError::TooLong(length)),
            _ => Ok(()),
        }
    }
}

/// Hands on the bytes of the tensors. Keeps their places itself, since the sink may take the header
/// apart.
struct Data {
    /// Begin and end of each tensor in the file, in order.
    spans: Vec<(u64, u64)>,
    /// The first of them that is not complete.
    current: usize,
    /// Where the next byte lies in the file.
    position: u64,
}

impl Data {
    fn new(header: &Header, position: u64, length: Option<u64>) -> Result<Self, WeightsError> {
        for tensor in &header.tensors {
            let end = tensor.end();
            if let Some(length) = length.filter(|&length| end > length) {
                let tensor = shown(&tensor.name);
                return Err(WeightsError::TensorPastEnd {
                    tensor,
                    end,
                    length,
                });
            }
        }
        let spans = header
            .tensors
            .iter()
            .map(|tensor| (tensor.offset, tensor.end()))
            .collect();
        Ok(Self {
            spans,
            current: 0,
            position,
        })
    }

    /// Where the last tensor ends.
    fn end(&self) -> u64 {
        self.spans.last().map_or(self.position, |&(_, end)| end)
    }

    fn push<S: Sink>(&mut self, mut bytes: &[u8], sink: &mut S) -> Result<(), S::Error> {
        while let Some(&(begin, end)) = self.spans.get(self.current)
            && !bytes.is_empty()
        {
            let padding = begin.saturating_sub(self.position);
            let (run, rest) = split(
                bytes,
                if padding > 0 {
                    padding
                } else {
                    end - self.position
                },
            );
            if padding == 0 {
                sink.data(self.current, self.position - begin, run)?;
            }
            self.position += run.len() as u64;
            if self.position == end {
                self.current += 1;
            }
            bytes = rest;
        }
        Ok(())
    }
}

/// The first `count` of `bytes`, or as many as there are, and the rest.
fn split(bytes: &[u8], count: u64) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(count).map_or(bytes.len(), |count| count.min(bytes.len())))
}
