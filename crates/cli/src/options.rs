//! What can be typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use glassformer_engine::protocol::{BackendChoice, GenerateSettings, PrecisionChoice, Prompt};
use glassformer_engine::tasks::translation::TranslateSettings;

const DEFAULT_CONTEXT: NonZeroUsize =
    NonZeroUsize::new(glassformer_engine::DEFAULT_CONTEXT).unwrap();

/// Runs transformer models and shows what they compute.
#[derive(Debug, Parser)]
#[command(
    name = "glassformer",
    version,
    disable_help_subcommand = true,
    arg_required_else_help = false
)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write text that continues a prompt.
    Generate(Generate),
    /// Name the words behind `[MASK]`.
    FillMask(FillMask),
    /// Print what the heads of a model look at in a text.
    Attention(Attention),
    /// Translate a text.
    Translate(Translate),
    /// Compare pictures with texts.
    Match(Match),
    /// Name what a picture shows, with a classifier's own labels.
    Classify(Classify),
    /// Print the largest logits for the token after a prompt.
    Logits(Logits),
    /// Describe a model: its tensors, states and the nodes of its graphs, or the values of a node.
    Inspect(Inspect),
    /// Round a Hugging Face folder's weights to 8 bits: one GGUF file, config and tokenizer inside.
    Quantize(Quantize),
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// A model's id in the manifest, a Hugging Face folder, or a file; without it the default model of
    /// the command.
    #[arg(long)]
    pub model: Option<String>,
    /// What computes.
    #[arg(long, value_enum, default_value = "cpu")]
    pub backend: Backend,
    /// f32 on dequantised weights, or products of rounded numbers.
    #[arg(long, value_enum, default_value = "auto")]
    pub precision: Precision,
    /// Most tokens of prompt and answer together.
    #[arg(long, default_value_t = DEFAULT_CONTEXT, allow_negative_numbers = true)]
    pub context: NonZeroUsize,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Names of backends.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Backend {
    /// SIMD on the CPU.
    Cpu,
    /// Compute shaders on the GPU.
    Gpu,
}

/// Names of precisions.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Precision {
    /// What the backend does best.
    Auto,
    /// f32 arithmetic on the dequantised weights.
    Exact,
    /// Integer dot products on activations rounded to 8 bits; on a GPU, products in f16 if it has it.
    Fast,
}

impl From<Backend> for BackendChoice {
    fn from(value: Backend) -> Self {
        match value {
            Backend::Cpu => Self::Cpu,
            Backend::Gpu => Self::WebGpu,
        }
    }
}

impl From<Precision> for PrecisionChoice {
    fn from(value: Precision) -> Self {
        match value {
            Precision::Auto => Self::Auto,
            Precision::Exact => Self::Exact,
            Precision::Fast => Self::Fast,
        }
    }
}

/// What to continue.
#[derive(Args, Debug)]
pub struct PromptArgs {
    /// The text to continue.
    #[arg(long, allow_hyphen_values = true)]
    pub prompt: String,
    /// Wrap the prompt in the model's chat template as a message from the user.
    #[arg(long)]
    pub chat: bool,
}

impl PromptArgs {
    /// As the engine takes it.
    pub fn prompt(&self) -> Prompt {
        let text = self.prompt.clone();
        if self.chat {
            Prompt::Chat { text }
        } else {
            Prompt::Plain { text }
        }
    }
}

/// Options of `generate`.
#[derive(Args, Debug)]
pub struct Generate {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// 0 is greedy.
    #[arg(long, default_value_t = GenerateSettings::default().temperature, allow_negative_numbers = true)]
    pub temperature: f32,
    /// Keep this many of the likeliest; 0 keeps all.
    #[arg(long, default_value_t = GenerateSettings::default().top_k, allow_negative_numbers = true)]
    pub top_k: u32,
    /// Keep the likeliest until their probabilities reach this; 1 keeps all.
    #[arg(long, default_value_t = GenerateSettings::default().top_p, allow_negative_numbers = true)]
    pub top_p: f32,
    /// Drop what is less likely than this fraction of the likeliest; 0 keeps all.
    #[arg(long, default_value_t = GenerateSettings::default().min_p, allow_negative_numbers = true)]
    pub min_p: f32,
    /// Above 1 makes tokens seen before less likely.
    #[arg(long, default_value_t = GenerateSettings::default().repetition_penalty, allow_negative_numbers = true)]
    pub repetition_penalty: f32,
    /// Most tokens to write.
    #[arg(long, default_value_t = GenerateSettings::default().max_tokens, allow_negative_numbers = true)]
    pub max_tokens: u32,
    /// Same seed, same text.
    #[arg(long, default_value_t = GenerateSettings::default().seed)]
    pub seed: u32,
    /// End before this text; may be given several times.
    #[arg(long, allow_hyphen_values = true)]
    pub stop: Vec<String>,
}

impl Generate {
    /// As the engine takes them.
    pub fn settings(&self) -> GenerateSettings {
        GenerateSettings {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            max_tokens: self.max_tokens,
            seed: self.seed,
            stop: self.stop.clone(),
        }
    }
}

