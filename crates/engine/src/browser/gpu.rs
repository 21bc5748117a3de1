//! Whether the browser offers a GPU, before anything that drives one is fetched.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::{reason, scope};

/// Asks WebGPU for an adapter.
///
/// # Errors
/// Why there is none, to stand inside a sentence.
pub(crate) async fn offers_gpu() -> Result<(), String> {
    let without = || "this browser has no WebGPU".to_owned();
    let gpu = Reflect::get(&scope().navigator(), &"gpu".into()).unwrap_or_default();
    if !gpu.is_object() {
        return Err(without());
    }
    let ask = Reflect::get(&gpu, &"requestAdapter".into()).unwrap_or_default();
    let ask: Function = ask.dyn_into().map_err(|_| without())?;
    let asked = ask
        .call0(&gpu)
        .and_then(|promise| promise.dyn_into::<Promise>());
    let asked = asked.map_err(|error| reason(&error))?;
    match JsFuture::from(asked).await {
        Ok(adapter) if adapter.is_object() => Ok(()),
        Ok(_) => Err("the browser offers no adapter".into()),
        Err(error) => Err(reason(&error)),
    }
}
