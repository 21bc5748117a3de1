// y = f(x · Wᵀ (+ bias)) (+ other): x [rows, K] → y [rows, N], f a function of one number. Where W is
// too large for one binding, a dispatch has COUNT of its N rows, from FIRST on.
//#include function
override N: u32;
override K: u32;
override FIRST: u32 = 0u;
override COUNT: u32 = N;
override ROW0: u32 = 0u;      // where W begins in a stack of matrices
override BIAS: bool = false;
override BIAS_AT: u32 = 0u;
override FUNCTION: u32 = 0u;
override RESIDUAL: bool = false;
override APPENDS: bool = false; // y is a session's state [batch, capacity, N], and x this run's positions

fn pairs() -> u32 {
  return (COUNT + 1u) / 2u;
}

@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read> other: array<f32>;

fn rows_of(pair: u32) -> vec2<u32> {
  return ROW0 + vec2<u32>(pair * 2u, min(pair * 2u + 1u, COUNT - 1u));
}

// Where a row of y begins.
fn row_of(m: u32) -> u32 {
  if (APPENDS) {
    return (m / run.q_len * run.capacity + run.past_len + m % run.q_len) * N;
  }
  return m * N;
}

fn emit_one(m: u32, row: u32, sum: f32) {
  if (row >= COUNT) {
    return;
  }
  let n = FIRST + row;
  var value = sum;
  if (BIAS) {
    value += vectors[BIAS_AT + n];
  }
  value = apply(FUNCTION, value);
  if (RESIDUAL) {
    value += other[m * N + n];
  }
  y[row_of(m) + n] = value;
}

fn emit(m: u32, pair: u32, dots: vec2<f32>) {
  emit_one(m, pair * 2u, dots.x);
  emit_one(m, pair * 2u + 1u, dots.y);
}
