/// Why a tokenizer could not be made or used. Each displays as one plain sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The GGUF metadata names a kind of tokenizer that is not implemented.
    #[error(
        "the tokenizer of this file is of the kind \"{kind}\", and only \"gpt2\" (byte-level BPE) is supported"
    )]
    UnsupportedKind {
        /// `tokenizer.ggml.model`.
        kind: String,
    },
    /// The GGUF metadata names a way of splitting text into words that is not implemented.
    #[error(
        "the tokenizer of this file splits words in the way called \"{name}\", which is not supported"
    )]
    UnsupportedPreTokenizer {
        /// `tokenizer.ggml.pre`.
        name: String,
    },
    /// There are no tokens.
    #[error("the tokenizer of this file has an empty vocabulary")]
    EmptyVocabulary,
    /// The lists of tokens and of their types differ in length.
    #[error("the tokenizer of this file lists {tokens} tokens but {types} token types")]
    TokenTypeCount {
        /// Length of `tokenizer.ggml.tokens`.
        tokens: usize,
        /// Length of `tokenizer.ggml.token_type`.
        types: usize,
    },
    /// A token occurs twice, so text would not have one encoding.
    #[error(
        "the tokenizer of this file lists the token {token:?} twice, as {first} and as {second}"
    )]
    DuplicateToken {
        /// The token as it stands in the vocabulary.
        token: String,
        /// Id of the first occurrence.
        first: u32,
        /// Id of the second occurrence.
        second: u32,
    },
    /// A merge is not two tokens with a space between.
    #[error("merge {index} of the tokenizer, {merge:?}, is not a pair of tokens")]
    MalformedMerge {
        /// Position in `tokenizer.ggml.merges`.
        index: usize,
        /// The merge as written.
        merge: String,
    },
    /// A merge names, or makes, a token that the vocabulary lacks.
    #[error(
        "merge {index} of the tokenizer needs the token {token:?}, which is not in its vocabulary"
    )]
    UnknownMergeToken {
        /// Position in `tokenizer.ggml.merges`.
        index: usize,
        /// The missing token.
        token: String,
    },
    /// A special token's id is not an id of the vocabulary.
    #[error(
        "the tokenizer of this file gives {id} as its {name} token, but its vocabulary ends at {size}"
    )]
    SpecialIdOutOfRange {
        /// Which special token: "beginning", "end", "unknown" or "padding".
        name: &'static str,
        /// The id given.
        id: u32,
        /// Number of tokens.
        size: usize,
    },
    /// The model, put together from valid parts, was refused by the `tokenizers` crate.
    #[error("the tokenizer of this file could not be built: {reason}")]
    Build {
        /// What `tokenizers` says.
        reason: String,
    },
    /// `tokenizer.json` is not one.
    #[error("tokenizer.json could not be read: {reason}")]
    Json {
        /// What the parser says.
        reason: String,
    },
    /// `tokenizer_config.json` is not one.
    #[error("tokenizer_config.json could not be read: {reason}")]
    Config {
        /// What the parser says.
        reason: String,
    },
    /// A SentencePiece model that cannot be used.
    #[error("the vocabulary cannot be read: {reason}")]
    SentencePiece {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A `vocab.json` that cannot be used.
    #[error("the vocabulary (vocab.json) cannot be read: {reason}")]
    Vocabulary {
        /// What is wrong with it.
        reason: String,
    },
    /// A text could not be encoded.
    #[error("the text could not be turned into tokens: {reason}")]
    Encode {
        /// What `tokenizers` says.
        reason: String,
    },
    /// The model comes without a chat template.
    #[error("this model has no chat template; use it in plain mode")]
    NoChatTemplate,
    /// The chat template is malformed, or uses something that is not supported.
    #[error("the model's chat template failed: {reason}")]
    Template {
        /// What the template engine says.
        reason: String,
    },
    /// The chat template called `raise_exception`: it does not take these messages.
    #[error("the model's chat template does not take these messages: {reason}")]
    TemplateRefused {
        /// The template's own words.
        reason: String,
    },
}
