//! From files to a model that runs: read the headers, plan, then stream the weights.

use std::rc::Rc;

use futures::FutureExt;
use glassformer_graph::{Encoding, Executor, Model, Role, Stack};
use glassformer_models::{Blueprint, bind_weights, registry};
use glassformer_tasks::attention::Layout;
use glassformer_tasks::translation::{self, TranslationRules};
use glassformer_text::Tokenizer;
use glassformer_weights::{Shortlist, TensorInfo, shard_index};
use web_time::{Duration, Instant};

pub use self::pictures::Pictures;
use self::reader::Reader;
use self::sinks::{GgufSink, WeightSink};
use crate::parts::{Begun, part};
use crate::protocol::{Origin, TranslatorShape};
use crate::{Cancel, EngineError, Source};

mod folder;
mod marian;
mod pictures;
#[cfg(not(target_arch = "wasm32"))]
mod quantize;
mod reader;
mod sinks;

#[cfg(not(target_arch = "wasm32"))]
pub use quantize::Quantized;

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Files that make up one model. Copies share them.
#[derive(Clone)]
pub struct Files(Rc<[Box<dyn Source>]>);

/// A model with weights in the executor.
pub struct Loaded {
    /// What was built.
    pub model: Rc<Model>,
    /// Architecture, as the checkpoint names it.
    pub family: &'static str,
    /// Name the checkpoint gives itself, if any.
    pub name: Option<String>,
    /// Most positions of a session.
    pub context: usize,
    /// Most positions the model was made for.
    pub max_context: usize,
    /// Text to ids and back.
    pub tokenizer: Tokenizer,
    /// Number of weights.
    pub parameters: u64,
    /// Storage of most of them.
    pub encoding: Encoding,
    /// All tensors of the files.
    pub tensors: Vec<TensorInfo>,
    /// Bytes of the files.
    pub bytes: u64,
    /// What the person should know.
    pub notice: Option<String>,
    /// How it translates, if it does.
    pub translation: Option<Translation>,
    /// What its files say of pictures.
    pub pictures: Pictures,
}

/// What a model that translates needs beside its graphs.
#[derive(Clone, Debug)]
pub struct Translation {
    /// Of its decoder.
    pub rules: TranslationRules,
    /// Which words a sentence's translation may consist of, if that came with the model.
    pub shortlist: Option<Shortlist>,
    /// Cuts translations, where they are cut otherwise than what is translated.
    pub written: Option<Tokenizer>,
}

impl Loaded {
    /// The model's mask, if it names the words behind masks.
    pub fn mask(&self) -> Option<String> {
        let encode = self.model.entries.get("encode")?;
        encode.role(Role::Logits)?;
        Some(self.tokenizer.token_text(self.tokenizer.mask_id()?))
    }

    /// What there is to choose from, if it translates.
    pub fn translator(&self) -> Option<TranslatorShape> {
        let translation = self.translation.as_ref()?;
        let (layers, heads) = translation::cross_attention(&self.model)?;
        Some(TranslatorShape {
            layers: layers as u32,
            heads: heads as u32,
            shortlist: translation.shortlist.is_some(),
            own: Layout::of_stack(&self.model, Stack::Decoder).is_ok(),
        })
    }
}

/// Hears how many bytes have been read, of how many, and where they come from.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, Option<u64>, Origin);

/// Milliseconds between two notices of progress, and between two looks at waiting messages.
const PAUSE: Duration = Duration::from_millis(50);

/// Most bytes of a `config.json`, an index or a `tokenizer_config.json`.
const MAX_CONFIG: u64 = 16 << 20;

/// How pictures are prepared, in folders of models that see.
const PREPROCESSOR: &str = "preprocessor_config.json";

/// Most bytes of a `tokenizer.json`.
const MAX_TOKENIZER: u64 = 64 << 20;

impl Files {
    /// Sorts out what was opened.
    ///
    /// # Errors
    /// If it is neither one GGUF file nor a folder with a `config.json` and weights.
    pub fn new(sources: Vec<Box<dyn Source>>) -> Result<Self> {
        let files = Self(sources.into());
        if files.marian().is_some() {
            return files.check_marian().map(|()| files);
        }
        if let Some(file) = files.gguf() {
            if file.is_empty() {
                return Err(EngineError::NotAModel(format!("{} is empty.", file.name())));
            }
            return Ok(files);
        }
        let ggufs = files
            .0
            .iter()
            .filter(|source| is_gguf(source.name()))
            .count();
        let problem = if files.0.is_empty() {
            Some("The folder is empty.")
        } else if ggufs > 1 {
            Some("Several .gguf files were opened; open one of them.")
        } else {
            files.folder_problem()
        };
        match problem {
            Some(problem) => Err(EngineError::NotAModel(problem.into())),
            None => Ok(files),
        }
    }

