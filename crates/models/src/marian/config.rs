//! What a checkpoint says of itself: Marian's options in YAML, or MarianMT's `config.json`.

use glassformer_graph::Unary;
use saphyr::{LoadableYamlNode as _, Yaml};
use serde::Deserialize;
use serde_json::Value;

use crate::ModelError;

/// Which decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    /// A recurrent unit in place of self-attention.
    Student,
    /// Self-attention.
    Full,
}

/// A translation model, derived values filled in and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct MarianConfig {
    /// Which decoder, and with it which names.
    pub decoder: Decoder,
    /// Tokens, of both languages.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Layers of encoder and decoder.
    pub layers: [usize; 2],
    /// Heads of encoder and decoder.
    pub heads: [usize; 2],
    /// Widths of the feed-forward layers of encoder and decoder.
    pub inner: [usize; 2],
    /// Of the feed-forward layers.
    pub activation: Unary,
    /// Multiplies embeddings.
    pub embed_scale: f32,
    /// Added under the root of the norms.
    pub eps: f32,
    /// Most positions, if the checkpoint names them.
    pub positions: Option<usize>,
    /// What the decoder begins with.
    pub start: u32,
    /// What ends a text.
    pub end: u32,
    /// Tokens that are never written.
    pub never: Vec<u32>,
}

/// Larger sizes are no model that fits.
const MOST: usize = 1 << 20;
/// More layers than any model has.
const MOST_LAYERS: usize = 256;
/// Bytes of YAML beyond which options are none.
const MOST_OPTIONS: usize = 1 << 16;

impl MarianConfig {
    /// Reads the options of a Marian file.
    ///
    /// # Errors
    /// If they are no YAML, lack something, or ask for something that would be computed wrongly.
    pub fn from_options(options: &str) -> Result<Self, ModelError> {
        let unreadable = || ModelError::Inconsistent("its options are no YAML".into());
        if options.len() > MOST_OPTIONS {
            return Err(unreadable());
        }
        let documents = Yaml::load_from_str(options).map_err(|_| unreadable())?;
        let options = Options(documents.first().ok_or_else(unreadable)?);
        // What a transformer with norms behind its layers and an SSRU decoder is.
        for (key, wanted) in [
            ("type", "transformer"),
            ("transformer-decoder-autoreg", "rnn"),
            ("dec-cell", "ssru"),
            ("transformer-preprocess", ""),
            ("transformer-postprocess", "dan"),
            ("transformer-postprocess-emb", "d"),
            ("transformer-postprocess-top", ""),
        ] {
            let found = options.text(key)?;
            if found != wanted {
                return Err(unsupported(key, found));
            }
        }
        for (key, wanted) in [
            ("tied-embeddings-all", true),
            ("transformer-no-projection", false),
            ("transformer-train-position-embeddings", false),
            ("transformer-pool", false),
            ("output-omit-bias", false),
            ("right-left", false),
            ("ulr", false),
        ] {
            let found = options.get(key).and_then(|value| value.as_bool());
            if found.is_some_and(|found| found != wanted) {
                return Err(unsupported(key, &(!wanted).to_string()));
            }
        }
        for (key, wanted) in [("transformer-ffn-depth", 2), ("lemma-dim-emb", 0)] {
            let found = options.number(key)?;
            if found != wanted {
                return Err(unsupported(key, &found.to_string()));
            }
        }
        let tied = options.get("transformer-tied-layers");
        if tied
            .and_then(Yaml::as_sequence)
            .is_some_and(|tied| !tied.is_empty())
        {
            return Err(unsupported("transformer-tied-layers", "a list of layers"));
        }
        let vocabularies = options.get("dim-vocabs").and_then(Yaml::as_sequence);
        let vocabularies = vocabularies.ok_or_else(|| missing("dim-vocabs"))?;
        let vocabularies: Vec<Option<usize>> = vocabularies.iter().map(size).collect();
        let (Some(Some(vocab)), true) = (
            vocabularies.first().copied(),
            vocabularies.windows(2).all(|pair| pair[0] == pair[1]),
        ) else {
            return Err(unsupported("dim-vocabs", "different vocabularies"));
        };
        let hidden = options.number("dim-emb")?;
        let heads = options.number("transformer-heads")?;
        let inner = options.number("transformer-dim-ffn")?;
        Self {
            decoder: Decoder::Student,
            vocab,
            hidden,
            layers: [options.number("enc-depth")?, options.number("dec-depth")?],
            heads: [heads, heads],
            inner: [inner, inner],
            activation: activation(
                "transformer-ffn-activation",
                options.text("transformer-ffn-activation")?,
            )?,
            embed_scale: (hidden as f32).sqrt(),
            eps: 1e-6,
            positions: None,
            // Whatever is embedded first becomes nothing; see `Op::ZeroStart`.
            start: 0,
            // Marian's `</s>` and `<unk>`.
            end: 0,
            never: vec![1],
        }
        .checked()
    }

