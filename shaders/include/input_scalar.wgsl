// The input [rows, K], K any number.
@group(0) @binding(3) var<storage, read> x: array<f32>;

fn input1(m: u32, k: u32) -> f32 {
  if (k >= K) {
    return 0.0;
  }
  return x[m * K + k];
}

fn input4(m: u32, k4: u32) -> vec4<f32> {
  let k = k4 * 4u;
  return vec4<f32>(input1(m, k), input1(m, k + 1u), input1(m, k + 2u), input1(m, k + 3u));
}
