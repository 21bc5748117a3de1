// Rotary positions: pairs of a head's elements turn by the angle of their position.
// x [batch, q_len, heads, HEAD_DIM] → y, the same shape. Dispatch: (pairs of a row / 64, rows).
//#include run
//#include vectors
override WIDTH: u32;                // heads · HEAD_DIM
override HEAD_DIM: u32;
override ROPE_AT: u32 = 0u;         // [positions, 2, HEAD_DIM / 2]: cosines, then sines
override INTERLEAVED: bool = false;

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let pair = group.x * 64u + local;
  if (pair >= WIDTH / 2u) {
    return;
  }
  let m = group.y;
  let half = HEAD_DIM / 2u;
  let i = pair % half;
  let head = m * WIDTH + pair / half * HEAD_DIM;
  var at = vec2<u32>(head + i, head + i + half);
  if (INTERLEAVED) {
    at = vec2<u32>(head + 2u * i, head + 2u * i + 1u);
  }
  let angle = ROPE_AT + (run.past_len + m % run.q_len) * HEAD_DIM + i;
  let cosine = vectors[angle];
  let sine = vectors[angle + half];
  let a = x[at.x];
  let b = x[at.y];
  y[at.x] = a * cosine - b * sine;
  y[at.y] = a * sine + b * cosine;
}