    /// Reads `config.json`.
    ///
    /// # Errors
    /// If a field is missing or asks for something that would be computed wrongly.
    pub fn from_json(config: &Value) -> Result<Self, ModelError> {
        let raw: Raw = serde_json::from_value(config.clone())
            .map_err(|error| ModelError::Config(error.to_string()))?;
        let wrong = [
            (
                "static_position_embeddings",
                raw.static_position_embeddings,
                true,
            ),
            ("normalize_before", raw.normalize_before, false),
            ("normalize_embedding", raw.normalize_embedding, false),
            ("add_final_layer_norm", raw.add_final_layer_norm, false),
            (
                "share_encoder_decoder_embeddings",
                raw.share_encoder_decoder_embeddings,
                true,
            ),
            ("tie_word_embeddings", raw.tie_word_embeddings, true),
        ];
        for (key, found, wanted) in wrong {
            if found.is_some_and(|found| found != wanted) {
                return Err(unsupported(key, &(!wanted).to_string()));
            }
        }
        if raw
            .decoder_vocab_size
            .is_some_and(|size| size != raw.vocab_size)
        {
            return Err(unsupported("decoder_vocab_size", "another than vocab_size"));
        }
        let never = raw.bad_words_ids.unwrap_or_default();
        if let Some(words) = never.iter().find(|words| words.len() != 1) {
            return Err(unsupported("bad_words_ids", &format!("{words:?}")));
        }
        let scale = if raw.scale_embedding.unwrap_or(false) {
            (raw.d_model as f32).sqrt()
        } else {
            1.0
        };
        Self {
            decoder: Decoder::Full,
            vocab: raw.vocab_size,
            hidden: raw.d_model,
            layers: [raw.encoder_layers, raw.decoder_layers],
            heads: [raw.encoder_attention_heads, raw.decoder_attention_heads],
            inner: [raw.encoder_ffn_dim, raw.decoder_ffn_dim],
            activation: activation("activation_function", &raw.activation_function)?,
            embed_scale: scale,
            eps: 1e-5,
            positions: Some(raw.max_position_embeddings),
            start: raw.decoder_start_token_id.unwrap_or(raw.pad_token_id),
            end: raw.eos_token_id,
            never: never.into_iter().flatten().collect(),
        }
        .checked()
    }

    fn checked(self) -> Result<Self, ModelError> {
        let [enc_layers, dec_layers] = self.layers;
        let [enc_heads, dec_heads] = self.heads;
        let [enc_inner, dec_inner] = self.inner;
        let sizes = [
            ("the vocabulary", self.vocab, MOST),
            ("the width", self.hidden, MOST),
            ("the encoder", enc_layers, MOST_LAYERS),
            ("the decoder", dec_layers, MOST_LAYERS),
            ("the encoder's heads", enc_heads, MOST_LAYERS),
            ("the decoder's heads", dec_heads, MOST_LAYERS),
            ("the encoder's feed-forward layer", enc_inner, MOST),
            ("the decoder's feed-forward layer", dec_inner, MOST),
            ("the number of positions", self.positions.unwrap_or(1), MOST),
        ];
        for (name, size, most) in sizes {
            if size == 0 || size > most {
                return Err(ModelError::Inconsistent(format!("{name} is {size}")));
            }
        }
        for heads in self.heads {
            if !self.hidden.is_multiple_of(heads) {
                let reason = format!("{heads} heads do not divide a width of {}", self.hidden);
                return Err(ModelError::Inconsistent(reason));
            }
        }
        if !self.hidden.is_multiple_of(2) {
            let reason = format!("a width of {} has no two halves", self.hidden);
            return Err(ModelError::Inconsistent(reason));
        }
        let ids = self.never.iter().chain([&self.start, &self.end]);
        if let Some(id) = ids.copied().find(|&id| id as usize >= self.vocab) {
            let reason = format!("token {id} is not one of {}", self.vocab);
            return Err(ModelError::Inconsistent(reason));
        }
        Ok(self)
    }
}

/// The fields as they stand in `config.json`.
#[derive(Deserialize)]
struct Raw {
    vocab_size: usize,
    decoder_vocab_size: Option<usize>,
    d_model: usize,
    encoder_layers: usize,
    decoder_layers: usize,
    encoder_attention_heads: usize,
    decoder_attention_heads: usize,
    encoder_ffn_dim: usize,
    decoder_ffn_dim: usize,
    activation_function: String,
    max_position_embeddings: usize,
    scale_embedding: Option<bool>,
    static_position_embeddings: Option<bool>,
    normalize_before: Option<bool>,
    normalize_embedding: Option<bool>,
    add_final_layer_norm: Option<bool>,
    share_encoder_decoder_embeddings: Option<bool>,
    tie_word_embeddings: Option<bool>,
    pad_token_id: u32,
    eos_token_id: u32,
    decoder_start_token_id: Option<u32>,
    bad_words_ids: Option<Vec<Vec<u32>>>,
}

/// Options in YAML.
struct Options<'y>(&'y Yaml<'y>);

impl<'y> Options<'y> {
    fn get(&self, key: &str) -> Option<&'y Yaml<'y>> {
        self.0.as_mapping_get(key)
    }

    fn text(&self, key: &str) -> Result<&'y str, ModelError> {
        self.get(key)
            .and_then(|value| value.as_str())
            .ok_or_else(|| missing(key))
    }

    fn number(&self, key: &str) -> Result<usize, ModelError> {
        self.get(key).and_then(size).ok_or_else(|| missing(key))
    }
}

fn size(value: &Yaml<'_>) -> Option<usize> {
    usize::try_from(value.as_integer()?).ok()
}

fn missing(key: &str) -> ModelError {
    ModelError::MissingKey(key.into())
}

fn unsupported(key: &str, value: &str) -> ModelError {
    let (key, value) = (key.into(), value.into());
    ModelError::Unsupported { key, value }
}

fn activation(key: &str, name: &str) -> Result<Unary, ModelError> {
    Ok(match name {
        "relu" => Unary::Relu,
        "swish" | "silu" => Unary::Silu,
        "gelu" => Unary::Gelu,
        _ => return Err(unsupported(key, name)),
    })
}
