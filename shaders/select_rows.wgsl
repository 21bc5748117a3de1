// Chosen positions of each sequence: x [batch, q_len, WIDTH], rows [rows] → y [batch, rows,
// WIDTH]. Dispatch: (WIDTH / 64, batch · rows).
//#include run
override WIDTH: u32;

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let column = group.x * 64u + local;
  if (column >= WIDTH) {
    return;
  }
  let m = group.y;
  let row = m / run.rows * run.q_len + rows[m % run.rows];
  y[m * WIDTH + column] = x[row * WIDTH + column];
}
