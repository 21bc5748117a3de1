// Query head h reads key head h / (HEADS / KV_HEADS). Keys and values are [batch, stride,
// KV_HEADS, HEAD_DIM]: a session's state with room for `capacity` positions, or this run's own; those
// of the source are there once.
//#include keys
override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
override SCALE: f32 = 1.0;
override IN_STATE: bool = true;
override BIAS: bool = false;

fn kv_stride() -> u32 {
  return select(key_count(), run.capacity, IN_STATE);
}

// Where a key or value of a head begins.
fn kv_at(batch: u32, position: u32, head: u32) -> u32 {
  let first = select(batch * kv_stride(), 0u, OF_SOURCE);
  return ((first + position) * KV_HEADS + head / (HEADS / KV_HEADS)) * HEAD_DIM;
}
