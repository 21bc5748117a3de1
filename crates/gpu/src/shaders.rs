//! The shader files, joined: `//#include name` is replaced by `shaders/include/name.wgsl`, where
//! the names `weights`, `numbers`, `input` and `lanes` stand for one of several files, chosen by [`Variant`].
//! The joined text is what is validated, compiled and shown to whoever asks.

use std::collections::HashSet;

pub use glassformer_shaders::{INCLUDES, OPERATIONS};

use crate::GpuError;
use crate::weights::Format;

/// Which of several includes of the same purpose a pipeline takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// Layout of the weights.
    pub weights: Option<Format>,
    /// Whether input rows are whole vectors of four numbers.
    pub aligned: bool,
    /// Whether sums go through subgroups instead of shared memory.
    pub subgroups: bool,
    /// Whether products are computed in f16.
    pub half: bool,
}

impl Variant {
    fn file(self, name: &str) -> &str {
        match (name, self.weights) {
            ("weights", Some(Format::Q4)) => "weights_q4",
            ("weights", Some(Format::Q8)) => "weights_q8",
            ("weights", Some(Format::I8)) => "weights_i8",
            ("weights", Some(Format::F16)) => "weights_f16",
            ("weights", _) => "weights_f32",
            ("numbers", _) if self.half => "numbers_f16",
            ("numbers", _) => "numbers_f32",
            ("input", _) if self.aligned => "input_vec4",
            ("input", _) => "input_scalar",
            ("lanes", _) if self.subgroups => "lanes_subgroup",
            ("lanes", _) => "lanes_shared",
            (name, _) => name,
        }
    }
}

const INCLUDE: &str = "//#include ";

/// What a language extension is asked for with, before anything else in a text.
const ENABLE: &str = "enable ";

fn find(files: &[(&str, &'static str)], name: &str) -> Result<&'static str, GpuError> {
    let file = files.iter().find(|(file, _)| *file == name);
    file.map(|(_, text)| *text)
        .ok_or_else(|| GpuError::Shader(format!("there is no shader file {name}")))
}

/// The whole text of an operation. A file that is included twice is there once; extensions that an
/// include enables come first.
///
/// # Errors
/// If a file does not exist.
pub fn join(operation: &str, variant: Variant) -> Result<String, GpuError> {
    let mut text = String::new();
    let mut seen = HashSet::new();
    append(&mut text, find(OPERATIONS, operation)?, variant, &mut seen)?;
    let (mut first, mut rest) = (String::new(), String::new());
    for line in text.lines() {
        let part = if line.starts_with(ENABLE) {
            &mut first
        } else {
            &mut rest
        };
        part.push_str(line);
        part.push('\n');
    }
    Ok(first + &rest)
}

fn append(
    text: &mut String,
    file: &str,
    variant: Variant,
    seen: &mut HashSet<String>,
) -> Result<(), GpuError> {
    for line in file.lines() {
        let Some(name) = line.strip_prefix(INCLUDE) else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let name = variant.file(name.trim());
        if seen.insert(name.to_owned()) {
            append(text, find(INCLUDES, name)?, variant, seen)?;
        }
    }
    Ok(())
}

/// What a shader may do with a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Constant while it runs.
    Uniform,
    /// Read.
    Read,
    /// Read and written.
    Write,
}

/// The bindings a joined text declares, by number.
pub fn bindings(text: &str) -> Vec<(u32, Access)> {
    let declared = |line: &str| {
        let rest = line.strip_prefix("@group(0) @binding(")?;
        let (number, rest) = rest.split_once(')')?;
        let access = match rest.trim_start() {
            rest if rest.starts_with("var<uniform>") => Access::Uniform,
            rest if rest.starts_with("var<storage, read>") => Access::Read,
            rest if rest.starts_with("var<storage, read_write>") => Access::Write,
            _ => return None,
        };
        Some((number.parse().ok()?, access))
    };
    let mut bindings: Vec<_> = text.lines().filter_map(declared).collect();
    bindings.sort_unstable_by_key(|(number, _)| *number);
    bindings
}

/// Names of the `override` constants a joined text declares.
pub fn constants(text: &str) -> HashSet<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("override "))
        .filter_map(|rest| rest.split(':').next())
        .collect()
}
