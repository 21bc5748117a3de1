//! What can go wrong in a task.

use glassformer_graph::ExecError;
use glassformer_text::TextError;

/// A task that cannot be carried out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TaskError {
    /// Nothing to continue.
    #[error("The prompt is empty: type something to continue.")]
    EmptyPrompt,
    /// More prompt than the session takes.
    #[error("The prompt is {tokens} tokens long, and at most {most} fit here.")]
    PromptTooLong {
        /// Of the prompt.
        tokens: usize,
        /// That would have fitted.
        most: usize,
    },
    /// So much text that it cannot fit, whatever its tokens.
    #[error("The prompt is {bytes} bytes long, and at most {most} tokens fit here.")]
    PromptTooLarge {
        /// Of the prompt, in UTF-8.
        bytes: usize,
        /// Tokens that would have fitted.
        most: usize,
    },
    /// The text leaves no tokens.
    #[error("None of this text is in the model's vocabulary.")]
    NoTokens,
    /// A setting outside its range.
    #[error("{name} must be {range}; it is {value}.")]
    Setting {
        /// As people know it.
        name: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it is.
        value: String,
    },
    /// The model has no entry or output that the task needs.
    #[error("This model cannot write text.")]
    CannotGenerate,
    /// The model has no attention over its own text.
    #[error("This model has no attention that can be looked at.")]
    NoAttention,
    /// Rollout of attention to another text.
    #[error(
        "A rollout follows what a text reads in itself; for attention to a source there is none."
    )]
    NoRollout,
    /// A layer or head that the model does not have.
    #[error(
        "There is no head {head} in layer {layer}: this model has layers 0 to {} and heads 0 to {}.",
        layers.saturating_sub(1),
        heads.saturating_sub(1)
    )]
    NoSuchHead {
        /// Asked for, from 0.
        layer: usize,
        /// Asked for, from 0.
        head: usize,
        /// How many there are.
        layers: usize,
        /// In each layer.
        heads: usize,
    },
    /// A token that the text does not have.
    #[error("There is no token {index}: the text has {tokens}.")]
    NoSuchToken {
        /// Asked for, from 0.
        index: usize,
        /// How many there are.
        tokens: usize,
    },
    /// The model has no head that names words, or no mask to put in their place.
    #[error(
        "This model cannot name the word behind a mask; BERT's relatives with their masked-word head can."
    )]
    CannotFill,
    /// No mask in the text.
    #[error("There is no mask in the text: write {0} where a word is to be found.")]
    NoMask(&'static str),
    /// Nothing but masks.
    #[error("There is nothing but masks: write some words around them.")]
    OnlyMasks,
    /// The vocabulary lacks everything that was written.
    #[error("The model's vocabulary has none of these characters, so it would guess from nothing.")]
    AllUnknown,
    /// All masks stand where the text had to be cut.
    #[error("The text is too long: only its first {kept} tokens fit, and no mask is among them.")]
    MasksCut {
        /// Tokens that fit.
        kept: usize,
    },
    /// The model has no source.
    #[error("This model cannot translate; Marian's models can.")]
    CannotTranslate,
    /// Neither letters nor numbers.
    #[error("There is nothing to translate: type a sentence.")]
    NothingToTranslate,
    /// A forced token that the shortlist does not have.
    #[error(
        "A word that the translation was to begin with is not on the shortlist of its sentence."
    )]
    CannotForce,
    /// The model has no tower that sees.
    #[error("This model sees no pictures; CLIP, ViT and their relatives do.")]
    CannotSee,
    /// The model does not bring pictures and texts together.
    #[error("This model cannot compare pictures with texts; CLIP and its relatives can.")]
    CannotMatch,
    /// The model has no names for what it sees.
    #[error(
        "This model has no labels of its own; give it texts to compare with, or open a classifier."
    )]
    NoLabels,
    /// Nothing to compare with.
    #[error("This text is empty: type what a picture may show.")]
    EmptyText,
    /// The model computed something that is no number.
    #[error("The model computed values that are not numbers; its file may be damaged.")]
    NotFinite,
    /// From the executor.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// From the tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
}
