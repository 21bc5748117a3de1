// All vectors of the model one behind the other: gains, biases, tables of angles.
@group(0) @binding(4) var<storage, read> vectors: array<f32>;
