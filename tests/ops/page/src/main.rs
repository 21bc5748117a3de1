//! The comparisons of `glassformer_ops` in a browser: `wasmBindings.names()` and
//! `wasmBindings.compare(name, subgroups)`.

#[cfg(target_arch = "wasm32")]
mod page {
    use std::rc::Rc;

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
    pub async fn device(subgroups: bool) -> Result<String, String> {
        let gpu = open(subgroups).await;
        gpu.map(|gpu| format!("{:?}", gpu.info()))
    }

    async fn open(subgroups: bool) -> Result<Rc<Gpu>, String> {
        let wanted = Wanted {
            subgroups,
            ..Wanted::default()
        };
        let gpu = Gpu::open(wanted).await;
        gpu.map_err(|error| error.to_string())
    }

    /// Runs a case; gives the number of values compared.
    ///
    /// # Errors
    /// Lists what differs.
    #[wasm_bindgen]
    pub async fn compare(name: String, subgroups: bool) -> Result<usize, String> {
        let case = ALL.iter().find(|(other, _)| *other == name);
        let (_, case) = case.ok_or_else(|| format!("There is no case {name}."))?;
        let gpu = open(subgroups).await?;
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
