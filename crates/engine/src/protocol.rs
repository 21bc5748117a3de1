//! The messages between the page and the worker that runs the engine.
//!
//! They are the API: the page, the widget and scripts speak the same ones. Every request carries
//! an id chosen by the sender; every event names the request it answers. The engine holds several
//! models; `Ready` gives each a handle, and requests name the model they are for by it. The latest
//! request wins: a newer load stops older loads and whatever runs, and newer work older work. On the wire (`postMessage`) an [`Envelope`] is a plain
//! object; `files` of a [`ModelSource::Files`] load travel beside it, as `File` objects cannot be
//! described by serde: `{ id, body, files: [File] }`.

pub mod attention;
mod generate;
mod masks;
mod matching;
mod translate;

use serde::{Deserialize, Serialize};

use self::attention::{AttendTo, AttentionShape, AttentionSummary, FocusNumbers, MapOf};
pub use translate::{
    Alternative, ForcedStart, TranslateRequest, TranslateToken, Translated, TranslatedSentence,
    TranslatorShape,
};

pub use generate::{GenerateStats, GpuStats, Kept, Prompt, PromptToken, pack, unpack};

pub use glassformer_tasks::{Branch, FinishReason, Forced, GenerateSettings};

pub use matching::{ReadText, SeenPicture, TextsRead, Why, WhyDeletion, WhyRequest, WhyWord};

pub use masks::{
    FilledMask, MaskAttention, MaskCut, MaskPredictions, MaskRequest, MaskResult, MaskToken,
    Prediction,
};

/// A message with the id of the request it is, or answers. Id 0 is the worker's own news.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Chosen by the page, unique within it.
    pub id: u32,
    /// The message.
    pub body: T,
}

/// What the page asks of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Request {
    /// Load a model beside those in memory; models that were not used for long make room. Answered
    /// by `Progress`…, then `Ready`, `Cancelled` or `Failed`. If the same model is in memory with
    /// the same backend and precision, `Ready` comes at once.
    Load {
        /// Where the weights are.
        model: ModelSource,
        /// What computes.
        backend: BackendChoice,
        /// How it computes.
        precision: PrecisionChoice,
    },
    /// Write text. Answered by `Prompt`, `Prefill`…, `Token`…, then `Finished` or `Failed`.
    Generate {
        /// The handle of a model in memory.
        model: u32,
        /// What to continue.
        prompt: Prompt,
        /// How to choose tokens.
        settings: GenerateSettings,
        /// Where to leave the way the text would go by itself: a branch goes on behind written
        /// tokens with a forced one, which comes as the first `Token`; a link restores a branch
        /// by forcing its tokens in a text that starts anew. What is written is the same.
        #[serde(default)]
        branch: Branch,
    },
    /// Run a text to look at its attention. Answered by `Prefill`…, then `Attended`, `Cancelled` or
    /// `Failed`. The request's id names the run in what follows; two runs of a model are kept.
    Attend {
        /// The handle of a model in memory.
        model: u32,
        /// What to run.
        text: String,
        /// A second sentence, for models that take pairs; of a translator's decoder the translation,
        /// which is the model's own where there is none.
        pair: Option<String>,
        /// Which attention to look at.
        #[serde(default)]
        to: AttendTo,
    },
    /// Run a picture, whose file travels beside the message, to look at the attention of the tower that
    /// sees. Answered as `Attend`, whose id names the run.
    AttendPicture {
        /// The handle of a model in memory.
        model: u32,
    },
    /// What was looked at in a run. Answered by `AttentionMap` or `Failed`.
    AttentionMap {
        /// Id of the `Attend` or `AttendPicture` request.
        run: u32,
        /// Which head, or the rollout.
        of: MapOf,
    },
    /// One query of one head, all the way. Answered by `AttentionFocus` or `Failed`.
    AttentionFocus {
        /// Id of the `Attend` or `AttendPicture` request.
        run: u32,
        /// From 0.
        layer: u32,
        /// From 0.
        head: u32,
        /// Index of the token that looks.
        from: u32,
    },
    /// Name the words behind masks. Answered by `Masked`, `Cancelled` or `Failed`; a newer request for
    /// the same place replaces it.
    FillMask {
        /// The handle of a model in memory.
        model: u32,
        /// Which of the texts that are looked at side by side, from 0.
        place: u32,
        /// What to fill.
        request: MaskRequest,
    },
    /// Translate a text. Answered by `Sentence`…, then `Translated`, `Cancelled` or `Failed`; a newer
    /// text replaces it.
    Translate {
        /// The handle of a model in memory.
        model: u32,
        /// What to translate, and how.
        request: TranslateRequest,
    },
    /// Look at pictures, whose files travel beside the message. Answered by `SeenPicture` or `NotSeen` for
    /// each of them, then `SeenAll`, `Cancelled` or `Failed`.
    See {
        /// The handle of a model in memory.
        model: u32,
    },
    /// Read texts to compare them with pictures. Answered by `TextsRead`, `Cancelled` or `Failed`.
    ReadTexts {
        /// The handle of a model in memory.
        model: u32,
        /// In their templates.
        texts: Vec<String>,
    },
    /// What mattered for the score of a picture and a text. Answered by `Prefill`…, then `Explained`,
    /// `Cancelled` or `Failed`; a newer request replaces it.
    Explain {
        /// The handle of a model in memory.
        model: u32,
        /// What is to be explained.
        request: WhyRequest,
    },
    /// Stop the request with this id. A stopped generation ends with
    /// `Finished { reason: Stopped }`, a stopped load or text to look at with `Cancelled`.
    Cancel {
        /// The request to stop.
        request: u32,
    },
    /// For tests and the curious: lose the GPU, as a crash of its driver would. What runs on it
    /// goes on elsewhere (`Moved`).
    LoseDevice,
    /// Ask whether the weights of a manifest model are in the browser's cache (`Cached`).
    IsCached {
        /// The model's id in the manifest.
        model: String,
    },
}