/// Options of `quantize`.
#[derive(Args, Debug)]
pub struct Quantize {
    /// The folder: config.json, tokenizer.json and .safetensors files.
    #[arg(long)]
    pub model: String,
    /// The file to write.
    #[arg(long)]
    pub to: PathBuf,
    /// What the model is called; the folder's name where none is given.
    #[arg(long)]
    pub name: Option<String>,
    /// What people should know of it.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    pub description: String,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    #[command(flatten)]
    pub common: Common,
    /// Print the values of the node of this name after a run of the text.
    #[arg(long, requires = "text")]
    pub node: Option<String>,
    /// What to run.
    #[arg(long, requires = "node", allow_hyphen_values = true)]
    pub text: Option<String>,
    /// A second sentence behind it.
    #[arg(long, requires = "text", allow_hyphen_values = true)]
    pub pair: Option<String>,
}

/// Options of `fill-mask`.
#[derive(Args, Debug)]
pub struct FillMask {
    #[command(flatten)]
    pub common: Common,
    /// The text, with `[MASK]` where words are to be found.
    #[arg(long, allow_hyphen_values = true)]
    pub text: String,
    /// A second sentence that the model reads behind it.
    #[arg(long, allow_hyphen_values = true)]
    pub pair: Option<String>,
    /// How many words to print for each mask.
    #[arg(long, default_value_t = 5, allow_negative_numbers = true)]
    pub top: u32,
    /// Also fill all masks together, the surest first.
    #[arg(long)]
    pub fill: bool,
    /// Print the message that the page would get, with what the masks attended to.
    #[arg(long)]
    pub as_page: bool,
}

/// Options of `logits`.
#[derive(Args, Debug)]
pub struct Logits {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub prompt: PromptArgs,
    /// How many to print.
    #[arg(long, default_value_t = 10, allow_negative_numbers = true)]
    pub top: usize,
}

/// Options of `attention`.
#[derive(Args, Debug)]
pub struct Attention {
    #[command(flatten)]
    pub common: Common,
    /// The text that is run.
    #[arg(long, allow_hyphen_values = true)]
    pub text: String,
    /// A second sentence, for models that read pairs.
    #[arg(long, allow_hyphen_values = true)]
    pub pair: Option<String>,
    /// From 0; without layer and head, all heads are printed.
    #[arg(long, allow_negative_numbers = true)]
    pub layer: Option<u32>,
    /// From 0.
    #[arg(long, allow_negative_numbers = true)]
    pub head: Option<u32>,
}

/// Options of `match`.
#[derive(Args, Debug)]
pub struct Match {
    #[command(flatten)]
    pub common: Common,
    /// A picture: PNG, JPEG, WebP or GIF; may be given several times.
    #[arg(long, required = true, num_args = 1..)]
    pub image: Vec<PathBuf>,
    /// A text; may be given several times.
    #[arg(long, required = true, num_args = 1..)]
    pub text: Vec<String>,
    /// What each text is put into, in the place of {}.
    #[arg(long, default_value = "{}")]
    pub template: String,
    /// Also tell which parts of each picture and which words of each text mattered.
    #[arg(long)]
    pub why: bool,
}

/// Options of `classify`.
#[derive(Args, Debug)]
pub struct Classify {
    #[command(flatten)]
    pub common: Common,
    /// A picture: PNG, JPEG, WebP or GIF.
    #[arg(long)]
    pub image: PathBuf,
    /// How many labels to print.
    #[arg(long, default_value_t = 5, allow_negative_numbers = true)]
    pub top: usize,
}

/// Options of `translate`.
#[derive(Args, Debug)]
pub struct Translate {
    #[command(flatten)]
    pub common: Common,
    /// The text.
    #[arg(long, allow_hyphen_values = true)]
    pub text: String,
    /// Its language.
    #[arg(long, default_value = "en")]
    pub from: String,
    /// The language wanted.
    #[arg(long, default_value = "pt")]
    pub to: String,
    /// Hypotheses followed at once, 1 to 8; 1 is greedy.
    #[arg(long, default_value_t = TranslateSettings::default().beams, allow_negative_numbers = true)]
    pub beams: u32,
    /// Translations wanted of each sentence.
    #[arg(long, default_value_t = TranslateSettings::default().best, allow_negative_numbers = true)]
    pub best: u32,
    /// Hypotheses are compared by score / length ^ this.
    #[arg(long, default_value_t = TranslateSettings::default().length_penalty, allow_negative_numbers = true)]
    pub length_penalty: f32,
    /// Most sentences translated side by side; without it as many as the backend gains from. They say the
    /// same either way.
    #[arg(long)]
    pub together: Option<u32>,
    /// Look at the whole vocabulary, not only at the words on the shortlist.
    #[arg(long)]
    pub no_shortlist: bool,
    /// Layer and head that words are aligned by, such as 1,0; the first head of the last layer is what
    /// students were taught to align with.
    #[arg(long, value_delimiter = ',', num_args = 2)]
    pub align: Option<Vec<u32>>,
    /// Also print every hypothesis of the search.
    #[arg(long)]
    pub trace: bool,
    /// Print what the page would get, with every hypothesis.
    #[arg(long)]
    pub as_page: bool,
}
