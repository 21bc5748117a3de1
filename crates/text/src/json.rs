//! A tokenizer from `tokenizer.json` and `tokenizer_config.json`.

use serde::Deserialize;
use serde_json::Value;
use tokenizers::DecoderWrapper;
use tokenizers::normalizers::precompiled::Precompiled;

use crate::TextError;
use crate::tokenizer::{Decoding, Parts, SpecialIds, Tokenizer};

/// The part of `tokenizer_config.json` that matters here.
#[derive(Debug, Default, Deserialize)]
struct TokenizerConfig {
    bos_token: Option<TokenName>,
    eos_token: Option<TokenName>,
    unk_token: Option<TokenName>,
    pad_token: Option<TokenName>,
    mask_token: Option<TokenName>,
    add_bos_token: Option<bool>,
    add_eos_token: Option<bool>,
    chat_template: Option<ChatTemplates>,
}

/// A token by its text, alone or with its properties.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TokenName {
    Text(String),
    Token { content: String },
}

/// One template, or several by name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ChatTemplates {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Debug, Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

impl TokenName {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Token { content: text } => text,
        }
    }
}

impl ChatTemplates {
    /// The template called "default", else the first.
    fn preferred(self) -> Option<String> {
        match self {
            Self::One(template) => Some(template),
            Self::Named(mut all) => {
                let index = all.iter().position(|t| t.name == "default").unwrap_or(0);
                (index < all.len()).then(|| all.swap_remove(index).template)
            }
        }
    }
}

impl Tokenizer {
    /// The tokenizer of a model that reads nothing: it knows no tokens.
    pub fn none() -> Self {
        Self::assemble(Parts {
            library: tokenizers::Tokenizer::new(tokenizers::models::bpe::BPE::default()),
            decoding: Decoding::Library,
            size: 0,
            lexicon: None,
            hidden: Vec::new(),
            literal: Vec::new(),
            cut_at_spaces: false,
            special: SpecialIds::default(),
            add_bos: false,
            add_eos: false,
            chat_template: None,
        })
    }

    /// Makes the tokenizer of a `tokenizer.json`, with special tokens and chat template from `tokenizer_config.json`.
    ///
    /// Truncation and padding that the file asks for are left out: an encoding is of the whole text and nothing else.
    ///
    /// # Errors
    /// Either file is malformed, or uses a part that the `tokenizers` crate does not know.
    pub fn from_json(
        tokenizer_json: &[u8],
        tokenizer_config: Option<&[u8]>,
    ) -> Result<Self, TextError> {
        check_parts(tokenizer_json)?;
        let mut library =
            tokenizers::Tokenizer::from_bytes(tokenizer_json).map_err(|error| TextError::Json {
                reason: error.to_string(),
            })?;
        library.with_padding(None);
        library
            .with_truncation(None)
            .map_err(|error| TextError::Json {
                reason: error.to_string(),
            })?;
        let config: TokenizerConfig = match tokenizer_config {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| TextError::Config {
                reason: error.to_string(),
            })?,
            None => TokenizerConfig::default(),
        };

        let id = |name: &Option<TokenName>| {
            name.as_ref()
                .and_then(|name| library.token_to_id(name.text()))
        };
        // What BERT's relatives call them, where no tokenizer_config.json says.
        let named = |names: &[&str]| names.iter().find_map(|name| library.token_to_id(name));
        let special = SpecialIds {
            bos: id(&config.bos_token),
            eos: id(&config.eos_token),
            unknown: id(&config.unk_token).or_else(|| named(&["[UNK]", "<unk>"])),
            padding: id(&config.pad_token),
            mask: id(&config.mask_token).or_else(|| named(&["[MASK]", "<mask>"])),
        };
        // Most files add their special tokens themselves, in a post-processor; adding them again would double them.
        let added = library
            .encode_fast("", true)
            .map_err(|error| TextError::Json {
                reason: error.to_string(),
            })?
            .get_ids()
            .to_vec();
        let missing = |wanted: Option<bool>, id: Option<u32>| {
            wanted == Some(true) && id.is_some_and(|id| !added.contains(&id))
        };
        let (add_bos, add_eos) = (
            missing(config.add_bos_token, special.bos),
            missing(config.add_eos_token, special.eos),
        );

        let (mut hidden, mut literal) = (Vec::new(), Vec::new());
        for (id, token) in library.get_added_tokens_decoder() {
            if token.special {
                hidden.push(id)
            } else {
                literal.push(id)
            }
        }
        hidden.sort_unstable();
        literal.sort_unstable();

        let decoding = match library.get_decoder() {
            Some(DecoderWrapper::ByteLevel(_)) => Decoding::ByteLevel,
            _ => Decoding::Library,
        };
        let size = library.get_vocab_size(true);
        Ok(Self::assemble(Parts {
            library,
            decoding,
            size,
            hidden,
            literal,
            cut_at_spaces: false,
            special,
            add_bos,
            add_eos,
            chat_template: config.chat_template.and_then(ChatTemplates::preferred),
            lexicon: None,
        }))
    }
}

/// The parts of a `tokenizer.json` for which the `tokenizers` crate panics where it should return an error.
#[derive(Deserialize)]
struct FragileParts {
    normalizer: Option<Value>,
    #[serde(rename = "decoder")]
    _decoder: Option<Value>,
}

fn check_parts(tokenizer_json: &[u8]) -> Result<(), TextError> {
    let parse = || -> serde_json::Result<()> {
        let parts: FragileParts = serde_json::from_slice(tokenizer_json)?;
        parts
            .normalizer
            .as_ref()
            .map_or(Ok(()), check_character_maps)
    };
    parse().map_err(|error| TextError::Json {
        reason: error.to_string(),
    })
}

/// Checks the character map of each SentencePiece normalizer, alone or in a sequence.
fn check_character_maps(normalizer: &Value) -> serde_json::Result<()> {
    if normalizer.get("type").and_then(Value::as_str) == Some("Precompiled") {
        serde_json::from_str::<Precompiled>(&normalizer.to_string())?;
    }
    let steps = normalizer.get("normalizers").and_then(Value::as_array);
    steps
        .into_iter()
        .flatten()
        .try_for_each(check_character_maps)
}

#[cfg(test)]
mod tests;