/// Where a model's files come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ModelSource {
    /// A model of the manifest, served beside the page or found in the cache.
    Manifest {
        /// Its id.
        id: String,
    },
    /// Files the person opened or dropped: one GGUF, or a folder's `config.json`,
    /// `tokenizer.json` and `*.safetensors`.
    Files {
        /// Their names, in the order of the `files` that travel with the message.
        names: Vec<String>,
        /// Chosen by the page: files that come again under the same number are the same files.
        serial: u32,
    },
}

/// The backend a person may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendChoice {
    /// The fastest that works here.
    #[default]
    Auto,
    /// Compute shaders through WebGPU.
    #[serde(rename = "webgpu")]
    WebGpu,
    /// SIMD on the CPU.
    Cpu,
}

/// The precision a person may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrecisionChoice {
    /// What the backend does best.
    #[default]
    Auto,
    /// f32 arithmetic on the dequantised weights.
    Exact,
    /// Integer dot products on activations rounded to 8 bits.
    Fast,
}

/// What the engine tells the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// The worker is up (id 0).
    Hello,
    /// Answers `IsCached`.
    Cached {
        /// Whether all files are there.
        cached: bool,
    },
    /// Bytes of weights read so far.
    Progress {
        /// Read so far.
        loaded: u64,
        /// All there is, where known.
        total: Option<u64>,
        /// Where they come from.
        from: Origin,
    },
    /// The model can be used.
    Ready {
        /// What was loaded.
        model: ModelInfo,
        /// A sentence the person should read, such as that the cache was full.
        notice: Option<String>,
        /// Handles of all models in memory now; those that are missing had to make room.
        held: Vec<u32>,
        /// Whether its weights are in the browser's cache, so that loading it again fetches nothing.
        cached: bool,
    },
    /// The GPU was lost in the middle of a generation; the model was loaded again, and the
    /// generation goes on where it was.
    Moved {
        /// Where and how it runs now.
        model: ModelInfo,
        /// A sentence the person should read.
        notice: String,
    },
    /// The prompt as the model sees it.
    Prompt {
        /// One entry a token.
        tokens: Vec<PromptToken>,
    },
    /// Tokens of the prompt, and of what a branch goes on from, computed so far.
    Prefill {
        /// Done.
        done: u32,
        /// All.
        total: u32,
    },
    /// One generated token.
    Token {
        /// Position among the generated tokens, from 0.
        index: u32,
        /// Vocabulary id.
        id: u32,
        /// Text that is certain now: whole characters only, so it may be empty and then
        /// arrive with a later token.
        text: String,
        /// Natural log of its probability under the raw logits, before the sampler.
        logprob: f32,
        /// The logits it was chosen from.
        kept: Kept,
    },
    /// Writing ended.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Text held back until now (it might have become a stop string).
        text: String,
        /// Measured times.
        stats: GenerateStats,
    },
    /// A text or a picture was run; what its heads looked at can be asked for.
    Attended {
        /// Its tokens and heads.
        summary: AttentionSummary,
    },
    /// Answers `AttentionMap`.
    AttentionMap {
        /// `[n, n]`, f32: rows are queries; 0 where a query may not look.
        #[serde(with = "serde_bytes")]
        weights: Vec<u8>,
    },
    /// Answers `AttentionFocus`.
    AttentionFocus {
        /// Every number on the way.
        numbers: FocusNumbers,
    },
    /// The words behind masks.
    Masked {
        /// All there is to see.
        result: MaskResult,
    },
    /// A sentence of a text that is translated.
    Sentence {
        /// The sentence and its translations.
        sentence: TranslatedSentence,
        /// Bytes of the text up to its end.
        done: u32,
        /// Bytes of the text.
        total: u32,
    },
    /// A text has been translated.
    Translated {
        /// All of it.
        result: Translated,
    },
    /// A picture was looked at.
    SeenPicture {
        /// Which of the request's files, from 0.
        index: u32,
        /// What came of it.
        picture: SeenPicture,
    },
    /// A picture cannot be taken; the others are.
    NotSeen {
        /// Which of the request's files, from 0.
        index: u32,
        /// One plain sentence for the person.
        message: String,
    },
    /// All pictures of a request have been looked at.
    SeenAll {
        /// From the request to the answer.
        seconds: f64,
    },
    /// Texts were read.
    TextsRead {
        /// What came of them.
        read: TextsRead,
    },
    /// Answers `Explain`.
    Explained {
        /// All there is to see.
        why: Why,
    },
    /// The request was cancelled; nothing was kept.
    Cancelled,
    /// The request could not be carried out; the engine is still usable.
    Failed {
        /// One plain sentence for the person.
        message: String,
        /// For whoever looks behind "more"; may be empty.
        detail: String,
    },
}

