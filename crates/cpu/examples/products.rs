//! The cases of `tests/products.rs` for a browser: a module that exports `check`.
#![allow(missing_docs, reason = "not a library")]

#[path = "../tests/twin/mod.rs"]
mod twin;

/// How many cases from `first` on differ from the scalar twin.
#[unsafe(no_mangle)]
pub extern "C" fn check(first: u32, count: u32) -> u32 {
    let cases = (first..first + count).map(|seed| twin::Case::new(seed.into()));
    cases.filter(|case| case.difference().is_some()).count() as u32
}
