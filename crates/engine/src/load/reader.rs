//! Reading a model's files.

use glassformer_graph::ExecError;
use glassformer_weights::{FileStream, Header};
use web_time::Instant;

use super::sinks::{HeaderSink, ModelSink};
use super::{OnProgress, PAUSE, Result};
use crate::{ByteStream, Cancel, EngineError, Source, yield_now};

/// Reads files, telling progress and hearing cancels.
pub(super) struct Reader<'a> {
    pub(super) progress: OnProgress<'a>,
    pub(super) cancel: &'a Cancel,
    pub(super) done: u64,
    pub(super) total: Option<u64>,
    pub(super) paused: Instant,
    pub(super) notice: Option<String>,
}

impl Reader<'_> {
    /// A small file as a whole.
    pub(super) async fn whole(&mut self, source: &dyn Source, most: u64) -> Result<Vec<u8>> {
        let mut stream = source.open(self.cancel).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await? {
            self.cancel.check()?;
            bytes.extend(chunk);
            if bytes.len() as u64 > most {
                let file = source.name().into();
                return Err(EngineError::TooLarge { file });
            }
        }
        Ok(bytes)
    }

    /// A file of the model as a whole, told as progress.
    pub(super) async fn counted(&mut self, source: &dyn Source, most: u64) -> Result<Vec<u8>> {
        let mut stream = source.open(self.cancel).await?;
        let mut bytes = Vec::new();
        // A file as large as it says, or a little more; what it says may be wrong.
        let room = usize::try_from(source.len().unwrap_or(0).min(most)).unwrap_or(0);
        bytes
            .try_reserve_exact(room)
            .map_err(|_| ExecError::OutOfMemory { bytes: room })?;
        while let Some(chunk) = stream.next().await? {
            self.done += chunk.len() as u64;
            bytes.extend(chunk);
            if bytes.len() as u64 > most {
                let file = source.name().into();
                return Err(EngineError::TooLarge { file });
            }
            self.pause(stream.as_ref()).await?;
        }
        (self.progress)(self.done, self.total, stream.origin());
        self.notice = stream.notice().or(self.notice.take());
        Ok(bytes)
    }

    /// The header of a file, reading no more of it than that.
    pub(super) async fn header(&mut self, source: &dyn Source) -> Result<Header> {
        let mut stream = source.open(self.cancel).await?;
        let mut file = file_stream(source);
        let mut sink = HeaderSink(None);
        while let Some(chunk) = stream.next().await? {
            self.cancel.check()?;
            if let Err(error) = file.push(&chunk, &mut sink) {
                return Err(self.blame(source, stream, error).await);
            }
            if let Some(header) = sink.0 {
                return Ok(header);
            }
        }
        file.finish()?;
        Err(EngineError::NoModel)
    }

    /// All of a file.
    pub(super) async fn stream<S: ModelSink>(
        &mut self,
        source: &dyn Source,
        sink: &mut S,
    ) -> Result<()> {
        let mut stream = source.open(self.cancel).await?;
        let mut file = file_stream(source);
        (self.progress)(self.done, self.total, stream.origin());
        while let Some(chunk) = stream.next().await? {
            if let Err(error) = file.push(&chunk, sink) {
                return Err(self.blame(source, stream, error).await);
            }
            sink.settle(self.cancel).await?;
            self.done += chunk.len() as u64;
            self.pause(stream.as_ref()).await?;
        }
        self.cancel.check()?;
        file.finish()?;
        (self.progress)(self.done, self.total, stream.origin());
        self.notice = stream.notice().or(self.notice.take());
        Ok(())
    }

    /// Why a file was refused in the middle. Damage on the way looks like another kind of file, so a published one is
    /// read to its end, where its hash tells which it is.
    async fn blame(
        &mut self,
        source: &dyn Source,
        mut stream: Box<dyn ByteStream + '_>,
        refused: EngineError,
    ) -> EngineError {
        // No damage: there is no memory, or no GPU.
        if !source.is_published() || matches!(refused, EngineError::Exec(_)) {
            return refused;
        }
        loop {
            match stream.next().await {
                Ok(Some(chunk)) => self.done += chunk.len() as u64,
                Ok(None) => return refused,
                Err(error) => return error,
            }
            if let Err(error) = self.pause(stream.as_ref()).await {
                return error;
            }
        }
    }

    /// Lets waiting messages in from time to time.
    pub(super) async fn breathe(&mut self) -> Result<()> {
        if self.paused.elapsed() > PAUSE {
            yield_now().await;
            self.paused = Instant::now();
        }
        self.cancel.check()
    }

    async fn pause(&mut self, stream: &dyn ByteStream) -> Result<()> {
        if self.paused.elapsed() > PAUSE {
            (self.progress)(self.done, self.total, stream.origin());
            yield_now().await;
            self.paused = Instant::now();
        }
        self.cancel.check()
    }
}

fn file_stream(source: &dyn Source) -> FileStream {
    source
        .len()
        .map_or_else(FileStream::new, FileStream::with_length)
}
