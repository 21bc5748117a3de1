// exp(x − max) / Σ exp(x − max) over the last axis, the keys: x [ROWS · positions, keys]
// → y, the same shape. Dispatch: one workgroup a row.
//#include run
//#include keys
override ROWS: u32; // rows of a position: the heads

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

var<workgroup> shared_values: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let row = group.z * groups.y + group.y;
  let width = key_count();
  // The same for the whole workgroup.
  if (row >= run.positions * ROWS) {
    return;
  }
  let at = row * width;
  var largest = x[at];
  for (var i = local; i < width; i += 64u) {
    largest = max(largest, x[at + i]);
  }
  shared_values[local] = largest;
  workgroupBarrier();
  for (var i = 0u; i < 64u; i++) {
    largest = max(largest, shared_values[i]);
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = local; i < width; i += 64u) {
    sum += exp(x[at + i] - largest);
  }
  shared_values[local] = sum;
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < 64u; i++) {
    total += shared_values[i];
  }
  for (var i = local; i < width; i += 64u) {
    y[at + i] = exp(x[at + i] - largest) / total;
  }
}
