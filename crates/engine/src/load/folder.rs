//! What the files of a Hugging Face folder may be beside `config.json`: the tokenizer in one file or as
//! MarianMT's three, the weights as safetensors or as PyTorch's own file.

use std::collections::HashMap;

use glassformer_graph::{Executor, WeightId};
use glassformer_models::Blueprint;
use glassformer_text::Tokenizer;
use glassformer_weights::{TensorInfo, TorchFile};
use serde_json::{Map, Value};

use super::{Files, MAX_CONFIG, MAX_TOKENIZER, PREPROCESSOR, Reader, Result, check_vocabulary};
use crate::{EngineError, Source};

/// Most bytes of a `pytorch_model.bin`, which is read as a whole.
const MAX_TORCH: u64 = 1 << 30;

/// Bytes of weights between two looks at waiting messages.
const TURN: usize = 1 << 22;

/// PyTorch's own file, in memory.
pub(super) struct Torch {
    bytes: Vec<u8>,
    pub(super) tensors: Vec<TensorInfo>,
}

impl Files {
    /// What keeps a folder from being a model, if anything does.
    pub(super) fn folder_problem(&self) -> Option<&'static str> {
        if self.find("config.json").is_none() && self.has_spm() {
            Some("The model is missing: open the .bin file together with the .spm file.")
        } else if self.find("config.json").is_none() {
            Some(
                "This is no model: open a .gguf file, or a folder with config.json, tokenizer.json \
                 and .safetensors files.",
            )
        } else if self.weights().next().is_none() && self.torch_file().is_none() {
            Some(
                "The folder has a config.json but no weights: neither a .safetensors file nor \
                 pytorch_model.bin is in it.",
            )
        } else if self.find("tokenizer.json").is_none()
            && self.marian_vocabulary().is_none()
            && self.find(PREPROCESSOR).is_none()
        {
            Some(
                "The folder has no tokenizer.json, nor source.spm and vocab.json of a translator, so \
                 text cannot be turned into tokens.",
            )
        } else {
            None
        }
    }

    /// `config.json`, with what newer checkpoints say in `generation_config.json` of the tokens that a
    /// text begins with and those that are never written.
    pub(super) async fn config(&self, reader: &mut Reader<'_>) -> Result<Vec<u8>> {
        let missing = || EngineError::NotAModel("config.json is missing.".into());
        let config = self.find("config.json").ok_or_else(missing)?;
        let config = reader.whole(config, MAX_CONFIG).await?;
        let Some(generation) = self.find("generation_config.json") else {
            return Ok(config);
        };
        let generation = reader.whole(generation, MAX_CONFIG).await?;
        let parse = |bytes: &[u8]| serde_json::from_slice::<Map<String, Value>>(bytes).ok();
        // What is no JSON is refused by whoever reads the config; what says nothing changes nothing.
        let (Some(mut whole), Some(mut more)) = (parse(&config), parse(&generation)) else {
            return Ok(config);
        };
        for key in ["bad_words_ids", "decoder_start_token_id"] {
            if let (None | Some(Value::Null), Some(value)) = (whole.get(key), more.remove(key)) {
                whole.insert(key.into(), value);
            }
        }
        Ok(Value::Object(whole).to_string().into_bytes())
    }

    /// PyTorch's own file, if the weights are in nothing safer.
    pub(super) fn torch_file(&self) -> Option<&dyn Source> {
        if self.weights().next().is_some() {
            return None;
        }
        self.find("pytorch_model.bin")
    }

    /// The pieces of the source language and the numbers of both, of a MarianMT checkpoint.
    fn marian_vocabulary(&self) -> Option<[&dyn Source; 2]> {
        Some([self.find("source.spm")?, self.find("vocab.json")?])
    }

    /// The folder's tokenizer, one without tokens where there is none. Where MarianMT's files are there, a `tokenizer.json` beside them was made
    /// from them.
    pub(super) async fn tokenizer(&self, reader: &mut Reader<'_>) -> Result<Tokenizer> {
        if let Some([source, vocabulary]) = self.marian_vocabulary() {
            let source = reader.whole(source, MAX_TOKENIZER).await?;
            let vocabulary = reader.whole(vocabulary, MAX_TOKENIZER).await?;
            return Ok(Tokenizer::from_marian(&source, &vocabulary)?);
        }
        let Some(tokenizer) = self.some(reader, "tokenizer.json", MAX_TOKENIZER).await? else {
            // What sees pictures only.
            return Ok(Tokenizer::none());
        };
        let settings = self
            .some(reader, "tokenizer_config.json", MAX_CONFIG)
            .await?;
        Ok(Tokenizer::from_json(&tokenizer, settings.as_deref())?)
    }

    /// What cuts translations, if MarianMT's files say it: the pieces of the target language.
    pub(super) async fn tokenizer_of_target(
        &self,
        reader: &mut Reader<'_>,
    ) -> Result<Option<Tokenizer>> {
        let (Some(_), Some(vocabulary)) = (self.marian_vocabulary(), self.find("vocab.json"))
        else {
            return Ok(None);
        };
        let Some(target) = self.some(reader, "target.spm", MAX_TOKENIZER).await? else {
            return Ok(None);
        };
        let vocabulary = reader.whole(vocabulary, MAX_TOKENIZER).await?;
        Ok(Some(Tokenizer::from_marian(&target, &vocabulary)?))
    }

    /// Checks that tokenizer and model belong together.
    pub(super) fn check_tokenizer(
        &self,
        tokenizer: &Tokenizer,
        blueprint: &Blueprint,
    ) -> Result<()> {
        check_vocabulary(tokenizer, blueprint)?;
        let Some(rules) = &blueprint.rules else {
            return Ok(());
        };
        let other_end = |end: &u32| *end != rules.end;
        let fewer = self.marian_vocabulary().is_some() && tokenizer.vocab_size() < blueprint.vocab;
        if fewer || tokenizer.end_ids().first().is_some_and(other_end) {
            let problem = "The vocabulary and the model do not belong together: they count other \
                           tokens.";
            return Err(EngineError::NotAModel(problem.into()));
        }
        Ok(())
    }

    /// Reads PyTorch's own file, if the weights are in it.
    pub(super) async fn torch(&self, reader: &mut Reader<'_>) -> Result<Option<Torch>> {
        let Some(source) = self.torch_file() else {
            return Ok(None);
        };
        reader.total = source.len();
        let bytes = reader.counted(source, MAX_TORCH).await?;
        let tensors = TorchFile::read(&bytes)?.tensors;
        Ok(Some(Torch { bytes, tensors }))
    }
}

impl Torch {
    /// Passes every tensor that is a weight on to the executor.
    pub(super) async fn write(
        self,
        exec: &mut dyn Executor,
        weights: &HashMap<String, WeightId>,
        reader: &mut Reader<'_>,
    ) -> Result<()> {
        for tensor in &self.tensors {
            let Some(&weight) = weights.get(&tensor.name) else {
                continue;
            };
            // The reader of the file has checked that the bytes are there.
            let range = tensor.offset as usize..tensor.end() as usize;
            for bytes in self.bytes.get(range).unwrap_or_default().chunks(TURN) {
                exec.write_weight(weight, bytes)?;
                reader.breathe().await?;
            }
        }
        Ok(())
    }
}
