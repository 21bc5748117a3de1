// What products are computed in: f32, from end to end.
alias Num = f32;
alias Num4 = vec4<f32>;
alias Num4x4 = mat4x4<f32>;

const SHRINK: f32 = 1.0;
const BYTE: f32 = 1.0;

fn narrow(x: vec4<f32>) -> Num4 {
  return x;
}
