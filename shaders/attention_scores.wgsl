// query · keyᵀ · scale (+ bias), unseen pairs masked: query [batch, q_len, HEADS, HEAD_DIM], keys
// → y [batch, HEADS, q_len, keys]. Dispatch: (keys / 64, batch · HEADS · q_len).
//#include run
//#include heads
//#include mask
override BIAS_OF_EACH: bool = false; // whether each sequence has a bias of its own

@group(0) @binding(3) var<storage, read> query: array<f32>;
@group(0) @binding(4) var<storage, read> keys: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>; // [HEADS, q_len, keys], or of each sequence

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let key = group.x * 64u + local;
  let row = group.z * groups.y + group.y;
  if (key >= key_count() || row >= run.positions * HEADS) {
    return;
  }
  let q = row % run.q_len;
  let head = row / run.q_len % HEADS;
  let batch = row / run.q_len / HEADS;
  let seen = visible(batch, run.past_len + q);
  var score = MASKED;
  if (key >= seen.x && key < seen.y) {
    let a = ((batch * run.q_len + q) * HEADS + head) * HEAD_DIM;
    let b = kv_at(batch, key, head);
    score = 0.0;
    for (var i = 0u; i < HEAD_DIM; i++) {
      score += query[a + i] * keys[b + i];
    }
    score *= SCALE;
    if (BIAS) {
      let own = select(head * run.q_len + q, row, BIAS_OF_EACH);
      score += bias[own * key_count() + key];
    }
  }
  y[row * key_count() + key] = score;
}
