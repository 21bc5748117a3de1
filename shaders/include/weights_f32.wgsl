// f32 weights [rows, K] with rows padded by zeros to whole groups of 16 numbers.
//#include numbers
@group(0) @binding(1) var<storage, read> quants: array<vec4<f32>>;

const CHUNK: u32 = 16u;
override PER_ROW: u32 = (K + 15u) / 16u;

// Sixteen neighbouring weights of a row: where they begin.
struct Chunk {
  at: u32,
}

fn chunk_of(row: u32, chunk: u32) -> Chunk {
  return Chunk((row * PER_ROW + chunk) * 4u);
}

// Four neighbouring weights of a chunk.
fn part(chunk: Chunk, v: u32) -> Num4 {
  return Num4(quants[chunk.at + v]);
}
//#include dot_dense
