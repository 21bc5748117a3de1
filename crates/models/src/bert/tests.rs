#![allow(clippy::unwrap_used)]

use glassformer_graph::{Encoding, Role, Stack};
use serde_json::json;

use super::*;
use crate::{bind_weights, registry};

fn config() -> Value {
    json!({
        "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 32,
        "hidden_act": "gelu"
    })
}

fn with(key: &str, value: Value) -> Value {
    let mut config = config();
    config[key] = value;
    config
}

fn tensors(names: &[&str]) -> Vec<TensorInfo> {
    let tensor = |name: &&str| TensorInfo {
        name: (*name).into(),
        shape: vec![1],
        encoding: Encoding::F32,
        offset: 0,
        bytes: 4,
    };
    names.iter().map(tensor).collect()
}

fn read(config: &Value, names: &[&str]) -> Result<Blueprint, ModelError> {
    registry::from_config(config.to_string().as_bytes(), &tensors(names), 1 << 20)
}

/// What marks a checkpoint with a head.
const HEAD: &str = "cls.predictions.transform.dense.weight";

#[test]
fn a_model_with_a_head_names_words_at_rows() {
    let blueprint = read(&config(), &[HEAD]).unwrap();
    assert_eq!((blueprint.context, blueprint.max_context), (32, 32));
    let model = &blueprint.model;
    for name in [
        "bert.embeddings.LayerNorm.weight",
        "bert.encoder.layer.1.attention.self.query.bias",
        "cls.predictions.bias",
    ] {
        assert!(model.weight(name).is_some(), "{name}");
    }
    assert_eq!(model.weight("cls.predictions.decoder.weight"), None, "tied");
    let graph = &model.entries["encode"];
    assert!(!graph.appends());
    let (stack, layer) = (Stack::Encoder, 1);
    let probs = graph.role(Role::AttentionProbs { stack, layer }).unwrap();
    assert_eq!(graph.node(probs).name, "encoder.layer.1.attention.probs");
    assert_eq!(
        graph.node(probs).shape.to_string(),
        "[batch, 4, q_len, q_len]"
    );
    let last = graph.role(Role::Residual { stack, layer: 2 }).unwrap();
    assert_eq!(graph.node(last).name, "encoder.layer.1");
    let logits = graph.role(Role::Logits).unwrap();
    assert_eq!(graph.node(logits).shape.to_string(), "[batch, rows, 50]");
}

#[test]
fn names_are_those_of_the_files() {
    let old = [
        "embeddings.word_embeddings.weight",
        "embeddings.LayerNorm.gamma",
        "embeddings.LayerNorm.beta",
    ];
    let model = read(&config(), &old).unwrap().model;
    for name in old {
        assert!(model.weight(name).is_some(), "{name}");
    }
    assert!(
        model
            .weight("encoder.layer.0.output.dense.weight")
            .is_some()
    );
    let graph = &model.entries["encode"];
    assert_eq!(graph.role(Role::Logits), None);
    assert_eq!(graph.find("rows"), None);
    let output = graph.node(graph.outputs()[0]);
    assert_eq!(output.shape.to_string(), "[batch, q_len, 16]");

    let both = [HEAD, "cls.predictions.decoder.bias"];
    let model = read(&config(), &both).unwrap().model;
    assert!(model.weight("cls.predictions.decoder.bias").is_some());
}

#[test]
fn relatives_differ_where_they_do() {
    let model_type = |kind: &str| with("model_type", json!(kind));
    let mut roberta = model_type("roberta");
    roberta["pad_token_id"] = json!(1);
    let blueprint = read(&roberta, &["lm_head.dense.weight"]).unwrap();
    assert_eq!(blueprint.max_context, 30);
    assert!(blueprint.model.weight("lm_head.bias").is_some());

    let distilbert = json!({
        "model_type": "distilbert", "vocab_size": 50, "dim": 16, "hidden_dim": 24, "n_layers": 2,
        "n_heads": 4, "max_position_embeddings": 32
    });
    let model = read(&distilbert, &[]).unwrap().model;
    assert_eq!(model.entries["encode"].find("types"), None);
    let lin = model.weight("distilbert.transformer.layer.1.ffn.lin2.weight");
    assert_eq!(model.weights[lin.unwrap().0].shape, [16, 24]);

    let mut albert = model_type("albert");
    albert["embedding_size"] = json!(8);
    let model = read(&albert, &["predictions.dense.weight"]).unwrap().model;
    let shared = "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight";
    assert!(model.weight(shared).is_some());
    let second = "albert.encoder.albert_layer_groups.1.albert_layers.0.ffn.weight";
    assert_eq!(model.weight(second), None);
    let graph = &model.entries["encode"];
    assert!(graph.find("encoder.layer.1.intermediate.dense").is_some());

    let electra = read(
        &model_type("electra"),
        &["generator_predictions.dense.weight"],
    );
    let model = electra.unwrap().model;
    assert!(model.weight("electra.embeddings_project.weight").is_some());
}

#[test]
fn what_would_be_computed_wrongly_is_refused() {
    let refused = [
        with("hidden_act", json!("relu")),
        with("position_embedding_type", json!("relative_key")),
        with("is_decoder", json!(true)),
        with("add_cross_attention", json!(true)),
        with("num_attention_heads", json!(3)),
        with("num_attention_heads", json!(0)),
        with("hidden_size", json!(1u64 << 60)),
        with("num_hidden_layers", json!(1 << 24)),
        with("vocab_size", json!("many")),
    ];
    for config in refused {
        let error = read(&config, &[]).unwrap_err().to_string();
        assert!(error.ends_with('.') && !error.contains('\n'), "{error}");
    }
    let mut albert = with("model_type", json!("albert"));
    albert["num_hidden_groups"] = json!(3);
    assert!(read(&albert, &[]).is_err());
    let mut roberta = with("model_type", json!("roberta"));
    roberta["pad_token_id"] = json!(31);
    assert!(read(&roberta, &[]).is_err());
}

#[test]
fn only_listed_tensors_may_be_left_over() {
    let blueprint = read(&config(), &[]).unwrap();
    let decls = blueprint.model.weights.iter();
    let mut files: Vec<TensorInfo> = decls
        .map(|decl| TensorInfo {
            name: decl.name.clone(),
            shape: decl.shape.clone(),
            encoding: Encoding::F32,
            offset: 0,
            bytes: 0,
        })
        .collect();
    files.extend(tensors(&[
        "bert.pooler.dense.weight",
        "bert.embeddings.position_ids",
        "cls.seq_relationship.bias",
    ]));
    assert!(bind_weights(&blueprint, &files).is_ok());
    files.extend(tensors(&["bert.encoder.layer.2.output.dense.weight"]));
    let error = bind_weights(&blueprint, &files).unwrap_err();
    assert!(error.to_string().contains("layer.2"), "{error}");
}
