//! wgpu has no name for WebGPU's feature `subgroups`, so it never asks a browser for it. While an
//! [`Asking`] lives, `GPUAdapter.requestDevice` adds it to what is asked for, where the adapter has
//! it. Shaders pass through wgpu unparsed; they need `enable subgroups;` on top.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Function, Object, Proxy, Reflect};
use wasm_bindgen::prelude::*;

/// WebGPU's name of the feature, and of the extension of its language.
const NAME: &str = "subgroups";
const METHOD: &str = "requestDevice";

/// Called in place of a function: the function, its `this`, its arguments.
type Apply = dyn Fn(Function, JsValue, Array) -> Result<JsValue, JsValue>;

/// Puts the browser's own method back when it is dropped.
pub(crate) struct Asking {
    prototype: JsValue,
    original: JsValue,
    granted: Rc<Cell<bool>>,
    /// Lives as long as it can be called.
    _apply: Closure<Apply>,
}

impl Asking {
    /// Starts asking; nothing where there is no WebGPU to ask.
    pub(crate) fn start() -> Option<Self> {
        let get = |object: &JsValue, key: &str| Reflect::get(object, &key.into()).ok();
        let prototype = get(&get(&js_sys::global(), "GPUAdapter")?, "prototype")?;
        let original = get(&prototype, METHOD)?;
        if !original.is_function() {
            return None;
        }
        let granted = Rc::new(Cell::new(false));
        let asked = Rc::clone(&granted);
        let apply = Closure::<Apply>::new(
            move |method: Function, adapter: JsValue, arguments: Array| {
                // What cannot be asked for is asked for without.
                asked.set(ask(&adapter, &arguments).unwrap_or(false));
                Reflect::apply(&method, &adapter, &arguments)
            },
        );
        let handler = Object::new();
        Reflect::set(&handler, &"apply".into(), apply.as_ref()).ok()?;
        let replaced = Proxy::new(&original, &handler);
        Reflect::set(&prototype, &METHOD.into(), &replaced).ok()?;
        Some(Self {
            prototype,
            original,
            granted,
            _apply: apply,
        })
    }

    /// Whether a device was asked for subgroups; it has them if it opens.
    pub(crate) fn granted(&self) -> bool {
        self.granted.get()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // A property that could be set can be set back.
        let _ = Reflect::set(&self.prototype, &METHOD.into(), &self.original);
    }
}

/// Adds the feature to the descriptor in a call's arguments; says whether the adapter has it.
fn ask(adapter: &JsValue, arguments: &Array) -> Result<bool, JsValue> {
    let features = Reflect::get(adapter, &"features".into())?;
    let has: Function = Reflect::get(&features, &"has".into())?.dyn_into()?;
    if !has.call1(&features, &NAME.into())?.is_truthy() {
        return Ok(false);
    }
    let descriptor = arguments.get(0);
    let key = "requiredFeatures".into();
    let wanted = Reflect::get(&descriptor, &key)?;
    let wanted = if wanted.is_undefined() {
        Array::new()
    } else {
        Array::from(&wanted)
    };
    wanted.push(&NAME.into());
    Reflect::set(&descriptor, &key, &wanted)
}
