#![allow(clippy::unwrap_used)]

use glassformer_graph::{Role, Stack, Unary};
use serde_json::{Value, json};

use super::{Decoder, MarianConfig, from_config};

/// What real students hold, sizes aside.
const OPTIONS: &str = "\
dec-cell: ssru
dec-depth: 2
dim-emb: 32
dim-vocabs:
  - 100
  - 100
enc-depth: 3
lemma-dim-emb: 0
output-omit-bias: false
right-left: false
tied-embeddings-all: true
transformer-decoder-autoreg: rnn
transformer-dim-ffn: 48
transformer-ffn-activation: relu
transformer-ffn-depth: 2
transformer-heads: 4
transformer-no-projection: false
transformer-pool: false
transformer-postprocess: dan
transformer-postprocess-emb: d
transformer-postprocess-top: \"\"
transformer-preprocess: \"\"
transformer-tied-layers:
  []
transformer-train-position-embeddings: false
type: transformer
ulr: false
version: v1.9.56 94aeaa46 2021-04-28 00:28:35 +0100
";

fn config() -> Value {
    json!({
        "model_type": "marian", "vocab_size": 50, "decoder_vocab_size": 50, "d_model": 16,
        "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 20, "decoder_ffn_dim": 24,
        "activation_function": "swish", "max_position_embeddings": 64, "scale_embedding": true,
        "static_position_embeddings": true, "pad_token_id": 49, "eos_token_id": 0,
        "decoder_start_token_id": 49, "bad_words_ids": [[49]],
    })
}

#[test]
fn options_are_read() {
    let config = MarianConfig::from_options(OPTIONS).unwrap();
    assert_eq!(config.decoder, Decoder::Student);
    assert_eq!((config.vocab, config.hidden), (100, 32));
    assert_eq!(
        (config.layers, config.heads, config.inner),
        ([3, 2], [4, 4], [48, 48])
    );
    assert_eq!(config.activation, Unary::Relu);
}

#[test]
fn what_would_be_computed_wrongly_is_refused() {
    for (from, to) in [
        ("dec-cell: ssru", "dec-cell: gru"),
        ("autoreg: rnn", "autoreg: self-attention"),
        ("postprocess: dan", "postprocess: da"),
        ("preprocess: \"\"", "preprocess: n"),
        ("ffn-depth: 2", "ffn-depth: 3"),
        ("ffn-activation: relu", "ffn-activation: tanh"),
        ("  - 100\n  - 100", "  - 100\n  - 90"),
        ("tied-embeddings-all: true", "tied-embeddings-all: false"),
        ("heads: 4", "heads: 5"),
        ("dim-emb: 32", "dim-emb: 0"),
        ("dim-emb: 32", "dim-emb: many"),
        ("lemma-dim-emb: 0", "lemma-dim-emb: 8"),
        ("type: transformer\n", ""),
    ] {
        assert!(OPTIONS.contains(from), "{from}");
        let options = OPTIONS.replace(from, to);
        assert!(MarianConfig::from_options(&options).is_err(), "{to}");
    }
    assert!(MarianConfig::from_options("a: [b").is_err());
    assert!(MarianConfig::from_options("").is_err());
    for (key, value) in [
        ("normalize_before", json!(true)),
        ("share_encoder_decoder_embeddings", json!(false)),
        ("activation_function", json!("tanh")),
        ("decoder_vocab_size", json!(60)),
        ("encoder_attention_heads", json!(3)),
        ("eos_token_id", json!(50)),
        ("bad_words_ids", json!([[1, 2]])),
        ("d_model", json!(null)),
    ] {
        let mut config = config();
        config[key] = value;
        assert!(MarianConfig::from_json(&config).is_err(), "{key}");
    }
}

#[test]
fn graphs_have_what_views_look_for() {
    let blueprint = from_config(&config(), &[], 512).unwrap();
    assert_eq!((blueprint.context, blueprint.max_context), (64, 64));
    let model = &blueprint.model;
    let (encode, decode) = (
        model.entry("encode").unwrap(),
        model.entry("decode").unwrap(),
    );
    assert!(encode.stores() && !encode.appends() && decode.appends());
    let probs = |stack, layer| Role::AttentionProbs { stack, layer };
    let shape = |graph: &glassformer_graph::Graph, role| {
        graph.node(graph.role(role).unwrap()).shape.to_string()
    };
    assert_eq!(
        shape(encode, probs(Stack::Encoder, 1)),
        "[batch, 2, source_len, source_len]"
    );
    assert_eq!(
        shape(decode, probs(Stack::Cross, 0)),
        "[batch, 4, q_len, source_len]"
    );
    assert_eq!(
        shape(decode, probs(Stack::Decoder, 0)),
        "[batch, 4, q_len, kv_len]"
    );
    assert_eq!(shape(decode, Role::Logits), "[batch, rows, 50]");
    assert!(
        decode
            .find("model.decoder.layers.0.encoder_attn.probs")
            .is_some()
    );

    let config = MarianConfig::from_options(OPTIONS).unwrap();
    let student = super::model::build(&config, 64).unwrap();
    let listed = student.entry("decode_listed").unwrap();
    assert_eq!(shape(listed, Role::Logits), "[batch, rows, candidates]");
    assert!(!student.can_truncate());
    // Every matrix says how its inputs are rounded; both decoders share all weights.
    let matrices = student
        .weights
        .iter()
        .filter(|weight| weight.shape.len() == 2)
        .count();
    assert_eq!(student.rounding.len(), matrices);
}

/// The table of positions would be made before any weight is compared with what the config claims.
#[test]
fn a_table_beyond_any_models_is_refused() {
    let mut config = config();
    config["d_model"] = (1 << 20).into();
    config["max_position_embeddings"] = 4096.into();
    let error = from_config(&config, &[], 4096).unwrap_err();
    assert!(error.to_string().contains("4096 positions"), "{error}");
}
