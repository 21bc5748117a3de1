// Sums over the LANES threads of a group through shared memory; only its first thread gets it.
override LANES: u32 = 8u;
var<workgroup> lane_sums: array<vec3<f32>, 64>;

fn sum_lanes(local: u32, value: vec3<f32>) -> vec3<f32> {
  lane_sums[local] = value;
  workgroupBarrier();
  var sum = vec3<f32>(0.0);
  if (local % LANES == 0u) {
    for (var i = 0u; i < LANES; i++) {
      sum += lane_sums[local + i];
    }
  }
  return sum;
}
