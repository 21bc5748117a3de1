// Writes this run's positions behind those of a state: x [batch, q_len, WIDTH] into
// y [batch, capacity, WIDTH]; or into one that holds nothing else, y [batch, q_len, WIDTH].
// Dispatch: (WIDTH / 64, batch · q_len).
//#include run
override WIDTH: u32;
override WHOLE: bool = false;

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = group.x * 64u + local;
  if (i >= WIDTH) {
    return;
  }
  let m = group.y;
  let behind = m / run.q_len * run.capacity + run.past_len + m % run.q_len;
  let row = select(behind, m, WHOLE);
  y[row * WIDTH + i] = x[m * WIDTH + i];
}
