// Functions of one number by their numbers: 0 the number itself, 1 silu, 2 gelu, 3 gelu_tanh,
// 4 quick_gelu, 5 relu, 6 sigmoid.
//#include silu
//#include gelu
fn apply(number: u32, v: f32) -> f32 {
  switch number {
    case 1u: { return silu(v); }
    case 2u: { return gelu(v); }
    case 3u: { return gelu_tanh(v); }
    case 4u: { return quick_gelu(v); }
    case 5u: { return max(v, 0.0); }
    case 6u: { return 1.0 / (1.0 + exp(min(-v, 80.0))); }
    default: { return v; }
  }
}
