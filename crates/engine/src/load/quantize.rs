//! A Hugging Face folder as one GGUF file with 8-bit weights, config and tokenizer inside.
//!
//! Matrices whose rows are whole blocks of 32 become `Q8_0`, the embeddings too; vectors become F32;
//! other matrices stay as they are. Tensors that the model does not use are left out. The names are
//! those of the folder, and `config.json` and `tokenizer.json` stand in the metadata as they are, so
//! that the file is read exactly as the folder is.

use std::io::Write;

use glassformer_graph::Encoding;
use glassformer_models::{Binding, bind_weights, registry};
use glassformer_text::Tokenizer;
use glassformer_weights::{GgufLayout, Header, Pair, Sink, TensorInfo, dequantize, quantize_q8_0};
use serde::de::IgnoredAny;
use web_time::Instant;

use super::sinks::{ModelSink, PREPROCESSOR_CONFIG, TOKENIZER_CONFIG, TOKENIZER_JSON};
use super::{
    Files, MAX_CONFIG, MAX_TOKENIZER, PREPROCESSOR, Pictures, Reader, Result, check_vocabulary,
};
use crate::{Cancel, EngineError, Source};

/// What a quantised file is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantized {
    /// Tensors written.
    pub tensors: usize,
    /// Of them, rounded to 8 bits.
    pub rounded: usize,
    /// Bytes of the file.
    pub bytes: u64,
    /// Root of the mean square of what rounding changed, relative to that of the rounded weights.
    pub relative_error: f64,
}

/// `general.file_type` of a file whose matrices are mostly `Q8_0`, and the version of the blocks.
const MOSTLY_Q8_0: u32 = 7;
const BLOCK_VERSION: u32 = 2;

impl Files {
    /// Writes this folder as one GGUF with 8-bit weights to `out`. `name` is what the model is
    /// called, `description` what people should know of it; it may be empty.
    ///
    /// # Errors
    /// If these files are no folder, or no model that can be loaded, or `out` cannot be written.
    pub async fn quantize(
        &self,
        name: &str,
        description: &str,
        out: &mut dyn Write,
    ) -> Result<Quantized> {
        let cancel = Cancel::default();
        let mut silent = |_, _, _| {};
        let mut reader = Reader {
            progress: &mut silent,
            cancel: &cancel,
            done: 0,
            total: None,
            paused: Instant::now(),
            notice: None,
        };
        if self.gguf().is_some() {
            let problem = "Only a folder with config.json, tokenizer.json and .safetensors files \
                           can be rounded to 8 bits, and this is one file.";
            return Err(EngineError::NotAModel(problem.into()));
        }
        if self.weights().next().is_none() {
            let problem = "Only weights in .safetensors files can be rounded to 8 bits, and this \
                           folder has none.";
            return Err(EngineError::NotAModel(problem.into()));
        }
        let config = self.text(&mut reader, "config.json", MAX_CONFIG).await?;
        let mut others = Vec::new();
        for (file, key, most) in [
            ("tokenizer.json", TOKENIZER_JSON, MAX_TOKENIZER),
            ("tokenizer_config.json", TOKENIZER_CONFIG, MAX_CONFIG),
            (PREPROCESSOR, PREPROCESSOR_CONFIG, MAX_CONFIG),
        ] {
            if self.find(file).is_some() {
                others.push((key, self.text(&mut reader, file, most).await?));
            }
        }
        let other = |key: &str| {
            let found = others.iter().find(|(each, _)| *each == key);
            found.map(|(_, text)| text.as_bytes())
        };
        let shards = self.shards(&mut reader).await?;
        let mut headers = Vec::new();
        for shard in &shards {
            headers.push(reader.header(*shard).await?);
        }

        // The checks of a load: what is written can be read.
        let tensors: Vec<TensorInfo> = headers.iter().flat_map(|h| h.tensors.clone()).collect();
        let blueprint = registry::from_config(config.as_bytes(), &tensors, usize::MAX)?;
        let binding = bind_weights(&blueprint, &tensors)?;
        let parsed = match other(TOKENIZER_JSON) {
            Some(json) => Tokenizer::from_json(json, other(TOKENIZER_CONFIG))?,
            None => Tokenizer::none(),
        };
        check_vocabulary(&parsed, &blueprint)?;
        Pictures::read(config.as_bytes(), other(PREPROCESSOR_CONFIG))?;

        let mut pairs = vec![
            ("general.architecture", Pair::Text(blueprint.family)),
            ("general.name", Pair::Text(name)),
            ("general.file_type", Pair::Number(MOSTLY_Q8_0)),
            ("general.quantization_version", Pair::Number(BLOCK_VERSION)),
            (registry::GGUF_CONFIG, Pair::Text(&config)),
        ];
        pairs.extend(others.iter().map(|(key, text)| (*key, Pair::Text(text))));
        if !description.is_empty() {
            pairs.push(("general.description", Pair::Text(description)));
        }
        let kept = tensors
            .iter()
            .filter(|tensor| binding.weights.contains_key(&tensor.name));
        let planned: Vec<_> = kept
            .map(|t| (t.name.clone(), t.shape.clone(), target(t)))
            .collect();
        let layout = GgufLayout::new(&pairs, &planned)?;
        write(out, &layout.header)?;
        let mut sink = Rounding {
            out,
            binding: &binding,
            tensors: Vec::new(),
            bytes: Vec::new(),
            written: layout.header.len() as u64,
            rounded: 0,
            squares: [0.0; 2],
        };
        for shard in shards {
            reader.stream(shard, &mut sink).await?;
        }
        let [weights, errors] = sink.squares;
        Ok(Quantized {
            tensors: planned.len(),
            rounded: sink.rounded,
            bytes: sink.written,
            relative_error: (errors / weights.max(f64::MIN_POSITIVE)).sqrt(),
        })
    }

