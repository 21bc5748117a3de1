// Many rows of input times a matrix [.., K]: a workgroup of 16×4 threads computes 32 pairs of
// matrix rows by 32 rows of input, two pairs and eight rows a thread.
// Dispatch: (pairs / 32, rows / 32).
//
// Nothing is shared through workgroup memory: the sixteen threads beside each other read the same
// input, which caches and broadcasts serve, and the matrix is read where it is packed most tightly
// and unpacked once for eight rows. The sums are indexed by constants alone, or in a loop of fixed
// length, so that they can stay in registers.
const ROWS: u32 = 8u;
alias Sums = ptr<function, array<vec4<f32>, 8>>;

fn gained(raw: vec4<f32>, k4: u32) -> vec4<f32> {
  return raw;
}

// Four columns of the input's rows times four matrix rows.
fn multiply(sums: Sums, w: Num4x4, m: array<vec4<u32>, 2>, k4: u32) {
  (*sums)[0] += vec4<f32>(narrow(input4(m[0].x, k4)) * w);
  (*sums)[1] += vec4<f32>(narrow(input4(m[0].y, k4)) * w);
  (*sums)[2] += vec4<f32>(narrow(input4(m[0].z, k4)) * w);
  (*sums)[3] += vec4<f32>(narrow(input4(m[0].w, k4)) * w);
  (*sums)[4] += vec4<f32>(narrow(input4(m[1].x, k4)) * w);
  (*sums)[5] += vec4<f32>(narrow(input4(m[1].y, k4)) * w);
  (*sums)[6] += vec4<f32>(narrow(input4(m[1].z, k4)) * w);
  (*sums)[7] += vec4<f32>(narrow(input4(m[1].w, k4)) * w);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let pair = group.x * 32u + local % 16u;
  let m = group.y * 32u + local / 16u * ROWS;
  let end = row_count();
  if (m >= end) {
    return;
  }
  let near = rows_of(min(pair, pairs() - 1u));
  let far = rows_of(min(pair + 16u, pairs() - 1u));

  let last = vec4<u32>(end - 1u);
  let rows = array<vec4<u32>, 2>(
    min(m + vec4<u32>(0u, 1u, 2u, 3u), last),
    min(m + vec4<u32>(4u, 5u, 6u, 7u), last),
  );
  var sums: array<vec4<f32>, 8>;
  for (var chunk = 0u; chunk < (K + CHUNK - 1u) / CHUNK; chunk++) {
    let a = chunk_of(near.x, chunk);
    let b = chunk_of(near.y, chunk);
    let c = chunk_of(far.x, chunk);
    let d = chunk_of(far.y, chunk);
    for (var v = 0u; v < CHUNK / 4u; v++) {
      let columns = Num4x4(part(a, v), part(b, v), part(c, v), part(d, v));
      multiply(&sums, columns, rows, chunk * (CHUNK / 4u) + v);
    }
  }
  for (var i = 0u; i < ROWS; i++) {
    if (m + i >= end) {
      return;
    }
    if (pair < pairs()) {
      emit(m + i, pair, sums[i].xy * SHRINK);
    }
    if (pair + 16u < pairs()) {
      emit(m + i, pair + 16u, sums[i].zw * SHRINK);
    }
  }
}
