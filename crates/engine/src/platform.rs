//! What differs between a browser's worker and a shell, beyond where bytes come from.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::pin;
use std::rc::Rc;

use futures::channel::oneshot;
use futures::future::{Either, select};

use crate::EngineError;

/// Tells a request that nobody waits for it any more. Copies share one flag.
#[derive(Clone, Default)]
pub struct Cancel(Rc<State>);

#[derive(Default)]
struct State {
    cancelled: Cell<bool>,
    listeners: RefCell<Vec<Box<dyn FnOnce()>>>,
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

impl Cancel {
    /// Sets the flag and runs what was registered.
    pub fn cancel(&self) {
        self.0.cancelled.set(true);
        for listener in self.0.listeners.take() {
            listener();
        }
    }

    /// Runs `f` on cancel, at once if that has happened: for work that waits for something else
    /// than the flag, such as the network.
    pub fn on_cancel(&self, f: impl FnOnce() + 'static) {
        if self.is_cancelled() {
            f();
        } else {
            self.0.listeners.borrow_mut().push(Box::new(f));
        }
    }

    /// Waits until it is set.
    pub async fn cancelled(&self) {
        let (sender, receiver) = oneshot::channel::<()>();
        self.on_cancel(move || {
            // Whoever waited may have gone.
            let _ = sender.send(());
        });
        // The sender is dropped unsent only together with the flag.
        let _ = receiver.await;
    }

    /// What `work` gives, unless this is set first.
    ///
    /// # Errors
    /// Those of `work`, and [`EngineError::Cancelled`].
    pub async fn until<T>(
        &self,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        match select(pin!(work), pin!(self.cancelled())).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err(EngineError::Cancelled),
        }
    }

    /// Whether it is set.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.get()
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
