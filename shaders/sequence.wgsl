// Places of a picture behind learned first ones: x [batch, PLACES, WIDTH] → y [batch, FIRST + PLACES,
// WIDTH]. Dispatch: (WIDTH / 64, batch · q_len).
//#include vectors
override WIDTH: u32;
override PLACES: u32;
override FIRST: u32;          // at most two
override FIRST_AT: u32 = 0u;
override SECOND_AT: u32 = 0u;

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let column = group.x * 64u + local;
  if (column >= WIDTH) {
    return;
  }
  let position = group.y % (FIRST + PLACES);
  let picture = group.y / (FIRST + PLACES);
  var number = 0.0;
  if (position < FIRST) {
    number = vectors[select(SECOND_AT, FIRST_AT, position == 0u) + column];
  } else {
    number = x[(picture * PLACES + position - FIRST) * WIDTH + column];
  }
  y[group.y * WIDTH + column] = number;
}
