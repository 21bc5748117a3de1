//! Where the bytes of a model's files come from.

use glassformer_graph::LocalFuture;

use crate::protocol::Origin;
use crate::{Cancel, EngineError};

/// A file that can be read from its beginning, more than once.
pub trait Source {
    /// Its name without folders.
    fn name(&self) -> &str;

    /// Its length, where that is certain.
    fn len(&self) -> Option<u64>;

    /// Whether it is known to hold nothing.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Whether the end of its stream tells if these are the bytes that were published.
    fn is_published(&self) -> bool {
        false
    }

    /// Starts reading. A stream that is dropped or fails before its end leaves nothing behind.
    fn open<'a>(
        &'a self,
        cancel: &'a Cancel,
    ) -> LocalFuture<'a, Result<Box<dyn ByteStream + 'a>, EngineError>>;
}

/// A file being read.
pub trait ByteStream {
    /// Where its bytes come from.
    fn origin(&self) -> Origin;

    /// The next bytes, or `None` at the end, which is reached only if all bytes were right.
    fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<u8>>, EngineError>>;

    /// Something the person should know once the file is read, such as that it was not cached.
    fn notice(&self) -> Option<String> {
        None
    }
}

/// A file that is in memory.
#[derive(Clone, Debug)]
pub struct MemorySource {
    /// Its name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Source for MemorySource {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }

    fn open<'a>(
        &'a self,
        _: &'a Cancel,
    ) -> LocalFuture<'a, Result<Box<dyn ByteStream + 'a>, EngineError>> {
        let stream = MemoryStream(self.bytes.chunks(CHUNK));
        Box::pin(async move { Ok(Box::new(stream) as Box<dyn ByteStream>) })
    }
}

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

struct MemoryStream<'a>(std::slice::Chunks<'a, u8>);

impl ByteStream for MemoryStream<'_> {
    fn origin(&self) -> Origin {
        Origin::File
    }

    fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<u8>>, EngineError>> {
        let chunk = self.0.next().map(<[u8]>::to_vec);
        Box::pin(async move { Ok(chunk) })
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::PathSource;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::fs::File;
    use std::io::Read;
    use std::path::PathBuf;

    use super::{ByteStream, CHUNK, Cancel, EngineError, LocalFuture, Origin, Source};

    /// A file on disk.
    #[derive(Clone, Debug)]
    pub struct PathSource {
        path: PathBuf,
        name: String,
        len: u64,
    }

    impl PathSource {
        /// The file at a path.
        ///
        /// # Errors
        /// If there is none.
        pub fn new(path: impl Into<PathBuf>) -> Result<Self, EngineError> {
            let path = path.into();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_else(|| path.display().to_string());
            let meta = std::fs::metadata(&path).map_err(|error| read_error(&name, &error))?;
            let len = meta.len();
            Ok(Self { path, name, len })
        }
    }

    fn read_error(name: &str, error: &std::io::Error) -> EngineError {
        EngineError::Read {
            file: name.into(),
            reason: error.to_string(),
        }
    }

    impl Source for PathSource {
        fn name(&self) -> &str {
            &self.name
        }

        fn len(&self) -> Option<u64> {
            Some(self.len)
        }

        fn open<'a>(
            &'a self,
            _: &'a Cancel,
        ) -> LocalFuture<'a, Result<Box<dyn ByteStream + 'a>, EngineError>> {
            Box::pin(async move {
                let file = File::open(&self.path).map_err(|e| read_error(&self.name, &e))?;
                let name = &self.name;
                Ok(Box::new(FileStream { file, name }) as Box<dyn ByteStream>)
            })
        }
    }

    struct FileStream<'a> {
        file: File,
        name: &'a str,
    }

    impl ByteStream for FileStream<'_> {
        fn origin(&self) -> Origin {
            Origin::File
        }

        fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<u8>>, EngineError>> {
            Box::pin(async move {
                let mut bytes = Vec::with_capacity(CHUNK);
                let file = &mut self.file;
                let read = file.take(CHUNK as u64).read_to_end(&mut bytes);
                read.map_err(|error| read_error(self.name, &error))?;
                Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
            })
        }
    }
}
