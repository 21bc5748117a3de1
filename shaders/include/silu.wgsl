// v / (1 + e⁻ᵛ). The exponent is bounded, since WGSL promises no infinities.
fn silu(v: f32) -> f32 {
  return v / (1.0 + exp(min(-v, 80.0)));
}
