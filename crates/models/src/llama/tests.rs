#![allow(clippy::unwrap_used)]

use glassformer_graph::{Role, Stack};
use serde_json::json;

use super::*;
use crate::registry;

fn config() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "hidden_act": "silu"
    })
}

fn with(key: &str, value: Value) -> Value {
    let mut config = config();
    config[key] = value;
    config
}

fn read(config: &Value) -> Result<Blueprint, ModelError> {
    registry::from_config(config.to_string().as_bytes(), &[], 64)
}

#[test]
fn the_graph_names_what_the_checkpoint_names() {
    let blueprint = read(&config()).unwrap();
    assert_eq!((blueprint.context, blueprint.max_context), (64, 128));
    let model = &blueprint.model;
    assert_eq!(model.max_len(), Some(64));
    let down = model.weight("model.layers.1.mlp.down_proj.weight").unwrap();
    assert_eq!(model.weights[down.0].shape, [16, 24]);
    assert_eq!(model.weight("lm_head.weight"), None);
    let graph = &model.entries["decode"];
    let (stack, layer) = (Stack::Decoder, 1);
    let probs = graph.role(Role::AttentionProbs { stack, layer }).unwrap();
    let node = graph.node(probs);
    assert_eq!(node.name, "model.layers.1.self_attn.probs");
    assert_eq!(node.shape.to_string(), "[batch, 4, q_len, kv_len]");
    let logits = graph.role(Role::Logits).unwrap();
    assert_eq!(graph.node(logits).shape.to_string(), "[batch, rows, 50]");
}

#[test]
fn untied_and_biased_models_declare_their_weights() {
    let mut config = with("tie_word_embeddings", json!(false));
    config["attention_bias"] = json!(true);
    config["mlp_bias"] = json!(true);
    config["head_dim"] = json!(8);
    let model = read(&config).unwrap().model;
    assert!(model.weight("lm_head.weight").is_some());
    let bias = model
        .weight("model.layers.0.self_attn.k_proj.bias")
        .unwrap();
    assert_eq!(model.weights[bias.0].shape, [16]);
    assert!(model.weight("model.layers.0.mlp.up_proj.bias").is_some());
}

#[test]
fn what_would_be_computed_wrongly_is_refused() {
    let refused = [
        with("hidden_act", json!("gelu")),
        with(
            "rope_scaling",
            json!({"rope_type": "llama3", "factor": 8.0}),
        ),
        with(
            "rope_parameters",
            json!({"rope_type": "yarn", "rope_theta": 1e4}),
        ),
        with("num_key_value_heads", json!(3)),
        with("head_dim", json!(7)),
        with("num_attention_heads", json!(0)),
        with("hidden_size", json!(1u64 << 60)),
        with("num_hidden_layers", json!(1 << 24)),
        with("head_dim", json!(1 << 20)),
        with("model_type", json!("mamba")),
        with("vocab_size", json!("many")),
    ];
    for config in refused {
        let error = read(&config).unwrap_err().to_string();
        assert!(error.ends_with('.') && !error.contains('\n'), "{error}");
    }
    let error = read(&with("model_type", json!("mamba"))).unwrap_err();
    assert!(error.to_string().contains("mamba") && error.to_string().contains("llama"));
    assert!(registry::from_config(b"{", &[], 64).is_err());
}

#[test]
fn default_rotary_scaling_is_none() {
    assert!(read(&with("rope_scaling", json!({"rope_type": "default"}))).is_ok());
    assert!(read(&with("rope_scaling", Value::Null)).is_ok());
    let newer = json!({"rope_type": "default", "rope_theta": 5e5});
    let config = LlamaConfig::from_json(&with("rope_parameters", newer)).unwrap();
    assert_eq!(config.rope_theta, 5e5);
}
