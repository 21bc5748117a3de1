//! Letting waiting messages in between two pieces of work.

use std::cell::RefCell;

use js_sys::{Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageChannel, MessagePort};

use wasm_bindgen::JsCast;

/// A message to oneself. A timeout of zero would do the same, but browsers make nested timeouts
/// wait for four milliseconds, an eighth of what a token takes.
struct Loopback {
    sender: MessagePort,
    waiting: Vec<Function>,
}

thread_local! {
    static LOOPBACK: RefCell<Option<Loopback>> = const { RefCell::new(None) };
}

fn open() -> Option<Loopback> {
    let channel = MessageChannel::new().ok()?;
    let heard = Closure::<dyn FnMut()>::new(|| {
        let waiting = LOOPBACK.with_borrow_mut(|loopback| {
            loopback
                .as_mut()
                .map(|l| std::mem::take(&mut l.waiting))
                .unwrap_or_default()
        });
        for resolve in waiting {
            // A promise's resolve function does not throw.
            let _ = resolve.call0(&JsValue::UNDEFINED);
        }
    });
    channel
        .port1()
        .set_onmessage(Some(heard.as_ref().unchecked_ref()));
    // The one port lives as long as the worker.
    heard.forget();
    Some(Loopback {
        sender: channel.port2(),
        waiting: Vec::new(),
    })
}

/// Returns after messages that are already waiting have been delivered.
pub async fn yield_to_events() {
    let promise = Promise::new(&mut |resolve, _| {
        let sent = LOOPBACK.with_borrow_mut(|loopback| {
            if loopback.is_none() {
                *loopback = open();
            }
            let loopback = loopback.as_mut()?;
            loopback.sender.post_message(&JsValue::NULL).ok()?;
            loopback.waiting.push(resolve.clone());
            Some(())
        });
        if sent.is_none() {
            let _ = resolve.call0(&JsValue::UNDEFINED);
        }
    });
    let _ = JsFuture::from(promise).await;
}