    /// Bytes of the weights that would be loaded, as far as that is certain. Folders hold the same weights for other
    /// programs too.
    pub fn bytes(&self) -> u64 {
        let single = self.marian().or_else(|| self.gguf());
        match single.or_else(|| self.torch_file()) {
            Some(file) => file.len().unwrap_or(0),
            None => self.weights().filter_map(|source| source.len()).sum(),
        }
    }

    /// The single file, whatever its name, or the only `.gguf` among several.
    fn gguf(&self) -> Option<&dyn Source> {
        let sources = self.0.iter().map(AsRef::as_ref);
        let mut found = sources.filter(|source: &&dyn Source| is_gguf(source.name()));
        match (found.next(), found.next(), &*self.0) {
            (Some(one), None, _) => Some(one),
            (None, _, [only]) if only.name() != "config.json" && !self.has_spm() => {
                Some(only.as_ref())
            }
            _ => None,
        }
    }

    fn find(&self, name: &str) -> Option<&dyn Source> {
        self.0
            .iter()
            .find(|source| source.name() == name)
            .map(AsRef::as_ref)
    }

    fn weights(&self) -> impl Iterator<Item = &dyn Source> {
        let sources = self.0.iter().map(AsRef::as_ref);
        sources.filter(|source: &&dyn Source| source.name().ends_with(".safetensors"))
    }

    /// Builds the model and streams its weights into `exec`, for sessions of at most `context`
    /// positions. After an error the executor holds nothing that can be used.
    ///
    /// # Errors
    /// If a file cannot be read or is no model that is supported, or on cancel.
    pub async fn load(
        &self,
        exec: &mut dyn Executor,
        context: usize,
        progress: OnProgress<'_>,
        cancel: &Cancel,
    ) -> Result<Loaded> {
        let reader = Reader {
            progress,
            cancel,
            done: 0,
            total: None,
            paused: Instant::now(),
            notice: None,
        };
        if let Some(file) = self.marian() {
            let read = student(self, file, exec, context, reader);
            let read = cancel.until(read).await?;
            return read.await;
        }
        match self.gguf() {
            Some(file) => load_gguf(file, exec, context, reader).await,
            None => {
                let read = folder(self, exec, context, reader);
                cancel.until(read).await?.await
            }
        }
    }

    async fn load_folder(
        &self,
        exec: &mut dyn Executor,
        context: usize,
        mut reader: Reader<'_>,
    ) -> Result<Loaded> {
        let config = self.config(&mut reader).await?;
        let tokenizer = self.tokenizer(&mut reader).await?;
        let written = self.tokenizer_of_target(&mut reader).await?;
        let preprocessor = self.some(&mut reader, PREPROCESSOR, MAX_CONFIG).await?;
        let pictures = Pictures::read(&config, preprocessor.as_deref())?;

        let torch = self.torch(&mut reader).await?;
        let shards = match torch {
            Some(_) => Vec::new(),
            None => self.shards(&mut reader).await?,
        };
        let mut tensors: Vec<TensorInfo> = torch.iter().flat_map(|t| t.tensors.clone()).collect();
        for shard in &shards {
            tensors.extend(reader.header(*shard).await?.tensors);
        }
        let mut blueprint = registry::from_config(&config, &tensors, context)?;
        self.check_tokenizer(&tokenizer, &blueprint)?;
        let binding = bind_weights(&blueprint, &tensors)?;
        let model = Rc::new(std::mem::take(&mut blueprint.model));
        exec.load(Rc::clone(&model), &binding.encodings)?;

        if let Some(torch) = torch {
            torch.write(exec, &binding.weights, &mut reader).await?;
        } else {
            let total = shards.iter().map(|shard| shard.len()).sum();
            (reader.done, reader.total) = (0, total);
        }
        for shard in shards {
            let mut sink = WeightSink::new(&mut *exec, Some(&binding));
            reader.stream(shard, &mut sink).await?;
        }
        exec.finish_load()?;
        let parts = Parts {
            blueprint,
            model,
            tokenizer,
            written,
            tensors,
            name: None,
            shortlist: None,
            pictures,
        };
        Ok(parts.loaded(reader))
    }

    /// A file as a whole, if it is there.
    async fn some(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        most: u64,
    ) -> Result<Option<Vec<u8>>> {
        match self.find(name) {
            Some(source) => reader.whole(source, most).await.map(Some),
            None => Ok(None),
        }
    }

