//! Files the person opened or dropped.

use glassformer_graph::LocalFuture;

use super::{Chunks, reason};
use crate::protocol::Origin;
use crate::{ByteStream, Cancel, EngineError, Source};

/// A file on the person's disk.
#[derive(Clone, Debug)]
pub struct OpenedFile {
    file: web_sys::File,
    name: String,
}

impl OpenedFile {
    /// A file that came with a message.
    pub fn new(file: web_sys::File) -> Self {
        let name = file.name();
        Self { file, name }
    }
}

impl Source for OpenedFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> Option<u64> {
        Some(self.file.size() as u64)
    }

    fn open<'a>(
        &'a self,
        _: &'a Cancel,
    ) -> LocalFuture<'a, Result<Box<dyn ByteStream + 'a>, EngineError>> {
        Box::pin(async move {
            let chunks = Chunks::new(&self.file.stream());
            let name = &self.name;
            Ok(Box::new(FileStream { chunks, name }) as Box<dyn ByteStream>)
        })
    }
}

struct FileStream<'a> {
    chunks: Chunks,
    name: &'a str,
}

impl ByteStream for FileStream<'_> {
    fn origin(&self) -> Origin {
        Origin::File
    }

    fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<u8>>, EngineError>> {
        Box::pin(async move {
            let chunk = self
                .chunks
                .next()
                .await
                .map_err(|error| EngineError::Read {
                    file: self.name.into(),
                    reason: reason(&error),
                })?;
            Ok(chunk.map(|chunk| chunk.to_vec()))
        })
    }
}
