// 4-bit weights [rows, K]: w = d·q + m in blocks of 32. A block is one vec4 of words: byte n of
// word v has element 4v + n in its low half and 16 + 4v + n in its high half. Its scale d and
// minimum m are the two f16 of one word.
//#include numbers
@group(0) @binding(1) var<storage, read> quants: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;

const CHUNK: u32 = 32u;

// A block as it is stored, with its scale for each place of a byte in its word.
struct Chunk {
  quants: vec4<u32>,
  scale: vec4<f32>,
  min: f32,
}

const PLACES: vec4<f32> = vec4<f32>(1.0, 0x1p-8, 0x1p-16, 0x1p-24);

fn chunk_of(row: u32, chunk: u32) -> Chunk {
  let block = row * (K / CHUNK) + chunk;
  let scale = unpack2x16float(scales[block]);
  return Chunk(quants[block], scale.x * PLACES, scale.y);
}

// Four neighbouring weights of a chunk. Bytes stay where they are in their word, which the scales
// undo, and are converted as signed numbers, which every processor does at once.
fn part(chunk: Chunk, v: u32) -> Num4 {
  let word = vec4<u32>(chunk.quants[v & 3u] >> (v & 4u));
  let q = vec4<i32>(word & vec4<u32>(0xfu, 0xf00u, 0xf0000u, 0xf000000u));
  return Num4(chunk.scale * vec4<f32>(q) + chunk.min);
}

fn nibbles(word: u32, shift: u32) -> Num4 {
  // Centred: d·Σ q·x and m·Σ x are large and nearly cancel, and rounding would show.
  let q = (vec4<u32>(word) >> (vec4<u32>(0u, 8u, 16u, 24u) + shift)) & vec4<u32>(15u);
  return Num4(vec4<i32>(q)) - 8.0;
}

// One chunk of two rows times row m of the input, and the sum of the input's squares.
fn dot_chunk(rows: vec2<u32>, chunk: u32, m: u32) -> vec3<f32> {
  let blocks = rows * (K / CHUNK) + chunk;
  let qa = quants[blocks.x];
  let qb = quants[blocks.y];
  var dots = vec2<f32>(0.0);
  var sum = vec4<f32>(0.0);
  var squares = 0.0;
  for (var v = 0u; v < 4u; v++) {
    let raw_low = input4(m, chunk * 8u + v);
    let raw_high = input4(m, chunk * 8u + 4u + v);
    squares += dot(raw_low, raw_low) + dot(raw_high, raw_high);
    let low = gained(raw_low, chunk * 8u + v);
    let high = gained(raw_high, chunk * 8u + 4u + v);
    sum += low + high;
    let x = narrow(low);
    let z = narrow(high);
    dots.x += f32(dot(nibbles(qa[v], 0u), x) + dot(nibbles(qa[v], 4u), z));
    dots.y += f32(dot(nibbles(qb[v], 0u), x) + dot(nibbles(qb[v], 4u), z));
  }
  let a = unpack2x16float(scales[blocks.x]);
  let b = unpack2x16float(scales[blocks.y]);
  let total = dot(sum, vec4<f32>(1.0));
  return vec3<f32>(
    a.x * dots.x * SHRINK + (a.y + 8.0 * a.x) * total,
    b.x * dots.y * SHRINK + (b.y + 8.0 * b.x) * total,
    squares,
  );
}
