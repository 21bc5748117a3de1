// v · Φ(v). What of Φ is above or below its argument's side, erfc(|v| / √2) / 2, is the polynomial of
// Abramowitz & Stegun 7.1.26, within 0.8e-7; beyond 12, nothing is left of it in f32.
fn gelu(v: f32) -> f32 {
  let size = min(abs(v), 12.0);
  let z = size * 0.70710678;
  let t = 1.0 / (1.0 + 0.3275911 * z);
  var p = 1.0614054;
  p = p * t - 1.453152;
  p = p * t + 1.4214137;
  p = p * t - 0.28449674;
  p = p * t + 0.2548296;
  let tail = 0.5 * p * t * exp(-z * z);
  return max(v, 0.0) - size * tail;
}

// v/2 · (1 + tanh(u)) with u = √(2/π) · (v + 0.044715·v³), as v / (1 + e⁻²ᵘ). Beyond 10, tanh is ±1 in
// f32, and the cube might overflow; the exponent is bounded, since WGSL promises no infinities.
fn gelu_tanh(v: f32) -> f32 {
  let least = max(v, -10.0);
  let c = min(least, 10.0);
  let u = 0.7978846 * (c + 0.044715 * c * c * c);
  return least / (1.0 + exp(min(-2.0 * u, 80.0)));
}

// v / (1 + e^(−1.702·v)); far below, nothing is left of it, and the exponential must not overflow.
fn quick_gelu(v: f32) -> f32 {
  let least = max(v, -50.0);
  return least / (1.0 + exp(-1.702 * least));
}
