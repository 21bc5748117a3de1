// Many rows of input times a matrix [.., K]: a workgroup of 8×8 threads computes 32 rows of input
// by 16 pairs of matrix rows, 4×4 products a thread, 32 columns of K at a time from shared memory.
// Dispatch: (pairs / 16, rows / 32).
//
// A column of the tile is a matrix row: columns 0..16 are the first of each pair, 16..32 the
// second. Thread (i, j) takes columns i, i + 8, i + 16, i + 24, so that neighbours read
// neighbouring rows of shared memory, which are padded to 36 numbers: no two hit the same bank.
const TILE_K4: u32 = 8u;
const STRIDE: u32 = 9u;
var<workgroup> x_tile: array<vec4<f32>, 288>;
var<workgroup> w_tile: array<vec4<f32>, 288>;

fn gained(raw: vec4<f32>, k4: u32) -> vec4<f32> {
  return raw;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let tx = local % 8u;
  let ty = local / 8u;
  let m0 = group.y * 32u;
  let pair0 = group.x * 16u;
  let m_end = row_count();

  // Each thread loads sixteen columns of one row of each tile.
  let load_row = local / 2u;
  let load_half = local % 2u;
  let load_m = min(m0 + load_row, m_end - 1u);
  let load_pair = rows_of(min(pair0 + load_row % 16u, PAIRS - 1u));
  let load_w = select(load_pair.x, load_pair.y, load_row >= 16u);

  var acc: array<vec4<f32>, 4>;
  let tiles = (K + 31u) / 32u;
  for (var tile = 0u; tile < tiles; tile++) {
    let at = load_row * STRIDE + load_half * 4u;
    let k16 = tile * 2u + load_half;
    if (k16 * 16u < K) {
      let w = weight16(load_w, k16);
      w_tile[at] = w[0];
      w_tile[at + 1u] = w[1];
      w_tile[at + 2u] = w[2];
      w_tile[at + 3u] = w[3];
    } else {
      w_tile[at] = vec4<f32>(0.0);
      w_tile[at + 1u] = vec4<f32>(0.0);
      w_tile[at + 2u] = vec4<f32>(0.0);
      w_tile[at + 3u] = vec4<f32>(0.0);
    }
    let k4 = k16 * 4u;
    x_tile[at] = input4(load_m, k4);
    x_tile[at + 1u] = input4(load_m, k4 + 1u);
    x_tile[at + 2u] = input4(load_m, k4 + 2u);
    x_tile[at + 3u] = input4(load_m, k4 + 3u);
    workgroupBarrier();
    for (var k = 0u; k < TILE_K4; k++) {
      let w0 = w_tile[tx * STRIDE + k];
      let w1 = w_tile[(tx + 8u) * STRIDE + k];
      let w2 = w_tile[(tx + 16u) * STRIDE + k];
      let w3 = w_tile[(tx + 24u) * STRIDE + k];
      let a0 = x_tile[ty * STRIDE + k];
      let a1 = x_tile[(ty + 8u) * STRIDE + k];
      let a2 = x_tile[(ty + 16u) * STRIDE + k];
      let a3 = x_tile[(ty + 24u) * STRIDE + k];
      acc[0] += vec4<f32>(dot(a0, w0), dot(a0, w1), dot(a0, w2), dot(a0, w3));
      acc[1] += vec4<f32>(dot(a1, w0), dot(a1, w1), dot(a1, w2), dot(a1, w3));
      acc[2] += vec4<f32>(dot(a2, w0), dot(a2, w1), dot(a2, w2), dot(a2, w3));
      acc[3] += vec4<f32>(dot(a3, w0), dot(a3, w1), dot(a3, w2), dot(a3, w3));
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) {
    let m = m0 + ty + i * 8u;
    if (m >= m_end) {
      return;
    }
    if (pair0 + tx < PAIRS) {
      emit(m, pair0 + tx, acc[i].xz);
    }
    if (pair0 + tx + 8u < PAIRS) {
      emit(m, pair0 + tx + 8u, acc[i].yw);
    }
  }
}
