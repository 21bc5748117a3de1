// Who may read whom. Scores of unseen pairs are finite, since WGSL promises no infinities. Written
// one digit more, the number would round to the least f32, but browsers refuse what lies beyond.
override MASK: u32 = 0u;   // 0 everyone, 1 causal, 2 the latest WINDOW positions, 3 one's own sequence,
                           // 4 the sequence's source
override WINDOW: u32 = 0u;
const MASKED: f32 = -3.4028234e38;

// The keys start..end that the query at an absolute position of a sequence may read.
fn visible(batch: u32, position: u32) -> vec2<u32> {
  if (MASK == 3u) {
    return vec2<u32>(0u, min(lengths[batch], key_count()));
  }
  if (MASK == 4u) {
    return vec2<u32>(0u, min(lengths[2u * batch + 1u], key_count()));
  }
  if (MASK == 0u) {
    return vec2<u32>(0u, key_count());
  }
  let end = min(position + 1u, key_count());
  if (MASK == 2u && end > WINDOW) {
    return vec2<u32>(end - WINDOW, end);
  }
  return vec2<u32>(0u, end);
}
