//! What becomes of a file's header and of its tensor bytes.

use std::rc::Rc;

use glassformer_graph::{Executor, WeightId};
use glassformer_models::{Binding, Blueprint, bind_weights, registry};
use glassformer_text::{GgufVocabulary, Tokenizer};
use glassformer_weights::{Format, Header, Metadata, Sink, TensorInfo};

use super::{Parts, Pictures, Result, check_vocabulary};
use crate::parts::part;
use crate::{Cancel, EngineError};

/// What becomes of a file whose weights are loaded.
pub(super) trait ModelSink: Sink<Error = EngineError> {
    /// What the bytes so far ask for and cannot have at once; between two chunks of the file.
    async fn settle(&mut self, _: &Cancel) -> Result<()> {
        Ok(())
    }
}

/// Takes the header and nothing else.
pub(super) struct HeaderSink(pub(super) Option<Header>);

fn taken(header: &mut Header) -> Header {
    Header {
        format: header.format,
        metadata: std::mem::take(&mut header.metadata),
        tensors: std::mem::take(&mut header.tensors),
    }
}

impl Sink for HeaderSink {
    type Error = EngineError;

    fn header(&mut self, header: &mut Header) -> Result<()> {
        self.0 = Some(taken(header));
        Ok(())
    }

    fn data(&mut self, _: usize, _: u64, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// Passes tensor bytes to the executor.
pub(super) struct WeightSink<'a> {
    pub(super) exec: &'a mut dyn Executor,
    /// Of a folder, known before its files are streamed.
    binding: Option<&'a Binding>,
    /// Which weight each tensor of the file is, if any.
    targets: Vec<Option<WeightId>>,
}

impl<'a> WeightSink<'a> {
    pub(super) fn new(exec: &'a mut dyn Executor, binding: Option<&'a Binding>) -> Self {
        Self {
            exec,
            binding,
            targets: Vec::new(),
        }
    }

    fn aim(&mut self, tensors: &[TensorInfo], binding: &Binding) {
        let target = |tensor: &TensorInfo| binding.weights.get(&tensor.name).copied();
        self.targets = tensors.iter().map(target).collect();
    }
}

impl Sink for WeightSink<'_> {
    type Error = EngineError;

    fn header(&mut self, header: &mut Header) -> Result<()> {
        if let Some(binding) = self.binding {
            self.aim(&header.tensors, binding);
        }
        Ok(())
    }

    fn data(&mut self, index: usize, _: u64, bytes: &[u8]) -> Result<()> {
        if let Some(Some(weight)) = self.targets.get(index) {
            self.exec.write_weight(*weight, bytes)?;
        }
        Ok(())
    }
}

impl ModelSink for WeightSink<'_> {}

/// Where GGUF files keep a whole `tokenizer.json`, and those of `glassformer quantize` the
/// `tokenizer_config.json` beside it.
pub(super) const TOKENIZER_JSON: &str = "tokenizer.huggingface.json";
pub(super) const TOKENIZER_CONFIG: &str = "glassformer.tokenizer_config.json";
/// Where they keep the `preprocessor_config.json` of models that see.
pub(super) const PREPROCESSOR_CONFIG: &str = "glassformer.preprocessor_config.json";

/// Builds the model when the header is there, then passes bytes on.
pub(super) struct GgufSink<'a> {
    context: usize,
    /// What the header said, once it is there and was understood.
    pub(super) parts: Option<Parts>,
    pub(super) weights: WeightSink<'a>,
    /// The header, until the model is built.
    header: Option<Header>,
    /// Tensor bytes that came in one chunk with the end of the header.
    early: Vec<(usize, u64, Vec<u8>)>,
}

impl<'a> GgufSink<'a> {
    pub(super) fn new(exec: &'a mut dyn Executor, context: usize) -> Self {
        Self {
            context,
            parts: None,
            weights: WeightSink::new(exec, None),
            header: None,
            early: Vec::new(),
        }
    }
}

