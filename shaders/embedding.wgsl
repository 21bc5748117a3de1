// Rows of a table by id: ids [rows] → y [rows, K]. A decoder's may be nothing at the session's first
// position, a factor may multiply them, and a table of positions be added to them.
// Dispatch: (K / 16 / 64, rows).
//#include run
//#include vectors
//#include weights
//#include unused_input
override K: u32;
override ROW0: u32 = 0u; // where the table begins in a stack of matrices
override FIRST: u32 = 0u; // the rows of the table that are bound
override COUNT: u32 = 0xffffffffu;
override FACTOR: f32 = 1.0;
override ZERO_START: bool = false;
override POSITIONS: bool = false;
override TABLE_AT: u32 = 0u;

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
  let position = run.past_len + m % run.q_len;
  for (var v = 0u; v < 4u; v++) {
    let w = part(chunk, first + v);
    for (var i = 0u; i < 4u && k16 * 16u + v * 4u + i < K; i++) {
      var number = f32(w[i]) * FACTOR;
      if (ZERO_START && position == 0u) {
        number = 0.0;
      }
      if (POSITIONS) {
        number += vectors[TABLE_AT + position * K + k16 * 16u + v * 4u + i];
      }
      y[at + v * 4u + i] = number;
    }
  }
}