/// Where the bytes of a load come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The page's own server.
    Network,
    /// The browser's cache.
    Cache,
    /// The person's disk.
    File,
}

/// What was loaded and how it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// Names it in requests, for as long as it is in memory.
    pub handle: u32,
    /// Manifest id, or the name of the opened file.
    pub id: String,
    /// For people.
    pub name: String,
    /// Architecture, as the file names it.
    pub architecture: String,
    /// Number of weights.
    pub parameters: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Most common storage of the weights, such as "Q4_1".
    pub encoding: String,
    /// Tokens of prompt and answer together that a session takes here.
    pub context: u32,
    /// The most the model was made for.
    pub max_context: u32,
    /// The attention it has over its own text, if any.
    pub attention: Option<AttentionShape>,
    /// The attention of its tower that sees pictures, if it has one.
    #[serde(default)]
    pub sight: Option<AttentionShape>,
    /// Whether it has a chat template.
    pub chat: bool,
    /// Its mask, such as `[MASK]`, if it names the words behind masks.
    #[serde(default)]
    pub mask: Option<String>,
    /// What there is to choose from, if it translates.
    #[serde(default)]
    pub translator: Option<TranslatorShape>,
    /// "webgpu" or "cpu".
    pub backend: String,
    /// "exact" or "fast".
    pub precision: String,
    /// One sentence: what runs and why.
    pub why: String,
    /// Seconds from request to ready.
    pub load_seconds: f64,
    /// Bytes of the engine's WebAssembly memory now (0 natively).
    pub heap_bytes: u64,
}
