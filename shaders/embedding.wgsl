// Rows of a table by id: ids [rows] → y [rows, K]. Dispatch: (K / 16 / 64, rows).
//#include weights
//#include unused_input
override K: u32;
override ROW0: u32 = 0u; // where the table begins in a stack of matrices
override FIRST: u32 = 0u; // the rows of the table that are bound
override COUNT: u32 = 0xffffffffu;

@group(0) @binding(3) var<storage, read> ids: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let k16 = group.x * 64u + local;
  if (k16 * 16u >= K) {
    return;
  }
  let m = group.y;
  let row = ids[m] - FIRST;
  // Rows before the first wrap around, beyond all others.
  if (row >= COUNT) {
    return;
  }
  let chunk = chunk_of(ROW0 + row, k16 * 16u / CHUNK);
  let first = k16 * 4u % (CHUNK / 4u);
  let at = m * K + k16 * 16u;
  for (var v = 0u; v < 4u; v++) {
    let w = part(chunk, first + v);
    for (var i = 0u; i < 4u && k16 * 16u + v * 4u + i < K; i++) {
      y[at + v * 4u + i] = f32(w[i]);
    }
  }
}
