// y = (x − mean(x)) / √(var(x) + ε) · g + b over the last axis: x [rows, K] → y [rows, K].
// Dispatch: (rows).
//#include vectors
override K: u32;
override NORM_AT: u32 = 0u;
override BIAS_AT: u32 = 0u;
override NORM_EPS: f32 = 0.0;

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

var<workgroup> sums: array<f32, 64>;

// The mean of a row, from every thread's part of its sum.
fn mean_of(local: u32, part: f32) -> f32 {
  sums[local] = part;
  workgroupBarrier();
  for (var i = 32u; i > 0u; i /= 2u) {
    if (local < i) {
      sums[local] += sums[local + i];
    }
    workgroupBarrier();
  }
  let mean = sums[0] / f32(K);
  workgroupBarrier();
  return mean;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = group.x * K;
  var sum = 0.0;
  for (var k = local; k < K; k += 64u) {
    sum += x[row + k];
  }
  let mean = mean_of(local, sum);
  // Deviations first: the difference of two large sums would lose the spread.
  var squares = 0.0;
  for (var k = local; k < K; k += 64u) {
    squares += (x[row + k] - mean) * (x[row + k] - mean);
  }
  let scale = inverseSqrt(mean_of(local, squares) + NORM_EPS);
  for (var k = local; k < K; k += 64u) {
    y[row + k] = (x[row + k] - mean) * scale * vectors[NORM_AT + k] + vectors[BIAS_AT + k];
  }
}
