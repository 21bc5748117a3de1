// Attention of many queries without its matrix: softmax(query · keyᵀ · scale + mask) · value.
// query [batch, q_len, HEADS, HEAD_DIM], keys and values → y, the query's shape.
// Dispatch: (batch · HEADS · PARTS, q_len / 16).
//
// A workgroup takes 16 queries of a head and 64 elements of their sums; heads with more elements
// have several PARTS, each of which computes the scores again. Keys come in tiles of 64. Threads
// are four rows of sixteen: of each tile a thread computes the scores of four queries and four
// keys, then adds up four elements for its four queries. The running maximum and sum (Milakov &
// Gimelshein 2018) join the tiles.
//#include run
//#include heads
//#include mask
override PARTS: u32 = (HEAD_DIM + 63u) / 64u;
const TILE: u32 = 64u;

@group(0) @binding(3) var<storage, read> query: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> keys: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read> values: array<f32>;

// A vector of either has one number for each query of a row of threads.
var<workgroup> largest: array<vec4<f32>, 64>;
var<workgroup> weights: array<vec4<f32>, 256>;

// Where the keys begin that a thread scores.
fn keys_at(batch: u32, key: vec4<u32>, head: u32) -> vec4<u32> {
  let first = kv_at(batch, 0u, head) / 4u;
  return first + key * (KV_HEADS * HEAD_DIM / 4u);
}

// The four scores of a key, if its query may see it.
fn masked(scores: vec4<f32>, seen: vec4<bool>) -> vec4<f32> {
  return select(vec4<f32>(MASKED), scores * SCALE, seen);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let part = group.x % PARTS;
  let head = group.x / PARTS % HEADS;
  let batch = group.x / PARTS / HEADS;
  let column = local % 16u;
  let row = local / 16u;

  // The last query stands in for those beyond it.
  let first = group.y * 16u;
  let last = min(first + 15u, run.q_len - 1u);
  let q = min(first + row * 4u + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last));
  let q_at = ((batch * run.q_len + q) * HEADS + head) * (HEAD_DIM / 4u);
  let seen = array<vec2<u32>, 4>(
    visible(batch, run.past_len + q.x),
    visible(batch, run.past_len + q.y),
    visible(batch, run.past_len + q.z),
    visible(batch, run.past_len + q.w),
  );
  let starts = vec4<u32>(seen[0].x, seen[1].x, seen[2].x, seen[3].x);
  let ends = vec4<u32>(seen[0].y, seen[1].y, seen[2].y, seen[3].y);
  let end = visible(batch, run.past_len + last).y;

  // Elements of this thread; those beyond the head are computed in vain.
  let element = part * 64u + column + vec4<u32>(0u, 16u, 32u, 48u);
  let read = min(element, vec4<u32>(HEAD_DIM - 1u));

  var running_max = vec4<f32>(MASKED);
  var running_sum = vec4<f32>(0.0);
  var context = mat4x4<f32>();
  for (var start = visible(batch, run.past_len + first).x; start < end; start += TILE) {
    let key = start + column + vec4<u32>(0u, 16u, 32u, 48u);
    let at = keys_at(batch, min(key, vec4<u32>(end - 1u)), head);
    var scores = mat4x4<f32>();
    for (var d = 0u; d < HEAD_DIM / 4u; d++) {
      let x = mat4x4<f32>(query[q_at.x + d], query[q_at.y + d], query[q_at.z + d], query[q_at.w + d]);
      scores[0] += keys[at.x + d] * x;
      scores[1] += keys[at.y + d] * x;
      scores[2] += keys[at.z + d] * x;
      scores[3] += keys[at.w + d] * x;
    }
    let seen0 = (vec4<u32>(key.x) >= starts) & (vec4<u32>(key.x) < ends);
    let seen1 = (vec4<u32>(key.y) >= starts) & (vec4<u32>(key.y) < ends);
    let seen2 = (vec4<u32>(key.z) >= starts) & (vec4<u32>(key.z) < ends);
    let seen3 = (vec4<u32>(key.w) >= starts) & (vec4<u32>(key.w) < ends);
    let s0 = masked(scores[0], seen0);
    let s1 = masked(scores[1], seen1);
    let s2 = masked(scores[2], seen2);
    let s3 = masked(scores[3], seen3);
    largest[local] = max(max(s0, s1), max(s2, s3));
    workgroupBarrier();
    var new_max = running_max;
    for (var i = 0u; i < 16u; i++) {
      new_max = max(new_max, largest[row * 16u + i]);
    }
    // Where nothing is seen yet, the maximum is a masked score too.
    let zero = vec4<f32>(0.0);
    let weight_at = row * TILE + column;
    weights[weight_at] = select(zero, exp(s0 - new_max), seen0);
    weights[weight_at + 16u] = select(zero, exp(s1 - new_max), seen1);
    weights[weight_at + 32u] = select(zero, exp(s2 - new_max), seen2);
    weights[weight_at + 48u] = select(zero, exp(s3 - new_max), seen3);
    workgroupBarrier();
    // The next tile's weights are written after its first barrier, which waits for this loop.
    let before = exp(running_max - new_max);
    running_max = new_max;
    running_sum *= before;
    context[0] *= before;
    context[1] *= before;
    context[2] *= before;
    context[3] *= before;
    for (var i = 0u; i < min(TILE, end - start); i++) {
      let weight = weights[row * TILE + i];
      let value = kv_at(batch, start + i, head) + read;
      running_sum += weight;
      context[0] += weight * values[value.x];
      context[1] += weight * values[value.y];
      context[2] += weight * values[value.z];
      context[3] += weight * values[value.w];
    }
  }
  for (var i = 0u; i < 4u; i++) {
    if (element[i] >= HEAD_DIM) {
      return;
    }
    for (var j = 0u; j < 4u; j++) {
      if (first + row * 4u + j <= last) {
        y[q_at[j] * 4u + element[i]] = context[i][j] / running_sum[j];
      }
    }
  }
}
