//! Whole blocks from a stream of bytes that is cut anywhere.

use crate::{Encoding, ExecError, WeightDecl};

/// Passes a weight's bytes on in whole blocks.
#[derive(Debug)]
pub struct BlockStream {
    encoding: Encoding,
    /// Bytes of a block whose end has not come yet.
    carry: Vec<u8>,
    got: usize,
    expected: usize,
    /// Bytes behind the last block that have come.
    tail: Vec<u8>,
}

impl BlockStream {
    /// A stream of all blocks of a weight.
    pub fn new(decl: &WeightDecl, encoding: Encoding) -> Self {
        let elements = decl.shape.iter().product();
        Self {
            encoding,
            carry: Vec::new(),
            got: 0,
            // A shape that is no whole number of blocks never becomes complete.
            expected: encoding.bytes_for(elements).unwrap_or(usize::MAX),
            tail: Vec::new(),
        }
    }

    /// How the file stores it.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What has come of the bytes behind the last block ([`Encoding::tail_bytes`]).
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Takes the next bytes and hands on whole blocks: the index of the first and their bytes.
    ///
    /// # Errors
    /// [`ExecError::IncompleteWeight`] if more bytes come than the weight has.
    pub fn push(
        &mut self,
        decl: &WeightDecl,
        mut bytes: &[u8],
        mut take: impl FnMut(usize, &[u8]),
    ) -> Result<(), ExecError> {
        if bytes.len() > self.expected - self.got {
            return Err(self.incomplete(decl, self.got.saturating_add(bytes.len())));
        }
        let body = self.expected - self.encoding.tail_bytes();
        let (now, tail) = bytes.split_at(bytes.len().min(body.saturating_sub(self.got)));
        self.got += tail.len();
        self.tail.extend_from_slice(tail);
        bytes = now;
        if bytes.is_empty() {
            return Ok(());
        }
        // The tail is counted already.
        let got = self.got - tail.len();
        let size = self.encoding.block_bytes();
        let mut block = (got - self.carry.len()) / size;
        self.got += bytes.len();
        if !self.carry.is_empty() {
            let missing = (size - self.carry.len()).min(bytes.len());
            self.carry.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.carry.len() < size {
                return Ok(());
            }
            take(block, &self.carry);
            self.carry.clear();
            block += 1;
        }
        let (whole, rest) = bytes.split_at(bytes.len() / size * size);
        self.carry.extend_from_slice(rest);
        if !whole.is_empty() {
            take(block, whole);
        }
        Ok(())
    }

    /// Checks that all bytes came.
    ///
    /// # Errors
    /// [`ExecError::IncompleteWeight`] if not.
    pub fn check(&self, decl: &WeightDecl) -> Result<(), ExecError> {
        if self.got == self.expected {
            return Ok(());
        }
        Err(self.incomplete(decl, self.got))
    }

    fn incomplete(&self, decl: &WeightDecl, got: usize) -> ExecError {
        ExecError::IncompleteWeight {
            name: decl.name.clone(),
            got,
            expected: self.expected,
        }
    }
}
