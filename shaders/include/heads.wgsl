// Query head h reads key head h / (HEADS / KV_HEADS). Keys and values are [batch, stride,
// KV_HEADS, HEAD_DIM]: a session's state with room for `capacity` positions, or this run's own; or
// those of sources, [sources, source_len, KV_HEADS, HEAD_DIM].
//#include keys
override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32;
override SCALE: f32 = 1.0;
override IN_STATE: bool = true;
override BIAS: bool = false;

// How many keys the sequences have: of sources [batch, 2], which one a sequence attends to and how many
// positions that has; of padded sequences (mask 3) [batch]. Others have all and do not read it.
@group(0) @binding(7) var<storage, read> lengths: array<u32>;

fn kv_stride() -> u32 {
  return select(key_count(), run.capacity, IN_STATE);
}

// Where a key or value of a head begins.
fn kv_at(batch: u32, position: u32, head: u32) -> u32 {
  var sequence = batch;
  if (OF_SOURCE) {
    sequence = lengths[2u * batch];
  }
  return ((sequence * kv_stride() + position) * KV_HEADS + head / (HEADS / KV_HEADS)) * HEAD_DIM;
}
