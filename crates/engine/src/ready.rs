//! One model, loaded and ready.

use std::pin::pin;
use std::rc::Weak;

use futures::future::{Either, select};
use glassformer_gpu::Gpu;
use glassformer_graph::{Bindings, Executor, SessionId};
use glassformer_tasks::attention::{AttentionRun, Layout};
use glassformer_tasks::{Branch, GenerateSettings, Generation, Held};

use crate::executors::Place;
use crate::load::{Loaded, OnProgress};
use crate::protocol::{ModelInfo, PrecisionChoice};
use crate::{Cancel, EngineError, Files, heap_bytes};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// What is run of every model: one position behind none and behind many, and many of which a row is
/// wanted.
const USUAL_RUNS: [Bindings; 3] = [run_of(1, 1), run_of(1, 1024), run_of(32, 32)];

/// And of translators: sentences side by side.
const TOGETHER: [Bindings; 1] = [Bindings {
    batch: crate::engine::SIDE_BY_SIDE,
    source_len: 32,
    ..run_of(1, 1)
}];

const fn run_of(len: usize, in_all: usize) -> Bindings {
    Bindings {
        batch: 1,
        query_len: len,
        kv_len: in_all,
        rows: 1,
        source_len: len,
        candidates: 1,
    }
}

/// A model, what runs it, and the session of its texts.
pub(crate) struct Ready {
    pub(crate) exec: Box<dyn Executor>,
    pub(crate) session: SessionId,
    pub(crate) loaded: Loaded,
    pub(crate) info: ModelInfo,
    /// To load it again, should the GPU be lost.
    pub(crate) files: Files,
    pub(crate) precision: PrecisionChoice,
    /// The device it is on, if that is a GPU.
    pub(crate) gpu: Weak<Gpu>,
    /// The tokens whose keys and values the session holds.
    pub(crate) held: Vec<u32>,
    /// Texts whose attention is looked at, by the numbers the page gave them, the latest last.
    pub(crate) runs: Vec<(u32, AttentionRun)>,
}

impl Ready {
    /// Streams a model into an executor.
    pub(crate) async fn load(
        files: &Files,
        place: Place,
        context: usize,
        progress: OnProgress<'_>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let Place {
            mut exec,
            precision,
            why,
            gpu,
        } = place;
        let loaded = files.load(exec.as_mut(), context, progress, cancel).await?;
        let mut usual = USUAL_RUNS.to_vec();
        if loaded.translation.is_some() {
            usual.extend(TOGETHER);
        }
        for entry in loaded.model.entries.keys() {
            let prepared = exec.prepare(entry, &usual);
            // A browser compiles for seconds. Whoever cancels is heard at once.
            match select(prepared, pin!(cancel.cancelled())).await {
                Either::Left((prepared, _)) => prepared?,
                Either::Right(_) => break,
            }
        }
        cancel.check()?;
        let info = ModelInfo {
            handle: 0,
            id: String::new(),
            name: String::new(),
            architecture: loaded.family.into(),
            parameters: loaded.parameters,
            bytes: loaded.bytes,
            encoding: loaded.encoding.to_string(),
            context: loaded.context as u32,
            max_context: loaded.max_context as u32,
            attention: Layout::find(&loaded.model).ok().as_ref().map(Into::into),
            sight: Layout::of_picture(&loaded.model)
                .ok()
                .as_ref()
                .map(Into::into),
            mask: loaded.mask(),
            translator: loaded.translator(),
            chat: loaded.tokenizer.chat_template().is_some(),
            backend: exec.backend().name().into(),
            precision: exec.precision().name().into(),
            why,
            load_seconds: 0.0,
            heap_bytes: heap_bytes(),
        };
        Ok(Self {
            session: exec.open(1, loaded.context)?,
            exec,
            loaded,
            info,
            files: files.clone(),
            precision,
            gpu,
            held: Vec::new(),
            runs: Vec::new(),
        })
    }

    /// Loads the model again elsewhere, after its device was lost.
    pub(crate) async fn move_to(&mut self, place: Place, cancel: &Cancel) -> Result<()> {
        let mut silent = |_, _, _| {};
        let files = self.files.clone();
        let context = self.loaded.context;
        let mut moved = Self::load(&files, place, context, &mut silent, cancel).await?;
        let old = &self.info;
        moved.info.handle = old.handle;
        moved.info.id.clone_from(&old.id);
        moved.info.name.clone_from(&old.name);
        moved.info.load_seconds = old.load_seconds;
        *self = moved;
        Ok(())
    }

    /// A generation behind these tokens. The session is cut back to what it has in common with a
    /// branch, so that a branch costs the run of one token; a new text starts from nothing, so that
    /// its times mean the same every time.
    pub(crate) fn start(
        &mut self,
        ids: Vec<u32>,
        branch: Branch,
        settings: GenerateSettings,
    ) -> Result<Generation> {
        // Should anything below fail, the session counts as empty.
        let held = std::mem::take(&mut self.held);
        let wanted = ids.iter().chain(&branch.written);
        let common = wanted.zip(&held).take_while(|(a, b)| a == b).count();
        let tokens = if branch == Branch::default() {
            0
        } else {
            common
        };
        // The last token is run in any case: its logits are wanted.
        let tokens = tokens.min((ids.len() + branch.written.len()).saturating_sub(1));
        self.exec.truncate(self.session, tokens)?;
        let Loaded {
            model,
            context,
            tokenizer,
            ..
        } = &self.loaded;
        let session = Held {
            id: self.session,
            tokens,
        };
        Ok(Generation::start(
            model, session, *context, tokenizer, ids, branch, settings,
        )?)
    }
}
