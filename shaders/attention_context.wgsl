// probs · value: probs [batch, HEADS, q_len, keys], values → y [batch, q_len, HEADS, HEAD_DIM].
// Dispatch: (HEADS · HEAD_DIM / 64, batch · q_len).
//#include run
//#include heads
@group(0) @binding(3) var<storage, read> probs: array<f32>;
@group(0) @binding(4) var<storage, read> values: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let element = group.x * 64u + local;
  if (element >= HEADS * HEAD_DIM) {
    return;
  }
  let m = group.y;
  let batch = m / run.q_len;
  let head = element / HEAD_DIM;
  let row = ((batch * HEADS + head) * run.q_len + m % run.q_len) * key_count();
  var sum = 0.0;
  for (var key = 0u; key < key_count(); key++) {
    sum += probs[row + key] * values[kv_at(batch, key, head) + element % HEAD_DIM];
  }
  y[m * HEADS * HEAD_DIM + element] = sum;
}
