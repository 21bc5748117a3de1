// f16 weights [rows, K] with rows padded by zeros to whole groups of 16 numbers, two to a word.
// Unpacking needs no shader-f16.
@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>;

const CHUNK: u32 = 16u;
override PER_ROW: u32 = (K + 15u) / 16u;

fn halves(a: u32, b: u32) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(a), unpack2x16float(b));
}

// Sixteen neighbouring weights of a row.
fn weight16(row: u32, k16: u32) -> mat4x4<f32> {
  let at = (row * PER_ROW + k16) * 2u;
  let low = quants[at];
  let high = quants[at + 1u];
  return mat4x4<f32>(
    halves(low.x, low.y),
    halves(low.z, low.w),
    halves(high.x, high.y),
    halves(high.z, high.w),
  );
}
//#include dot_dense
