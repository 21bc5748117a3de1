// Who may read whom. Scores of unseen pairs are finite, since WGSL promises no infinities. Written
// one digit more, the number would round to the least f32, but browsers refuse what lies beyond.
override MASK: u32 = 0u;   // 0 everyone, 1 causal, 2 the latest WINDOW positions
override WINDOW: u32 = 0u;
const MASKED: f32 = -3.4028234e38;

// The keys start..end that the query at an absolute position may read.
fn visible(position: u32) -> vec2<u32> {
  if (MASK == 0u) {
    return vec2<u32>(0u, run.kv_len);
  }
  let end = min(position + 1u, run.kv_len);
  if (MASK == 2u && end > WINDOW) {
    return vec2<u32>(end - WINDOW, end);
  }
  return vec2<u32>(0u, end);
}
