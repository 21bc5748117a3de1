//! A part of every case in Chromium's software adapter: no half precision, shared memory in place
//! of subgroups, and another compiler of shaders.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use glassformer_ops::cases::ALL;
use glassformer_tests::browser::{Browser, SOFTWARE_WEBGPU};
use glassformer_tests::server::Server;

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn operations_in_a_browser() {
    const TEST: &str = "operations_in_a_browser";
    let folder = std::env::var_os("GLASSFORMER_OPS_PAGE").map(PathBuf::from);
    let Some(folder) = folder.filter(|folder| folder.exists()) else {
        glassformer_tests::cannot_run(TEST, "it needs the built page: use `cargo xtask test`");
        return;
    };
    let Some(chrome) = glassformer_tests::chrome(TEST) else {
        return;
    };
    let server = Server::start(0, &[("/", &folder)]).unwrap();
    let browser = Browser::launch_with(&chrome, SOFTWARE_WEBGPU).unwrap();
    let mut page = browser.new_page().unwrap();
    page.goto(&server.url()).unwrap();
    page.wait_for("globalThis.wasmBindings?.names", LIMIT)
        .unwrap();
    let device = page.evaluate("wasmBindings.device()").unwrap();
    println!("{device}");
    let names = page.evaluate("wasmBindings.names()").unwrap();
    assert_eq!(names.as_array().unwrap().len(), ALL.len());
    for (name, _) in ALL {
        let script = format!("wasmBindings.compare({name:?}).catch((e) => String(e))");
        let began = Instant::now();
        let compared = page.evaluate_within(&script, LIMIT).unwrap();
        let count = compared.as_u64();
        assert!(count.is_some_and(|count| count > 0), "{name}: {compared}");
        let seconds = began.elapsed().as_secs_f32();
        println!("{name}: {compared} values, {seconds:.1} s");
    }
    page.expect_quiet(&server.url()).unwrap();
}
