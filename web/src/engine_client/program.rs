//! Which of the two workers this browser can run.

use js_sys::{Function, Object, Reflect, Uint8Array, WebAssembly};
use wasm_bindgen::{JsCast, JsValue};

/// For every browser with WebAssembly SIMD. Beside the page; the shim loads the WebAssembly.
const PLAIN: &str = "./glassformer-worker_loader.js";
/// The same engine for browsers with relaxed SIMD.
const RELAXED: &str = "./glassformer-worker-relaxed_loader.js";

/// A module of one function, `f() = 1 + 4 · (−128 · 127)`, by the instruction that matters.
#[rustfmt::skip]
const PROBE: [u8; 52] = [
    0, b'a', b's', b'm', 1, 0, 0, 0,  // WebAssembly, version 1
    1, 5, 1, 0x60, 0, 1, 0x7f,        // types: one, () → i32
    3, 2, 1, 0,                       // functions: one, of that type
    7, 5, 1, 1, b'f', 0, 0,           // exports: the function, as `f`
    10, 24, 1, 22, 0,                 // code: one body of 22 bytes, without locals
    0x41, 0x80, 0x7f, 0xfd, 15,       // i32.const −128, i8x16.splat
    0x41, 0xff, 0x00, 0xfd, 15,       // i32.const 127, i8x16.splat
    0x41, 1, 0xfd, 17,                // i32.const 1, i32x4.splat
    0xfd, 0x93, 2,                    // i32x4.relaxed_dot_i8x16_i7x16_add_s
    0xfd, 27, 0,                      // i32x4.extract_lane 0
    0x0b,                             // end
];
const ANSWER: f64 = -65023.0;

/// The worker's script; only the chosen one is ever fetched.
pub fn worker_program() -> &'static str {
    match probe() {
        Ok(answer) if answer == ANSWER => RELAXED,
        // A browser refused the module, or computes it wrong, as V8 did while it was new (11.3).
        _ => PLAIN,
    }
}

fn probe() -> Result<JsValue, JsValue> {
    let module = WebAssembly::Module::new(&Uint8Array::from(PROBE.as_slice()))?;
    let instance = WebAssembly::Instance::new(&module, &Object::new())?;
    let f = Reflect::get(&instance.exports(), &"f".into())?;
    f.dyn_into::<Function>()?.call0(&JsValue::NULL)
}
