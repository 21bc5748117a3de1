// Joins the parts of an attention over many keys: x [rows, HEADS, PARTS, HEAD_DIM + 2], the sums of
// a part, its maximum and the sum of its weights → y [rows, HEADS, HEAD_DIM].
// Dispatch: (HEADS, rows).
override HEADS: u32;
override HEAD_DIM: u32;
override PARTS: u32;

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = group.y * HEADS + group.x;
  let first = row * PARTS * (HEAD_DIM + 2u);
  var largest = x[first + HEAD_DIM];
  for (var part = 1u; part < PARTS; part++) {
    largest = max(largest, x[first + part * (HEAD_DIM + 2u) + HEAD_DIM]);
  }
  for (var element = local; element < HEAD_DIM; element += 64u) {
    var sum = 0.0;
    var weights = 0.0;
    for (var part = 0u; part < PARTS; part++) {
      let at = first + part * (HEAD_DIM + 2u);
      // A part without keys has the least number for a maximum, and weighs nothing.
      let weight = exp(x[at + HEAD_DIM] - largest);
      sum += weight * x[at + element];
      weights += weight * x[at + HEAD_DIM + 1u];
    }
    y[row * HEAD_DIM + element] = sum / weights;
  }
}
