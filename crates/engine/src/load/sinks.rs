//! What becomes of a file's header and of its tensor bytes.

use std::rc::Rc;

use glassformer_graph::{Executor, WeightId};
use glassformer_models::{Binding, bind_weights, registry};
use glassformer_text::{GgufVocabulary, Tokenizer};
use glassformer_weights::{Format, Header, Metadata, Sink, TensorInfo};

use super::{Parts, Pictures, Result, check_vocabulary};
use crate::EngineError;

/// Takes the header and nothing else.
pub(super) struct HeaderSink(pub(super) Option<Header>);

impl Sink for HeaderSink {
    type Error = EngineError;

    fn header(&mut self, header: &mut Header) -> Result<()> {
        self.0 = Some(Header {
            format: header.format,
            metadata: std::mem::take(&mut header.metadata),
            tensors: std::mem::take(&mut header.tensors),
        });
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

/// Where GGUF files keep a whole `tokenizer.json`, and those of `glassformer quantize` the
/// `tokenizer_config.json` beside it.
pub(super) const TOKENIZER_JSON: &str = "tokenizer.huggingface.json";
pub(super) const TOKENIZER_CONFIG: &str = "glassformer.tokenizer_config.json";
/// Where they keep the `preprocessor_config.json` of models that see.
pub(super) const PREPROCESSOR_CONFIG: &str = "glassformer.preprocessor_config.json";

/// Builds the model when the header is there, then passes bytes on.
pub(super) struct GgufSink<'a> {
    pub(super) context: usize,
    /// What the header said, once it is there.
    pub(super) parts: Option<Parts>,
    pub(super) weights: WeightSink<'a>,
}

impl Sink for GgufSink<'_> {
    type Error = EngineError;

    fn header(&mut self, header: &mut Header) -> Result<()> {
        if header.format != Format::Gguf {
            let problem = "Open the whole folder: a .safetensors file alone lacks its \
                           config.json and tokenizer.json.";
            return Err(EngineError::NotAModel(problem.into()));
        }
        let mut blueprint = registry::from_gguf(header, self.context)?;
        let binding = bind_weights(&blueprint, &header.tensors)?;
        let meta = &header.metadata;
        let config = meta.str(registry::GGUF_CONFIG).map(str::as_bytes);
        let preprocessor = meta.str(PREPROCESSOR_CONFIG).map(str::as_bytes);
        let pictures = Pictures::read(config.unwrap_or_default(), preprocessor)?;
        let tokenizer = match (config, meta.str(TOKENIZER_JSON)) {
            (Some(_), Some(json)) => {
                let settings = meta.str(TOKENIZER_CONFIG).map(str::as_bytes);
                Tokenizer::from_json(json.as_bytes(), settings)?
            }
            (Some(_), None) => Tokenizer::none(),
            (None, _) => Tokenizer::from_gguf(vocabulary(&mut header.metadata))?,
        };
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
            tensors: std::mem::take(&mut header.tensors),
            name: header.metadata.str("general.name").map(Into::into),
            shortlist: None,
            pictures,
        });
        Ok(())
    }

    fn data(&mut self, index: usize, offset: u64, bytes: &[u8]) -> Result<()> {
        self.weights.data(index, offset, bytes)
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
