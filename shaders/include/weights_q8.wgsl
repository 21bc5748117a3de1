// 8-bit weights [rows, K]: w = d·q in blocks of 32 signed bytes, two vec4 of words each. The
// scales of two blocks are the two f16 of one word.
//#include numbers
@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;

const CHUNK: u32 = 32u;

// BYTE times each.
fn bytes(word: u32) -> Num4 {
  let q = (vec4<i32>(bitcast<i32>(word)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
  return Num4(q) * Num(BYTE);
}

fn scale_of(block: u32) -> f32 {
  let pair = unpack2x16float(scales[block / 2u]);
  return select(pair.x, pair.y, (block & 1u) == 1u);
}

// A block as it is stored.
struct Chunk {
  low: vec4<u32>,
  high: vec4<u32>,
  scale: f32,
}

fn chunk_of(row: u32, chunk: u32) -> Chunk {
  let block = row * (K / CHUNK) + chunk;
  return Chunk(quants[block * 2u], quants[block * 2u + 1u], scale_of(block));
}

// Four neighbouring weights of a chunk.
fn part(chunk: Chunk, v: u32) -> Num4 {
  let words = select(chunk.low, chunk.high, v >= 4u);
  return Num(chunk.scale / BYTE) * bytes(words[v & 3u]);
}

// One chunk of two rows times row m of the input, and the sum of the input's squares.
fn dot_chunk(rows: vec2<u32>, chunk: u32, m: u32) -> vec3<f32> {
  let blocks = rows * (K / CHUNK) + chunk;
  var dots = vec2<f32>(0.0);
  var squares = 0.0;
  for (var half = 0u; half < 2u; half++) {
    let qa = quants[blocks.x * 2u + half];
    let qb = quants[blocks.y * 2u + half];
    for (var v = 0u; v < 4u; v++) {
      let k4 = chunk * 8u + half * 4u + v;
      let raw = input4(m, k4);
      squares += dot(raw, raw);
      let x = narrow(gained(raw, k4));
      dots.x += f32(dot(bytes(qa[v]), x));
      dots.y += f32(dot(bytes(qb[v]), x));
    }
  }
  dots *= SHRINK / BYTE;
  return vec3<f32>(scale_of(blocks.x) * dots.x, scale_of(blocks.y) * dots.y, squares);
}
