// A few rows of input times a matrix [.., K]: LANES threads share two rows of the matrix (a
// pair) and walk along K together. Dispatch: (pairs / (64 / LANES), rows of input).
//
// The RMS norm of the input costs nothing extra: its gains are multiplied on the way, and its
// scale, which is the same for the whole row, at the end.
override NORM: bool = false;
override NORM_AT: u32 = 0u;
override NORM_EPS: f32 = 0.0;

fn gained(raw: vec4<f32>, k4: u32) -> vec4<f32> {
  if (!NORM) {
    return raw;
  }
  let at = NORM_AT + k4 * 4u;
  return raw * vec4<f32>(vectors[at], vectors[at + 1u], vectors[at + 2u], vectors[at + 3u]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let pair = group.x * (64u / LANES) + local / LANES;
  let m = group.y;
  let rows = rows_of(min(pair, pairs() - 1u));
  var sum = vec3<f32>(0.0);
  let chunks = (K + CHUNK - 1u) / CHUNK;
  for (var chunk = local % LANES; chunk < chunks; chunk += LANES) {
    sum += dot_chunk(rows, chunk, m);
  }
  sum = sum_lanes(local, sum);
  if (local % LANES != 0u || pair >= pairs()) {
    return;
  }
  var dots = sum.xy;
  if (NORM) {
    dots *= inverseSqrt(sum.z / f32(K) + NORM_EPS);
  }
  emit(m, pair, dots);
}
