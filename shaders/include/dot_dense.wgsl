// One chunk of two rows times row m of the input, and the sum of the input's squares.
fn dot_chunk(rows: vec2<u32>, chunk: u32, m: u32) -> vec3<f32> {
  let a = chunk_of(rows.x, chunk);
  let b = chunk_of(rows.y, chunk);
  var dots = vec2<f32>(0.0);
  var squares = 0.0;
  for (var v = 0u; v < 4u; v++) {
    let raw = input4(m, chunk * 4u + v);
    squares += dot(raw, raw);
    let x = narrow(gained(raw, chunk * 4u + v));
    dots += vec2<f32>(f32(dot(part(a, v), x)), f32(dot(part(b, v), x)));
  }
  return vec3<f32>(dots * SHRINK, squares);
}
