//! Files of the manifest: from the cache, or from the page's own server and then into the cache.

use glassformer_graph::LocalFuture;
use sha2::{Digest, Sha256};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Request, RequestCache, RequestInit, Response};

use super::cache::{self, Deposit};
use super::{Chunks, reason, scope};
use crate::protocol::Origin;
use crate::registry::ModelFile;
use crate::{ByteStream, Cancel, EngineError, Source};

/// Where a file of the manifest is, relative to the page.
pub(super) fn url(file: &ModelFile) -> String {
    format!("models/{}", file.path)
}

/// A file of the manifest.
#[derive(Clone, Debug)]
pub struct NetworkFile(pub ModelFile);

impl NetworkFile {
    fn failed(&self, error: &JsValue) -> EngineError {
        EngineError::Fetch {
            file: self.name().into(),
            reason: reason(error),
        }
    }

    async fn fetch(&self, cancel: &Cancel) -> Result<(Response, AbortController), EngineError> {
        let failed = |error: JsValue| self.failed(&error);
        let controller = AbortController::new().map_err(failed)?;
        let init = RequestInit::new();
        init.set_signal(Some(&controller.signal()));
        // Weights are kept once, by our own cache.
        init.set_cache(RequestCache::NoStore);
        let request = Request::new_with_str_and_init(&url(&self.0), &init).map_err(failed)?;
        let stop = controller.clone();
        cancel.on_cancel(move || stop.abort());
        let response = JsFuture::from(scope().fetch_with_request(&request)).await;
        cancel.check()?;
        let response: Response = response.map_err(failed)?.unchecked_into();
        if !response.ok() {
            return Err(EngineError::Status {
                file: self.name().into(),
                status: response.status(),
            });
        }
        Ok((response, controller))
    }

    fn chunks(&self, response: &Response) -> Result<Chunks, EngineError> {
        let body = response.body().ok_or_else(|| self.failed(&JsValue::NULL))?;
        Ok(Chunks::new(&body))
    }
}

impl Source for NetworkFile {
    fn name(&self) -> &str {
        self.0.path.rsplit('/').next().unwrap_or(&self.0.path)
    }

    fn len(&self) -> Option<u64> {
        Some(self.0.bytes)
    }

    fn is_published(&self) -> bool {
        true
    }

    fn open<'a>(
        &'a self,
        cancel: &'a Cancel,
    ) -> LocalFuture<'a, Result<Box<dyn ByteStream + 'a>, EngineError>> {
        Box::pin(async move {
            if let Some(response) = cache::find(&self.0).await {
                let stream = CachedStream {
                    file: self,
                    chunks: self.chunks(&response)?,
                    left: self.0.bytes,
                };
                return Ok(Box::new(stream) as Box<dyn ByteStream>);
            }
            let (response, abort) = self.fetch(cancel).await?;
            Ok(Box::new(Download {
                file: self,
                chunks: self.chunks(&response)?,
                abort,
                cancel,
                hash: Sha256::new(),
                deposit: Deposit::begin(&self.0).await,
                notice: None,
            }) as Box<dyn ByteStream>)
        })
    }
}

/// A file whose hash was right when it was cached.
struct CachedStream<'a> {
    file: &'a NetworkFile,
    chunks: Chunks,
    /// Bytes that are still to come.
    left: u64,
}

impl ByteStream for CachedStream<'_> {
    fn origin(&self) -> Origin {
        Origin::Cache
    }

    fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<u8>>, EngineError>> {
        Box::pin(async move {
            let chunk = match self.chunks.next().await {
                Ok(Some(chunk)) => Some(chunk),
                Ok(None) if self.left == 0 => None,
                // The next attempt downloads it again.
                _ => {
                    cache::forget(&self.file.0).await;
                    let reason = "the copy that the browser kept is damaged and was dropped, so run again to fetch it";
                    return Err(EngineError::Read {
                        file: self.file.name().into(),
                        reason: reason.into(),
                    });
                }
            };
            Ok(chunk.map(|chunk| {
                self.left = self.left.saturating_sub(u64::from(chunk.length()));
                chunk.to_vec()
            }))
        })
    }
}

/// A file that is hashed and cached as it arrives.
struct Download<'a> {
    file: &'a NetworkFile,
    chunks: Chunks,
    abort: AbortController,
    cancel: &'a Cancel,
    hash: Sha256,
    deposit: Option<Deposit>,
    notice: Option<String>,
}

impl Download<'_> {
    /// What to say when the cache gives up. The model is used all the same.
    fn uncached(&mut self) {
        self.deposit = None;
        self.notice = Some(
            "The browser has no room left to keep the model, so it will be downloaded again next time."
                .into(),
        );
    }

    async fn end(&mut self) -> Result<(), EngineError> {
        let hash = self.hash.finalize_reset();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        if hex != self.file.0.sha256 {
            return Err(EngineError::WrongHash {
                file: self.file.name().into(),
            });
        }
        if let Some(deposit) = self.deposit.take()
            && deposit.publish().await.is_err()
        {
            self.uncached();
        }
        Ok(())
    }
}

impl ByteStream for Download<'_> {
    fn origin(&self) -> Origin {
        Origin::Network
    }

    fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<u8>>, EngineError>> {
        Box::pin(async move {
            let chunk = self.chunks.next().await;
            self.cancel.check()?;
            let Some(chunk) = chunk.map_err(|error| self.file.failed(&error))? else {
                self.end().await?;
                return Ok(None);
            };
            let bytes = chunk.to_vec();
            self.hash.update(&bytes);
            if let Some(deposit) = &self.deposit
                && deposit.write(&chunk).await.is_err()
            {
                self.uncached();
            }
            self.cancel.check()?;
            Ok(Some(bytes))
        })
    }

    fn notice(&self) -> Option<String> {
        self.notice.clone()
    }
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        // Ends the transfer if it has not ended by itself.
        self.abort.abort();
    }
}
