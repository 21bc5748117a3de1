// Zeros at the session's first position, x at all others: x [batch, q_len, WIDTH] → y, the same shape.
// Dispatch: (WIDTH / 64, batch · q_len).
//#include run
override WIDTH: u32;

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let column = group.x * 64u + local;
  if (column >= WIDTH) {
    return;
  }
  let is_first = run.past_len == 0u && group.y % run.q_len == 0u;
  let i = group.y * WIDTH + column;
  y[i] = select(x[i], 0.0, is_first);
}
