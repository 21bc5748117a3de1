// The input [rows, K], K a multiple of four.
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;

fn input4(m: u32, k4: u32) -> vec4<f32> {
  // A chunk, of 16 or 32 columns, may reach beyond the row.
  if (K % 16u != 0u && k4 * 4u >= K) {
    return vec4<f32>(0.0);
  }
  return x[m * (K / 4u) + k4];
}
