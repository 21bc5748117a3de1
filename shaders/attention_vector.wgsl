// Attention of a few queries without its matrix: softmax(query · keyᵀ · scale + mask) · value.
// query [batch, q_len, HEADS, HEAD_DIM], keys and values → y, the query's shape.
// Dispatch: (HEADS · PARTS, batch · q_len).
//
// Keys come in tiles of 256. Of each tile the threads share out the keys for the scores, then the
// elements of a head for the sums; the running maximum and sum (Milakov & Gimelshein 2018) join
// the tiles.
//
// Of many keys, PARTS workgroups take a part each (Dao et al. 2023). Then y is [batch, q_len, HEADS,
// PARTS, HEAD_DIM + 2]: the sums of a part, its maximum and the sum of its weights, which
// attention_join puts together.
//#include run
//#include heads
//#include mask
override PARTS: u32 = 1u;
const TILE: u32 = 256u;
const PER_THREAD: u32 = 4u;

@group(0) @binding(3) var<storage, read> query: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> keys: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read> values: array<f32>;

var<workgroup> weights: array<f32, 256>;
var<workgroup> shared_values: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let head = group.x / PARTS;
  let part_of_keys = group.x % PARTS;
  let m = group.y;
  let batch = m / run.q_len;
  let all = visible(batch, run.past_len + m % run.q_len);
  // Whole rounds of the threads; the last parts may have no keys.
  let span = ((all.y - all.x + PARTS - 1u) / PARTS + 63u) / 64u * 64u;
  let begin = min(all.x + part_of_keys * span, all.y);
  let seen = vec2<u32>(begin, select(min(begin + span, all.y), all.y, PARTS == 1u));
  let q = (m * HEADS + head) * (HEAD_DIM / 4u);

  var running_max = MASKED;
  var running_sum = 0.0;
  // A thread sums the elements local, local + 64, .. of the head; heads have at most 256.
  var context = vec4<f32>(0.0);

  for (var start = seen.x; start < seen.y; start += TILE) {
    let count = min(TILE, seen.y - start);
    var scores: array<f32, PER_THREAD>;
    var largest = MASKED;
    for (var i = 0u; i < PER_THREAD; i++) {
      let key = i * 64u + local;
      scores[i] = MASKED;
      if (key < count) {
        let at = kv_at(batch, start + key, head) / 4u;
        var score = 0.0;
        for (var d = 0u; d < HEAD_DIM / 4u; d++) {
          score += dot(query[q + d], keys[at + d]);
        }
        scores[i] = score * SCALE;
        largest = max(largest, scores[i]);
      }
    }
    shared_values[local] = largest;
    workgroupBarrier();
    var new_max = running_max;
    for (var i = 0u; i < 64u; i++) {
      new_max = max(new_max, shared_values[i]);
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < PER_THREAD; i++) {
      let key = i * 64u + local;
      if (key < count) {
        let weight = exp(scores[i] - new_max);
        weights[key] = weight;
        sum += weight;
      }
    }
    shared_values[local] = sum;
    workgroupBarrier();
    let before = exp(running_max - new_max);
    running_sum *= before;
    for (var i = 0u; i < 64u; i++) {
      running_sum += shared_values[i];
    }
    running_max = new_max;
    context *= before;
    for (var part = 0u; part * 64u < HEAD_DIM; part++) {
      let element = part * 64u + local;
      if (element < HEAD_DIM) {
        var added = 0.0;
        for (var key = 0u; key < count; key++) {
          added += weights[key] * values[kv_at(batch, start + key, head) + element];
        }
        context[part] += added;
      }
    }
    workgroupBarrier();
  }
  let out = ((m * HEADS + head) * PARTS + part_of_keys) * (HEAD_DIM + 2u);
  for (var part = 0u; part * 64u < HEAD_DIM; part++) {
    let element = part * 64u + local;
    if (element >= HEAD_DIM) {
      continue;
    }
    if (PARTS == 1u) {
      y[q * 4u + element] = context[part] / running_sum;
    } else {
      y[out + element] = context[part];
    }
  }
  if (PARTS > 1u && local == 0u) {
    y[out + HEAD_DIM] = running_max;
    y[out + HEAD_DIM + 1u] = running_sum;
  }
}
