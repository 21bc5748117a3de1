// f32 weights [rows, K] with rows padded by zeros to whole groups of 16 numbers.
@group(0) @binding(1) var<storage, read> quants: array<vec4<f32>>;

const CHUNK: u32 = 16u;
override PER_ROW: u32 = (K + 15u) / 16u;

// Sixteen neighbouring weights of a row.
fn weight16(row: u32, k16: u32) -> mat4x4<f32> {
  let at = (row * PER_ROW + k16) * 4u;
  return mat4x4<f32>(quants[at], quants[at + 1u], quants[at + 2u], quants[at + 3u]);
}
//#include dot_dense
