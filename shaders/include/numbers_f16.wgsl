// What products are computed in: f16. Few products are added in it, four to eight; the sums along
// a row are f32, since f16 would lose what is small beside them and overflow at 65504.
enable f16;
alias Num = f16;
alias Num4 = vec4<f16>;
alias Num4x4 = mat4x4<f16>;

// Inputs are divided by SHRINK on the way in, which leaves room for the few large ones that
// transformers have, and stored bytes become BYTE of themselves. Powers of two round nothing.
const SHRINK: f32 = 4.0;
const BYTE: f32 = 0x1p-7;

fn narrow(x: vec4<f32>) -> Num4 {
  return Num4(x * (1.0 / SHRINK));
}
