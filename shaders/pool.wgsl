// One vector of each sequence: x [batch, q_len, WIDTH], lengths [batch] → y [batch, WIDTH].
// Dispatch: (WIDTH / 64, batch).
//#include run
override WIDTH: u32;
override KIND: u32;           // 0 the first position, 1 the last, 2 the mean from FROM on
override FROM: u32 = 0u;
override LENGTHS: bool = false;

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> lengths: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let column = group.x * 64u + local;
  if (column >= WIDTH) {
    return;
  }
  let first = group.y * run.q_len;
  var length = run.q_len;
  if (LENGTHS) {
    length = lengths[group.y];
  }
  var number = x[first * WIDTH + column];
  if (KIND == 1u) {
    number = x[(first + length - 1u) * WIDTH + column];
  } else if (KIND == 2u) {
    number = 0.0;
    for (var i = FROM; i < length; i++) {
      number += x[(first + i) * WIDTH + column];
    }
    number /= f32(length - FROM);
  }
  y[group.y * WIDTH + column] = number;
}
