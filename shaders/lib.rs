//! The shader files of this folder: names and texts. `glassformer-gpu` joins them.
//!
//! A package of its own, as cargo remembers files of other folders by the checkout they were in.

macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!($folder, $name, ".wgsl")))),*]
    };
}

/// One operation each.
pub const OPERATIONS: &[(&str, &str)] = files!("":
    "append", "attention_context", "attention_join", "attention_scores", "attention_tile", "attention_vector", "choose",
    "elementwise", "embedding", "gate_up_tile", "gate_up_vector", "layer_norm", "linear_rows_tile",
    "linear_rows_vector", "linear_tile", "linear_vector", "pool", "position_embedding", "positions",
    "project_tile", "project_vector", "recur", "rms_norm", "rope", "select_rows", "sequence", "softmax", "unfold",
    "vector", "zero_start",
);

/// What operations share.
pub const INCLUDES: &[(&str, &str)] = files!("include/":
    "dot_dense", "function", "gate_up", "gelu", "heads", "input_scalar", "input_vec4", "keys", "lanes_shared",
    "lanes_subgroup", "linear", "linear_rows", "mask", "numbers_f16", "numbers_f32", "project", "run", "silu",
    "tile_body", "unused_input", "vector_body", "vectors", "weights_f16", "weights_f32", "weights_i8", "weights_q4",
    "weights_q8",
);
