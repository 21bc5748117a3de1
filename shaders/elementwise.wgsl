// A function of each number, or of each pair of numbers: a, b [rows, WIDTH] → y, the same shape.
// Dispatch: (WIDTH / 64, rows).
//#include silu
//#include gelu
override WIDTH: u32;
override FUNCTION: u32; // 0 silu(a), 1 a + b, 2 a · b, 3 gelu(a), 4 gelu_tanh(a), 5 quick_gelu(a)

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
    case 0u: { y[i] = silu(a[i]); }
    case 1u: { y[i] = a[i] + b[i]; }
    case 2u: { y[i] = a[i] * b[i]; }
    case 3u: { y[i] = gelu(a[i]); }
    case 4u: { y[i] = gelu_tanh(a[i]); }
    default: { y[i] = quick_gelu(a[i]); }
  }
}
