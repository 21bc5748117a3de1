//! How large files are on their way to a browser.

use std::path::PathBuf;
use std::process::Command;

use crate::error::{Error, Result};
use crate::step::output;
use crate::tools::on_path;

/// Python compresses, as it is there anyway, so that this package stays small.
const SCRIPT: &str = "\
import gzip, sys
for path in sys.argv[1:]:
    with open(path, 'rb') as file:
        print(len(gzip.compress(file.read(), 9)))
";

/// The bytes of each file, compressed by `gzip -9`.
pub fn sizes(files: &[PathBuf]) -> Result<Vec<u64>> {
    let failed = || Error::State("the sizes could not be measured with Python 3".to_owned());
    let python = on_path("python3").or_else(|| on_path("python"));
    let python = python.ok_or_else(failed)?;
    let said = output(Command::new(python).args(["-c", SCRIPT]).args(files)).ok_or_else(failed)?;
    let sizes: Option<Vec<u64>> = said.lines().map(|line| line.trim().parse().ok()).collect();
    sizes
        .filter(|sizes| sizes.len() == files.len())
        .ok_or_else(failed)
}
