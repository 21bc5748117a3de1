//! The comparisons of `glassformer_ops` in a browser: `wasmBindings.names()` and
//! `wasmBindings.compare(name)`.

#[cfg(target_arch = "wasm32")]
mod page {
    use glassformer_gpu::{Gpu, Wanted};
    use glassformer_graph::Precision;
    use glassformer_ops::On;
    use glassformer_ops::cases::{ALL, Extent};
    use wasm_bindgen::prelude::*;

    /// Every case.
    #[wasm_bindgen]
    pub fn names() -> Vec<String> {
        ALL.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    /// What the device can do.
    ///
    /// # Errors
    /// If there is none.
    #[wasm_bindgen]
    pub async fn device() -> Result<String, String> {
        let gpu = Gpu::open(Wanted::default()).await;
        gpu.map(|gpu| format!("{:?}", gpu.info()))
            .map_err(|error| error.to_string())
    }

    /// Runs a case; gives the number of values compared.
    ///
    /// # Errors
    /// Lists what differs.
    #[wasm_bindgen]
    pub async fn compare(name: String) -> Result<usize, String> {
        let case = ALL.iter().find(|(other, _)| *other == name);
        let (_, case) = case.ok_or_else(|| format!("There is no case {name}."))?;
        let gpu = Gpu::open(Wanted::default()).await;
        let gpu = gpu.map_err(|error| error.to_string())?;
        let precision = Precision::Exact;
        let report = case(On { gpu, precision }, Extent::Some).await;
        if report.failures.is_empty() {
            Ok(report.compared)
        } else {
            Err(report.failures.join("\n"))
        }
    }
}

fn main() {
    #[cfg(target_arch = "wasm32")]
    console_error_panic_hook::set_once();
    #[cfg(not(target_arch = "wasm32"))]
    println!("This program is a page: `cargo xtask test` opens it.");
}
