// A function of each number, or of each pair of numbers: a, b [rows, WIDTH] → y, the same shape.
// Dispatch: (WIDTH / 64, rows).
//#include function
override WIDTH: u32;
override FUNCTION: u32;      // of one number, see above; 7 a + b, 8 a · b, 9 a · FACTOR
override FACTOR: f32 = 1.0;

@group(0) @binding(3) var<storage, read> a: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let column = group.x * 64u + local;
  if (column >= WIDTH) {
    return;
  }
  let i = group.y * WIDTH + column;
  switch FUNCTION {
    case 7u: { y[i] = a[i] + b[i]; }
    case 8u: { y[i] = a[i] * b[i]; }
    case 9u: { y[i] = a[i] * FACTOR; }
    default: { y[i] = apply(FUNCTION, a[i]); }
  }
}
