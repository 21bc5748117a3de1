//! The page starts the worker that the browser can run, and either computes the same numbers.

use std::collections::BTreeSet;

use serde_json::json;

use super::Journey;

/// Ids and log-probabilities that the page writes, and the WebAssembly it fetched for that.
fn written(journey: &mut Journey) -> (Vec<(u32, f64)>, BTreeSet<String>) {
    let before = journey.server.requests().len();
    journey.open("temperature=0&max_tokens=16");
    let text = "Glass is made of sand. Tell me how, and what else goes into it.";
    journey.page.fill("generate-input", text).unwrap();
    journey.run_to_the_end();
    let requests = journey.server.requests().into_iter().skip(before);
    let workers = requests
        .map(|request| request.path)
        .filter(|path| path.contains("worker") && path.ends_with(".wasm"))
        .collect();
    (journey.tokens(), workers)
}

fn only(paths: &BTreeSet<String>) -> &str {
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths.first().unwrap()
}

#[test]
fn both_workers_write_the_same_numbers() {
    let name = "both_workers_write_the_same_numbers";
    let Some(mut journey) = Journey::begin(name, "") else {
        return;
    };
    let (relaxed, workers) = written(&mut journey);
    assert_eq!(only(&workers), "/glassformer-worker-relaxed_bg.wasm");
    let badge = "document.querySelector('[data-testid=backend-badge]').textContent";
    let said = journey.string(badge);
    assert!(said.contains("Relaxed SIMD on the CPU"), "{said}");

    // A browser without relaxed SIMD.
    let source = "WebAssembly.Module = function () { throw new Error('no relaxed SIMD') }";
    journey
        .page
        .call(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": source }),
        )
        .unwrap();
    let (plain, workers) = written(&mut journey);
    assert_eq!(only(&workers), "/glassformer-worker_bg.wasm");
    let said = journey.string(badge);
    assert!(!said.contains("Relaxed"), "{said}");

    assert!(relaxed.len() >= 12, "{relaxed:?}");
    assert_eq!(relaxed, plain);
    journey.expect_quiet();
}
