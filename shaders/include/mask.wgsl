// Who may read whom. Scores of unseen pairs are finite, since WGSL promises no infinities. Written
// one digit more, the number would round to the least f32, but browsers refuse what lies beyond.
override MASK: u32 = 0u;   // 0 everyone, 1 causal, 2 the latest WINDOW positions, 3 one's own sequence
override WINDOW: u32 = 0u;
const MASKED: f32 = -3.4028234e38;

// Positions of each sequence, [batch]: what stands behind them is padding. Read by mask 3 alone.
@group(0) @binding(7) var<storage, read> lengths: array<u32>;

// The keys start..end that the query at an absolute position of a sequence may read.
fn visible(batch: u32, position: u32) -> vec2<u32> {
  if (MASK == 3u) {
    return vec2<u32>(0u, min(lengths[batch], key_count()));
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
