//! What differs between a browser's worker and a shell, beyond where bytes come from.

use std::cell::Cell;
use std::rc::Rc;

use crate::EngineError;

/// Tells a request that nobody waits for it any more. Copies share one flag.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Rc<Cell<bool>>);

impl Cancel {
    /// Sets the flag.
    pub fn cancel(&self) {
        self.0.set(true);
    }

    /// Whether it is set.
    pub fn is_cancelled(&self) -> bool {
        self.0.get()
    }

    /// Fails if it is set.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`].
    pub fn check(&self) -> Result<(), EngineError> {
        if self.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        Ok(())
    }
}

/// Bytes of the WebAssembly memory; 0 natively, where the system knows better.
pub fn heap_bytes() -> u64 {
    #[cfg(target_arch = "wasm32")]
    {
        const PAGE: u64 = 1 << 16;
        core::arch::wasm32::memory_size(0) as u64 * PAGE
    }
    #[cfg(not(target_arch = "wasm32"))]
    0
}

/// Lets waiting messages be heard. Natively nothing waits.
pub async fn yield_now() {
    #[cfg(target_arch = "wasm32")]
    crate::browser::yield_to_events().await;
}
