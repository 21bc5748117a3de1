//! A part of every case in Chromium's software adapter: no half precision, subgroups of four or
//! shared memory in their place, and another compiler of shaders.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use glassformer_ops::cases::{ALL, WITHOUT_MATRICES};
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
    let names = page.evaluate("wasmBindings.names()").unwrap();
    assert_eq!(names.as_array().unwrap().len(), ALL.len());
    for subgroups in [false, true] {
        let device = page.evaluate(&format!("wasmBindings.device({subgroups})"));
        let device = device.unwrap().to_string();
        println!("{device}");
        // Chromium's adapter has them; asked for, they are really there.
        let said = format!("subgroups: {subgroups}");
        assert!(device.contains(&said), "{device}");
        let same = |name: &str| subgroups && WITHOUT_MATRICES.contains(&name);
        for (name, _) in ALL.iter().filter(|(name, _)| !same(name)) {
            let call = format!("wasmBindings.compare({name:?}, {subgroups})");
            let began = Instant::now();
            let script = format!("{call}.catch((e) => String(e))");
            let compared = page.evaluate_within(&script, LIMIT).unwrap();
            let count = compared.as_u64();
            assert!(count.is_some_and(|count| count > 0), "{name}: {compared}");
            let seconds = began.elapsed().as_secs_f32();
            println!("{name}: {compared} values, {seconds:.1} s");
        }
    }
    page.expect_quiet(&server.url()).unwrap();
}
