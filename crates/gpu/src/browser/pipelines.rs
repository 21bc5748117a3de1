//! Compiling without holding anything up: `createComputePipelineAsync` leaves the work to threads
//! of the browser. wgpu only knows the call that compiles where everything else of the page's GPU
//! work waits; made behind this one, from the same text, layout and constants, a pipeline comes out
//! of the browser's cache.

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::shaders::Access;

/// `GPUShaderStage.COMPUTE`.
const COMPUTE: u32 = 4;

/// Compiles a shader's `main`. The pipeline is of use as long as it lives.
///
/// # Errors
/// Whatever the browser throws; the same fails again, and is told, when wgpu makes it.
pub(crate) async fn compile(
    device: &wgpu::Device,
    text: &str,
    bindings: &[(u32, Access)],
    constants: &[(&str, f64)],
) -> Result<JsValue, JsValue> {
    let device: &JsValue = device.as_webgpu().ok_or(JsValue::UNDEFINED)?.as_ref();
    let entries: Array = bindings
        .iter()
        .map(|&(number, access)| {
            let kind = match access {
                Access::Uniform => "uniform",
                Access::Read => "read-only-storage",
                Access::Write => "storage",
            };
            object(&[
                ("binding", &number.into()),
                ("visibility", &COMPUTE.into()),
                ("buffer", &object(&[("type", &kind.into())])),
            ])
        })
        .collect();
    let entries = object(&[("entries", &entries)]);
    let group = call(device, "createBindGroupLayout", &entries)?;
    let groups = object(&[("bindGroupLayouts", &Array::of1(&group))]);
    let layout = call(device, "createPipelineLayout", &groups)?;
    let module = call(
        device,
        "createShaderModule",
        &object(&[("code", &text.into())]),
    )?;
    let constants: Vec<(&str, JsValue)> = constants
        .iter()
        .map(|&(name, value)| (name, value.into()))
        .collect();
    let constants: Vec<(&str, &JsValue)> = constants.iter().map(|(n, v)| (*n, v)).collect();
    let compute = object(&[
        ("module", &module),
        ("entryPoint", &"main".into()),
        ("constants", &object(&constants)),
    ]);
    let descriptor = object(&[("layout", &layout), ("compute", &compute)]);
    let promise = call(device, "createComputePipelineAsync", &descriptor)?;
    JsFuture::from(promise.dyn_into::<Promise>()?).await
}

fn object(properties: &[(&str, &JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in properties {
        // A new plain object takes every property.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object.into()
}

fn call(of: &JsValue, method: &str, argument: &JsValue) -> Result<JsValue, JsValue> {
    let function: Function = Reflect::get(of, &method.into())?.dyn_into()?;
    function.call1(of, argument)
}
