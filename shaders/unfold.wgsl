// The squares under a convolution's kernel, 0 beyond the borders: x [batch, HEIGHT · WIDTH, CHANNELS] →
// y [batch, ROWS · COLUMNS, CHANNELS · KERNEL · KERNEL].
// Dispatch: (CHANNELS · KERNEL · KERNEL / 64, batch · ROWS · COLUMNS).
override HEIGHT: u32;
override WIDTH: u32;
override CHANNELS: u32;
override KERNEL: u32;
override STRIDE: u32;
override PADDING: u32;
override ROWS: u32;
override COLUMNS: u32;

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let under = CHANNELS * KERNEL * KERNEL;
  let at = group.x * 64u + local;
  if (at >= under) {
    return;
  }
  let place = group.y % (ROWS * COLUMNS);
  let picture = group.y / (ROWS * COLUMNS);
  // Counted from the padding's corner.
  let row = place / COLUMNS * STRIDE + at / KERNEL % KERNEL;
  let column = place % COLUMNS * STRIDE + at % KERNEL;
  var number = 0.0;
  if (row >= PADDING && row - PADDING < HEIGHT && column >= PADDING && column - PADDING < WIDTH) {
    let pixel = (picture * HEIGHT + row - PADDING) * WIDTH + column - PADDING;
    number = x[pixel * CHANNELS + at / (KERNEL * KERNEL)];
  }
  y[group.y * under + at] = number;
}