    /// A JSON file of the folder without spaces between its parts.
    async fn text(&self, reader: &mut Reader<'_>, name: &str, most: u64) -> Result<String> {
        let missing = || EngineError::NotAModel(format!("{name} is missing."));
        let source: &dyn Source = self.find(name).ok_or_else(missing)?;
        let bytes = reader.whole(source, most).await?;
        let no_json =
            |error: &dyn std::fmt::Display| EngineError::NotAModel(format!("{name}: {error}."));
        serde_json::from_slice::<IgnoredAny>(&bytes).map_err(|error| no_json(&error))?;
        let text = String::from_utf8(bytes).map_err(|error| no_json(&error))?;
        Ok(without_spaces(&text))
    }
}

/// JSON without the spaces between its parts; numbers stay as they are spelled.
fn without_spaces(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        let keep = in_string || !c.is_ascii_whitespace();
        let quote = *c == '"' && !escaped;
        escaped = in_string && *c == '\\' && !escaped;
        in_string ^= quote;
        keep
    };
    json.chars().filter(keep).collect()
}

/// How a tensor is stored.
fn target(tensor: &TensorInfo) -> Encoding {
    match *tensor.shape.as_slice() {
        [_, cols] if cols.is_multiple_of(Encoding::Q8_0.block_len()) => Encoding::Q8_0,
        [_, _] => tensor.encoding,
        _ => Encoding::F32,
    }
}

/// Takes tensors one by one, rounds them and writes them.
struct Rounding<'a> {
    out: &'a mut dyn Write,
    binding: &'a Binding,
    /// Of the file that is being read.
    tensors: Vec<TensorInfo>,
    /// Of the tensor that is being read.
    bytes: Vec<u8>,
    written: u64,
    rounded: usize,
    /// Sums of the squares of rounded weights and of what rounding changed.
    squares: [f64; 2],
}

impl ModelSink for Rounding<'_> {}

impl Sink for Rounding<'_> {
    type Error = EngineError;

    fn header(&mut self, header: &mut Header) -> Result<()> {
        self.tensors = std::mem::take(&mut header.tensors);
        Ok(())
    }

    fn data(&mut self, index: usize, _: u64, bytes: &[u8]) -> Result<()> {
        let Some(tensor) = self.tensors.get(index) else {
            return Ok(());
        };
        if !self.binding.weights.contains_key(&tensor.name) {
            return Ok(());
        }
        self.bytes.extend_from_slice(bytes);
        if (self.bytes.len() as u64) < tensor.bytes {
            return Ok(());
        }
        let (from, to) = (tensor.encoding, target(tensor));
        let bytes = std::mem::take(&mut self.bytes);
        let mut stored = Vec::new();
        if from == to {
            stored = bytes;
        } else {
            let mut numbers = Vec::new();
            dequantize(from, &bytes, &mut numbers)?;
            if to == Encoding::Q8_0 {
                quantize_q8_0(&numbers, &mut stored)?;
                self.measure(&numbers, &stored)?;
            } else {
                stored.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
            }
        }
        let padding = GgufLayout::padding(stored.len() as u64);
        stored.resize(stored.len() + padding, 0);
        write(self.out, &stored)?;
        self.written += stored.len() as u64;
        Ok(())
    }
}

impl Rounding<'_> {
    fn measure(&mut self, numbers: &[f32], stored: &[u8]) -> Result<()> {
        let mut rounded = Vec::new();
        dequantize(Encoding::Q8_0, stored, &mut rounded)?;
        for (x, y) in numbers.iter().zip(&rounded) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            self.squares[0] += x * x;
            self.squares[1] += (x - y) * (x - y);
        }
        self.rounded += 1;
        Ok(())
    }
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(|error| EngineError::Write {
        file: "The new file".into(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_stay_within_strings() {
        let json = "{ \"a b\" : [ 1e-12 ,\n \"c \\\" d\\\\\" ] }";
        let short = "{\"a b\":[1e-12,\"c \\\" d\\\\\"]}";
        assert_eq!(without_spaces(json), short);
    }
}
