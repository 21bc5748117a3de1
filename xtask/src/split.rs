//! Cuts the programs of a built site into what is needed at once and parts that are fetched when they
//! are first called.
//!
//! Where to cut, `#[wasm_split(part)]` says in the code. Trunk knows nothing of it, so what it wrote of
//! each program is written again here, from the same WebAssembly before wasm-bindgen.

use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use crate::error::{Error, Result, file};
use crate::step::run;
use crate::tools::{Tools, WASM};
use crate::workspace::Workspace;

/// The programs of the site.
const PROGRAMS: [&str; 3] = [
    "glassformer-web",
    "glassformer-worker",
    "glassformer-worker-relaxed",
];

/// What loads the parts, in their folder.
const LOADER: &str = "./parts.js";

/// Cuts all programs of the site in `dist`, which cargo built with `profile`.
pub fn split(workspace: &Workspace, tools: &Tools, profile: &str, dist: &Path) -> Result<()> {
    let built = workspace.target().join(WASM).join(profile);
    let names = names(dist)?;
    for program in PROGRAMS {
        // The page's files carry a digest of their content in their names.
        let is_of = |name: &&String| {
            let rest = name.strip_prefix(program);
            let digest = rest.and_then(|rest| rest.strip_suffix("_bg.wasm"));
            digest.is_some_and(|digest| digest.is_empty() || is_digest(digest))
        };
        let wasm = names.iter().find(is_of).ok_or_else(|| {
            Error::State(format!("Trunk wrote no {program} into {}", dist.display()))
        })?;
        let stem = wasm.trim_end_matches("_bg.wasm");
        let raw = built.join(program).with_extension("wasm");
        cut(tools, &raw, dist, stem)?;
    }
    Ok(())
}

/// Whether this is `-` and hexadecimal digits.
fn is_digest(name: &str) -> bool {
    let digits = name.strip_prefix('-').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = || file(folder);
    let entries = std::fs::read_dir(folder).map_err(failed())?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(
            entry
                .map_err(failed())?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    Ok(names)
}

/// Cuts one program: `stem.js` and `stem_bg.wasm` are what is needed at once; the parts are in a folder
/// named by the program's content, so that a cache never mixes two builds.
fn cut(tools: &Tools, raw: &Path, dist: &Path, stem: &str) -> Result<()> {
    let program = std::fs::read(raw).map_err(file(raw))?;
    let mut digest = DefaultHasher::new();
    digest.write(&program);
    let folder = format!("parts-{:016x}", digest.finish());
    let parts = dist.join(&folder);
    let main = parts.join(stem).with_extension("wasm");
    let page = format!("../{stem}.js");
    let mut options = wasm_split_cli_support::Options::new(&program);
    options.output_dir = &parts;
    options.main_out_path = &main;
    options.link_name = LOADER;
    options.main_module = &page;
    let uncut = |e| Error::State(format!("{stem} cannot be cut into parts: {e}"));
    let cut = wasm_split_cli_support::transform(options).map_err(|e| uncut(format!("{e:#}")))?;
    for part in cut.split_modules {
        let whole = std::fs::read(&part).map_err(file(&part))?;
        let bare = without_notes(&whole).ok_or_else(|| uncut("a part is no WebAssembly".into()))?;
        std::fs::write(&part, bare).map_err(file(&part))?;
    }
    let mut bindgen = tools.bindgen();
    bindgen
        .args(["--target", "web", "--no-typescript", "--keep-lld-exports"])
        .args(["--remove-name-section", "--out-name", stem, "--out-dir"])
        .args([dist, &main]);
    run(&mut bindgen, "The messages above say why.")?;
    std::fs::remove_file(&main).map_err(file(&main))?;
    // wasm-bindgen looks for the loader beside the program.
    let script = dist.join(stem).with_extension("js");
    let code = std::fs::read_to_string(&script).map_err(file(&script))?;
    let beside = format!("from \"{LOADER}\"");
    let there = format!("from \"./{folder}/{}\"", LOADER.trim_start_matches("./"));
    if !code.contains(&beside) {
        return Err(uncut(
            "wasm-bindgen's script does not load the parts".into(),
        ));
    }
    let code = code.replace(&beside, &there);
    std::fs::write(&script, code).map_err(file(&script))
}

/// A module without its custom sections, which hold the names of functions; `None` if it is none.
fn without_notes(module: &[u8]) -> Option<Vec<u8>> {
    const PREAMBLE: usize = 8;
    const CUSTOM: u8 = 0;
    let mut bare = module.get(..PREAMBLE)?.to_vec();
    let mut at = PREAMBLE;
    while let Some(&id) = module.get(at) {
        let (length, digits) = leb128(module.get(at + 1..)?)?;
        let end = at.checked_add(1 + digits)?.checked_add(length)?;
        let section = module.get(at..end)?;
        if id != CUSTOM {
            bare.extend(section);
        }
        at = end;
    }
    Some(bare)
}

/// A number as WebAssembly writes lengths, and how many bytes it takes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_sections_go_and_the_others_stay() {
        let preamble = b"\0asm\x01\0\0\0".as_slice();
        let name = [&[0, 0x80 + 3, 0], b"abc".as_slice()].concat();
        let (types, code) = ([1, 1, 0].as_slice(), [10, 1, 0].as_slice());
        let module = [preamble, types, &name, code, &name].concat();
        let bare = [preamble, types, code].concat();
        assert_eq!(without_notes(&module), Some(bare));
        assert_eq!(without_notes(&module[..module.len() - 1]), None);
        assert_eq!(without_notes(b"\0asm"), None);
    }

    #[test]
    fn a_digest_is_told_from_another_program() {
        assert!(is_digest("-0123abcd"));
        assert!(!is_digest("-relaxed") && !is_digest("-") && !is_digest("0123"));
    }
}
