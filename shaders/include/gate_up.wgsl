//#include silu
// y = silu(x · Gᵀ) ∘ (x · Uᵀ), silu(v) = v / (1 + e⁻ᵛ): x [rows, K] → y [rows, N]. G and U are
// stacked, [2N, K].
override N: u32;
override K: u32;
override ROW0: u32 = 0u;

fn pairs() -> u32 {
  return N;
}


@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn rows_of(pair: u32) -> vec2<u32> {
  return ROW0 + vec2<u32>(pair, pair + N);
}

fn emit(m: u32, pair: u32, dots: vec2<f32>) {
  y[m * N + pair] = silu(dots.x) * dots.y;
}
