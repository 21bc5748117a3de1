// Sums over the LANES threads of a group by exchange within the subgroup; LANES is a power of two
// and at most the smallest subgroup, which is four.
override LANES: u32 = 4u;

fn sum_lanes(local: u32, value: vec3<f32>) -> vec3<f32> {
  var sum = value;
  for (var i = 1u; i < LANES; i *= 2u) {
    sum += subgroupShuffleXor(sum, i);
  }
  return sum;
}