    /// The weight files that belong together: those of the index where there is one.
    async fn shards(&self, reader: &mut Reader<'_>) -> Result<Vec<&dyn Source>> {
        let Some(index) = self.find("model.safetensors.index.json") else {
            let single = self.find("model.safetensors");
            return Ok(single.map_or_else(|| self.weights().collect(), |file| vec![file]));
        };
        let index = reader.whole(index, MAX_CONFIG).await?;
        let mut names: Vec<String> = shard_index(&index)?.into_values().collect();
        names.sort_unstable();
        names.dedup();
        let missing = |name: &str| {
            EngineError::NotAModel(format!("The folder lacks {name}, a part of the weights."))
        };
        names
            .iter()
            .map(|name| self.find(name).ok_or_else(|| missing(name)))
            .collect()
    }
}

part! { translate:
    fn student<'a>(
        files: &'a Files,
        model: &'a dyn Source,
        exec: &'a mut dyn Executor,
        context: usize,
        reader: Reader<'a>,
    ) -> Begun<'a, Loaded> {
        Ok(files.load_marian(model, exec, context, reader).boxed_local())
    }
}

part! { folder:
    fn folder<'a>(
        files: &'a Files,
        exec: &'a mut dyn Executor,
        context: usize,
        reader: Reader<'a>,
    ) -> Begun<'a, Loaded> {
        Ok(files.load_folder(exec, context, reader).boxed_local())
    }
}

fn is_gguf(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".gguf")
}

async fn load_gguf(
    file: &dyn Source,
    exec: &mut dyn Executor,
    context: usize,
    mut reader: Reader<'_>,
) -> Result<Loaded> {
    reader.total = file.len();
    let mut sink = GgufSink::new(exec, context);
    reader.stream(file, &mut sink).await?;
    sink.weights.exec.finish_load()?;
    // A file that ends well has had its header.
    let parts = sink.parts.ok_or(EngineError::NoModel)?;
    Ok(parts.loaded(reader))
}

/// A tokenizer that knows more tokens than the model belongs to another model. Fewer are usual:
/// embeddings are padded. A model that reads nothing takes any.
fn check_vocabulary(tokenizer: &Tokenizer, blueprint: &Blueprint) -> Result<()> {
    let (tokens, rows) = (tokenizer.vocab_size(), blueprint.vocab);
    if rows > 0 && tokens == 0 {
        let problem = "The folder has no tokenizer.json, so text cannot be turned into tokens.";
        return Err(EngineError::NotAModel(problem.into()));
    }
    if rows > 0 && tokens > rows {
        return Err(EngineError::NotAModel(format!(
            "The tokenizer knows {tokens} tokens, but the model only {rows}: these files do not \
             belong together."
        )));
    }
    Ok(())
}

/// What is known of a model once its headers are read. The blueprint's model has moved out of it.
struct Parts {
    blueprint: Blueprint,
    model: Rc<Model>,
    tokenizer: Tokenizer,
    written: Option<Tokenizer>,
    tensors: Vec<TensorInfo>,
    name: Option<String>,
    shortlist: Option<Shortlist>,
    pictures: Pictures,
}

impl Parts {
    fn loaded(self, reader: Reader<'_>) -> Loaded {
        let elements = |t: &TensorInfo| t.shape.iter().product::<usize>() as u64;
        let mut by_encoding: Vec<(Encoding, u64)> = Vec::new();
        for tensor in &self.tensors {
            match by_encoding.iter_mut().find(|(e, _)| *e == tensor.encoding) {
                Some((_, n)) => *n += elements(tensor),
                None => by_encoding.push((tensor.encoding, elements(tensor))),
            }
        }
        let most = by_encoding.iter().max_by_key(|(_, n)| *n);
        Loaded {
            family: self.blueprint.family,
            name: self.name,
            context: self.blueprint.context,
            max_context: self.blueprint.max_context,
            tokenizer: self.tokenizer,
            parameters: self.tensors.iter().map(elements).sum(),
            encoding: most.map_or(Encoding::F32, |(encoding, _)| *encoding),
            bytes: reader.done,
            notice: reader.notice,
            tensors: self.tensors,
            model: self.model,
            pictures: self.pictures,
            translation: self.blueprint.rules.map(|rules| Translation {
                rules: TranslationRules {
                    start: rules.start,
                    end: rules.end,
                    never: rules.never,
                },
                shortlist: self.shortlist,
                written: self.written,
            }),
        }
    }
}
