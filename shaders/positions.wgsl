// y = x + table[position]: x [.., q_len, WIDTH], table [positions, WIDTH] → y, the shape of x. The i-th
// position of a run is `past_len + i`. Dispatch: (WIDTH / 64, rows).
//#include run
//#include vectors
override WIDTH: u32;
override TABLE_AT: u32 = 0u;

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let column = group.x * 64u + local;
  if (column >= WIDTH) {
    return;
  }
  let position = run.past_len + group.y % run.q_len;
  let i = group.y * WIDTH + column;
  y[i] = x[i] + vectors[TABLE_AT + position * WIDTH + column];
}
