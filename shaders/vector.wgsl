// A vector of the model as a value: y [LEN]. Dispatch: (LEN / 64).
//#include vectors
override LEN: u32;
override AT: u32 = 0u;

@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < LEN) {
    y[id.x] = vectors[AT + id.x];
  }
}
