// c[t] = gate[t]·c[t−1] + (1 − gate[t])·x[t], y[t] = f(c[t]) (+ other[t]), f a function of one number
// (Kim et al. 2019): gate, x, other [batch, q_len, WIDTH], cell [batch, WIDTH], which holds c before the
// run and after it → y [batch, q_len, WIDTH]. Dispatch: (WIDTH / 64, batch).
//#include run
//#include function
override WIDTH: u32;
override FUNCTION: u32 = 0u;
override RESIDUAL: bool = false;

@group(0) @binding(3) var<storage, read> gate: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read_write> cell: array<f32>;
@group(0) @binding(7) var<storage, read> other: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let column = group.x * 64u + local;
  if (column >= WIDTH) {
    return;
  }
  let at = group.y * WIDTH + column;
  var c = cell[at];
  for (var t = 0u; t < run.q_len; t++) {
    let i = (group.y * run.q_len + t) * WIDTH + column;
    c = gate[i] * c + (1.0 - gate[i]) * x[i];
    var value = apply(FUNCTION, c);
    if (RESIDUAL) {
      value += other[i];
    }
    y[i] = value;
  }
  cell[at] = c;
}