impl Sink for GgufSink<'_> {
    type Error = EngineError;

    fn header(&mut self, header: &mut Header) -> Result<()> {
        if header.format != Format::Gguf {
            let problem = "Open the whole folder: a .safetensors file alone lacks its \
                           config.json and tokenizer.json.";
            return Err(EngineError::NotAModel(problem.into()));
        }
        self.header = Some(taken(header));
        Ok(())
    }

    fn data(&mut self, index: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        if self.header.is_some() {
            self.early.push((index, offset, bytes.to_vec()));
            return Ok(());
        }
        self.weights.data(index, offset, bytes)
    }
}

impl ModelSink for GgufSink<'_> {
    async fn settle(&mut self, cancel: &Cancel) -> Result<()> {
        let Some(mut header) = self.header.take() else {
            return Ok(());
        };
        let of_folder = header.metadata.str(registry::GGUF_CONFIG).is_some();
        let described = if of_folder {
            cancel.until(quantized(&header, self.context)).await?
        } else {
            Described {
                blueprint: registry::from_gguf(&header, self.context)?,
                tokenizer: Tokenizer::from_gguf(vocabulary(&mut header.metadata))?,
                pictures: Pictures::default(),
            }
        };
        let Described {
            mut blueprint,
            tokenizer,
            pictures,
        } = described;
        let binding = bind_weights(&blueprint, &header.tensors)?;
        check_vocabulary(&tokenizer, &blueprint)?;
        let model = Rc::new(std::mem::take(&mut blueprint.model));
        self.weights
            .exec
            .load(Rc::clone(&model), &binding.encodings)?;
        self.weights.aim(&header.tensors, &binding);
        self.parts = Some(Parts {
            blueprint,
            model,
            tokenizer,
            written: None,
            tensors: header.tensors,
            name: header.metadata.str("general.name").map(Into::into),
            shortlist: None,
            pictures,
        });
        for (index, offset, bytes) in std::mem::take(&mut self.early) {
            self.weights.data(index, offset, &bytes)?;
        }
        Ok(())
    }
}

/// What a GGUF's metadata says of its model.
struct Described {
    blueprint: Blueprint,
    tokenizer: Tokenizer,
    pictures: Pictures,
}

part! { folder:
    /// From the files of the folder that `glassformer quantize` made a GGUF of.
    fn quantized(header: &Header, context: usize) -> Result<Described> {
        let meta = &header.metadata;
        let bytes = |key| meta.str(key).map(str::as_bytes);
        let config = bytes(registry::GGUF_CONFIG).unwrap_or_default();
        Ok(Described {
            blueprint: registry::from_config(config, &header.tensors, context)?,
            tokenizer: match bytes(TOKENIZER_JSON) {
                Some(json) => Tokenizer::from_json(json, bytes(TOKENIZER_CONFIG))?,
                None => Tokenizer::none(),
            },
            pictures: Pictures::read(config, bytes(PREPROCESSOR_CONFIG))?,
        })
    }
}

/// Takes the tokenizer out of GGUF metadata.
fn vocabulary(meta: &mut Metadata) -> GgufVocabulary {
    const AT: &str = "tokenizer.ggml";
    let strings = |meta: &mut Metadata, key: &str| {
        meta.take_strings(&format!("{AT}.{key}"))
            .unwrap_or_default()
    };
    let (tokens, merges) = (strings(meta, "tokens"), strings(meta, "merges"));
    let text = |key: &str| meta.str(&format!("{AT}.{key}")).map(str::to_owned);
    let id = |key: &str| meta.u32(&format!("{AT}.{key}_token_id"));
    let flag = |key: &str| meta.bool(&format!("{AT}.{key}")).unwrap_or(false);
    GgufVocabulary {
        model: text("model").unwrap_or_default(),
        pre: text("pre"),
        tokens,
        merges,
        token_types: meta
            .i32s(&format!("{AT}.token_type"))
            .unwrap_or_default()
            .to_vec(),
        bos: id("bos"),
        eos: id("eos"),
        unknown: id("unknown"),
        padding: id("padding"),
        add_bos: flag("add_bos_token"),
        add_eos: flag("add_eos_token"),
        add_space_prefix: flag("add_space_prefix"),
        chat_template: meta.str("tokenizer.chat_template").map(Into::into),
    }
}
