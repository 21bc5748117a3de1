//! The kernels of relaxed SIMD in Chromium, bit by bit against the scalar twin of
//! `crates/cpu/tests/products.rs`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use glassformer_tests::browser::Browser;
use glassformer_tests::server::Server;
use glassformer_tests::{TempDir, cannot_run, chrome};
use serde_json::json;

#[test]
fn relaxed_products_are_bit_exact() {
    let name = "relaxed_products_are_bit_exact";
    let Some(chrome) = chrome(name) else {
        return;
    };
    let module = std::env::var_os("GLASSFORMER_PRODUCTS").map(PathBuf::from);
    let Some(module) = module.filter(|path| path.exists()) else {
        let reason = "it needs the kernels built for WebAssembly: use `cargo xtask test`";
        return cannot_run(name, reason);
    };
    let folder = TempDir::new("products").unwrap();
    let page = "<!doctype html><link rel=icon href='data:,'>";
    std::fs::write(folder.path().join("index.html"), page).unwrap();
    std::fs::copy(&module, folder.path().join("products.wasm")).unwrap();
    let server = Server::start(0, &[("/", folder.path())]).unwrap();
    let browser = Browser::launch(&chrome).unwrap();
    let mut page = browser.new_page().unwrap();
    page.goto(&server.url()).unwrap();

    // That the module holds the instruction, and is not the plain one by mistake: engines name it
    // where they lack it, so look for its bytes.
    let bytes = std::fs::read(&module).unwrap();
    assert!(
        bytes.windows(3).any(|code| code == [0xfd, 0x93, 2]),
        "{} has no relaxed products",
        module.display()
    );
    let script = "WebAssembly.instantiateStreaming(fetch('products.wasm'))\
                  .then(({ instance }) => instance.exports.check(1, 4000))";
    assert_eq!(page.evaluate(script).unwrap(), json!(0));
    page.expect_quiet(&server.url()).unwrap();
}
