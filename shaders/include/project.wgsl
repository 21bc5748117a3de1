// Query, key and value of an attention at once: x [rows, K] times the stacked matrices
// [Q_WIDTH + 2 · KV_WIDTH, K]. Queries and keys turn by the angle of their position; keys and
// values are appended to the session's states [batch, capacity, KV_WIDTH].
//
// A pair of matrix rows is a pair of elements that turn together: 2i and 2i + 1 of a head, or
// i and i + HEAD_DIM / 2.
override K: u32;
override ROW0: u32 = 0u;
override Q_WIDTH: u32;
override KV_WIDTH: u32;
override HEAD_DIM: u32;
override ROPE: bool = false;
override ROPE_AT: u32 = 0u;         // [positions, 2, HEAD_DIM / 2]: cosines, then sines
override INTERLEAVED: bool = false;
override BIAS: bool = false;
override BIAS_Q: u32 = 0u;
override BIAS_K: u32 = 0u;
override BIAS_V: u32 = 0u;

fn pairs() -> u32 {
  return Q_WIDTH / 2u + KV_WIDTH;
}

@group(0) @binding(5) var<storage, read_write> query: array<f32>;
@group(0) @binding(6) var<storage, read_write> keys: array<f32>;
@group(0) @binding(7) var<storage, read_write> values: array<f32>;

// The two elements of a pair, counted within query, key or value.
fn elements(pair: u32) -> vec2<u32> {
  if (INTERLEAVED) {
    return vec2<u32>(pair * 2u, pair * 2u + 1u);
  }
  let half = HEAD_DIM / 2u;
  let first = pair / half * HEAD_DIM + pair % half;
  return vec2<u32>(first, first + half);
}

// Which of query 0, key 1, value 2 a pair belongs to, and its number there.
fn part_of(pair: u32) -> vec2<u32> {
  if (pair < Q_WIDTH / 2u) {
    return vec2<u32>(0u, pair);
  }
  let rest = pair - Q_WIDTH / 2u;
  let width = KV_WIDTH / 2u;
  return vec2<u32>(1u + rest / width, rest % width);
}

fn rows_of(pair: u32) -> vec2<u32> {
  let part = part_of(pair);
  let start = select(Q_WIDTH + (part.x - 1u) * KV_WIDTH, 0u, part.x == 0u);
  return ROW0 + start + elements(part.y);
}

fn emit(m: u32, pair: u32, dots: vec2<f32>) {
  let part = part_of(pair);
  let at = elements(part.y);
  var value = dots;
  if (BIAS) {
    var start = BIAS_Q;
    if (part.x == 1u) {
      start = BIAS_K;
    } else if (part.x == 2u) {
      start = BIAS_V;
    }
    value += vec2<f32>(vectors[start + at.x], vectors[start + at.y]);
  }
  let position = run.past_len + m % run.q_len;
  if (ROPE && part.x < 2u) {
    let half = HEAD_DIM / 2u;
    let angle = ROPE_AT + position * HEAD_DIM + part.y % half;
    let cosine = vectors[angle];
    let sine = vectors[angle + half];
    value = vec2<f32>(value.x * cosine - value.y * sine, value.x * sine + value.y * cosine);
  }
  if (part.x == 0u) {
    query[m * Q_WIDTH + at.x] = value.x;
    query[m * Q_WIDTH + at.y] = value.y;
    return;
  }
  let row = (m / run.q_len * run.capacity + position) * KV_WIDTH;
  if (part.x == 1u) {
    keys[row + at.x] = value.x;
    keys[row + at.y] = value.y;
  } else {
    values[row + at.x] = value.x;
    values[row + at.y] = value.y;
  }
}
