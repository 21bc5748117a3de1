// 8-bit weights [rows, K]: w = d·q, q a signed byte and d an f32 of each row, which is the same for a
// whole matrix; matrices that lie behind each other have their own. Rows are padded by zeros to whole
// groups of 16 bytes, a vec4 of words each.
//#include numbers
@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;

const CHUNK: u32 = 16u;
override PER_ROW: u32 = (K + 15u) / 16u;

// BYTE times each.
fn bytes(word: u32) -> Num4 {
  let q = (vec4<i32>(bitcast<i32>(word)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
  return Num4(q) * Num(BYTE);
}

// Sixteen neighbouring weights of a row as they are stored.
struct Chunk {
  words: vec4<u32>,
  scale: f32,
}

fn chunk_of(row: u32, chunk: u32) -> Chunk {
  return Chunk(quants[row * PER_ROW + chunk], scales[row]);
}

// Four neighbouring weights of a chunk.
fn part(chunk: Chunk, v: u32) -> Num4 {
  return Num(chunk.scale / BYTE) * bytes(chunk.words[v]);
}

// One chunk of two rows times row m of the input, and the sum of the input's squares.
fn dot_chunk(rows: vec2<u32>, chunk: u32, m: u32) -> vec3<f32> {
  let a = quants[rows.x * PER_ROW + chunk];
  let b = quants[rows.y * PER_ROW + chunk];
  var dots = vec2<f32>(0.0);
  var squares = 0.0;
  for (var v = 0u; v < 4u; v++) {
    let raw = input4(m, chunk * 4u + v);
    squares += dot(raw, raw);
    let x = narrow(gained(raw, chunk * 4u + v));
    dots += vec2<f32>(f32(dot(bytes(a[v]), x)), f32(dot(bytes(b[v]), x)));
  }
  dots *= SHRINK / BYTE;
  return vec3<f32>(scales[rows.x] * dots.x, scales[rows.y] * dots.y, squares);
}
