//! A student translator: Marian's binary file, its vocabulary and its shortlist.

use std::rc::Rc;

use glassformer_graph::Executor;
use glassformer_models::{bind_weights, marian};
use glassformer_text::Tokenizer;
use glassformer_weights::{MarianFile, Shortlist, TensorInfo};

use super::{Files, Loaded, Parts, Pictures, Reader, Result, check_vocabulary};
use crate::protocol::PrecisionChoice;
use crate::{EngineError, Source, yield_now};

/// Most bytes of a model: the largest students have a hundred million.
const MAX_MODEL: u64 = 1 << 29;

/// Most bytes of a vocabulary.
const MAX_VOCABULARY: u64 = 64 << 20;

/// Most bytes of a shortlist.
const MAX_SHORTLIST: u64 = 256 << 20;

impl Files {
    /// The model, if these are the files of a student, which has no `config.json`.
    pub(super) fn marian(&self) -> Option<&dyn Source> {
        if self.find("config.json").is_some() {
            return None;
        }
        self.ending(".bin", |name| {
            !is_shortlist(name) && name != "pytorch_model.bin"
        })
    }

    /// How to compute where nobody chose: students are small enough to be exact, and then no
    /// translation hangs on a rounding, on no backend.
    pub(crate) fn precision(&self, choice: PrecisionChoice) -> PrecisionChoice {
        match choice {
            PrecisionChoice::Auto if self.marian().is_some() => PrecisionChoice::Exact,
            choice => choice,
        }
    }

    /// The file of this ending and kind.
    fn ending(&self, end: &str, is_kind: impl Fn(&str) -> bool) -> Option<&dyn Source> {
        let sources = self.0.iter().map(AsRef::as_ref);
        let mut found = sources
            .filter(|source: &&dyn Source| source.name().ends_with(end) && is_kind(source.name()));
        found.next()
    }

    /// Whether a SentencePiece model is among them.
    pub(super) fn has_spm(&self) -> bool {
        self.ending(".spm", |_| true).is_some()
    }

    pub(super) fn check_marian(&self) -> Result<()> {
        if self.has_spm() {
            return Ok(());
        }
        let problem = "The vocabulary is missing: open the .spm file together with the .bin file.";
        Err(EngineError::NotAModel(problem.into()))
    }

    /// Reads the model as a whole: what it is, its last bytes say.
    pub(super) async fn load_marian(
        &self,
        file: &dyn Source,
        exec: &mut dyn Executor,
        context: usize,
        mut reader: Reader<'_>,
    ) -> Result<Loaded> {
        reader.total = self.0.iter().map(|source| source.len()).sum();
        let spm = self.ending(".spm", |_| true).ok_or(EngineError::NoModel)?;
        let vocabulary = reader.counted(spm, MAX_VOCABULARY).await?;
        let tokenizer = Tokenizer::from_spm(&vocabulary)?;
        drop(vocabulary);
        let shortlist = match self.ending(".bin", is_shortlist) {
            Some(source) => Some(Shortlist::read(
                &reader.counted(source, MAX_SHORTLIST).await?,
            )?),
            None => None,
        };
        let bytes = reader.counted(file, MAX_MODEL).await?;
        if !MarianFile::detect(&bytes) {
            let problem = "The .bin file is no model of Marian.";
            return Err(EngineError::NotAModel(problem.into()));
        }
        let header = MarianFile::read(&bytes)?;
        let mut blueprint = marian::from_file(&header, context)?;
        check_vocabulary(&tokenizer, &blueprint)?;
        let strange = |list: &Shortlist| {
            let largest = list.largest().unwrap_or(0) as usize;
            list.sources() > blueprint.vocab || largest >= blueprint.vocab
        };
        if tokenizer.vocab_size() != blueprint.vocab || shortlist.as_ref().is_some_and(strange) {
            let problem = "The vocabulary, the shortlist and the model do not belong together.";
            return Err(EngineError::NotAModel(problem.into()));
        }
        let binding = bind_weights(&blueprint, &header.tensors)?;
        let model = Rc::new(std::mem::take(&mut blueprint.model));
        exec.load(Rc::clone(&model), &binding.encodings)?;
        for tensor in &header.tensors {
            if let Some(&weight) = binding.weights.get(&tensor.name) {
                exec.write_weight(weight, of(&bytes, tensor))?;
                yield_now().await;
                reader.cancel.check()?;
            }
        }
        exec.finish_load()?;
        let parts = Parts {
            blueprint,
            model,
            tokenizer,
            written: None,
            tensors: header.tensors,
            name: None,
            shortlist,
            pictures: Pictures::default(),
        };
        Ok(parts.loaded(reader))
    }
}

/// The bytes of a tensor; the reader of the file has checked that they are there.
fn of<'b>(bytes: &'b [u8], tensor: &TensorInfo) -> &'b [u8] {
    let range = tensor.offset as usize..tensor.end() as usize;
    bytes.get(range).unwrap_or_default()
}

fn is_shortlist(name: &str) -> bool {
    name.starts_with("lex.")
}
