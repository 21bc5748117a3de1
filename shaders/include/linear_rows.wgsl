// Chosen rows of a linear layer: x [rows, K], words [candidates] → y [rows, candidates], the product
// with row words[i] of W and its bias at place i. Where W is too large for one binding, a dispatch has
// COUNT of its rows, from FIRST on, and writes what those give.
override K: u32;
override FIRST: u32 = 0u;
override COUNT: u32 = 0xffffffffu;
override ROW0: u32 = 0u;      // where W begins in a stack of matrices
override BIAS: bool = false;
override BIAS_AT: u32 = 0u;

@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read> words: array<u32>;

fn pairs() -> u32 {
  return (run.candidates + 1u) / 2u;
}

// Words before the first wrap around, beyond all others: their row is read in vain.
fn row_at(i: u32) -> u32 {
  let row = words[min(i, run.candidates - 1u)] - FIRST;
  return ROW0 + select(row, 0u, row >= COUNT);
}

fn rows_of(pair: u32) -> vec2<u32> {
  return vec2<u32>(row_at(pair * 2u), row_at(pair * 2u + 1u));
}

fn emit_one(m: u32, i: u32, sum: f32) {
  if (i >= run.candidates) {
    return;
  }
  let word = words[i];
  if (word - FIRST >= COUNT) {
    return;
  }
  var value = sum;
  if (BIAS) {
    value += vectors[BIAS_AT + word];
  }
  y[m * run.candidates + i] = value;
}

fn emit(m: u32, pair: u32, dots: vec2<f32>) {
  emit_one(m, pair * 2u, dots.x);
  emit_one(m, pair * 2u + 1u, dots.y);
}
