//! `glassformer quantize`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use glassformer_engine::EngineError;
use serde_json::json;

use crate::commands::show;
use crate::model;
use crate::options::Quantize;

/// Writes the folder as one file; the name is taken only when all of it is there.
pub async fn quantize(args: &Quantize) -> Result<(), EngineError> {
    let files = model::files(&args.model)?;
    let folder = Path::new(&args.model).file_name();
    let folder = folder.map(|name| name.to_string_lossy().into_owned());
    let name = args.name.clone().or(folder).unwrap_or_default();
    let to = &args.to;
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let failed = |error: std::io::Error| EngineError::Write {
        file: to.display().to_string(),
        reason: error.to_string(),
    };
    let mut out = BufWriter::new(File::create(&part).map_err(failed)?);
    let written = files.quantize(&name, &args.description, &mut out).await;
    let written = written.and_then(|written| {
        out.flush().map_err(failed)?;
        std::fs::rename(&part, to).map_err(failed)?;
        Ok(written)
    });
    if written.is_err() {
        // What is half written is of no use.
        let _ = std::fs::remove_file(&part);
    }
    let written = written?;
    if args.json {
        let result = json!({
            "file": to.display().to_string(),
            "bytes": written.bytes,
            "tensors": written.tensors,
            "rounded": written.rounded,
            "relative_error": written.relative_error,
        });
        show(&format!("{result}\n"));
    } else {
        show(&format!(
            "{}: {:.1} MB, {} tensors, {} of them rounded to 8 bits, which changed the weights by {:.2} %\n",
            to.display(),
            written.bytes as f64 / 1e6,
            written.tensors,
            written.rounded,
            written.relative_error * 100.0
        ));
    }
    Ok(())
}
