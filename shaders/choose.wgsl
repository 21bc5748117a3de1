// From the logits of one position to the next token, without leaving the device: keeps the 256
// largest and the sums that normalise at any temperature, draws as the sampler does (repetition
// penalty, temperature, top-k, top-p, min-p, in this order), and moves the run on to the token.
//
// logits [.., VOCAB] → one record of `records`. One workgroup of 256 threads.
//
// Everything is decided from the list of the 256 largest. Where that does not suffice, because a
// cut or the draw lies beyond it, the record says so, and nothing moves on until the host decides.
override VOCAB: u32;

struct Settings {
  temperature: f32,  // 0: the likeliest, no draw
  top_p: f32,        // 1: all
  min_p: f32,        // 0: all
  penalty: f32,      // 1: none; at least 1
  top_k: u32,        // 0: all
  base: u32,         // positions the session held when choosing began
  slots: u32,        // records in the ring
  draws: u32,        // numbers in the ring of draws
}

struct Control {
  count: u32,   // tokens chosen so far
  halted: u32,  // whether the host has to decide
}

const LIST: u32 = 256u;
const SUMS: u32 = 17u;
const RECORD: u32 = 536u; // words: id, state, length of the list, largest, ids, logits, sums
const IDS_AT: u32 = 4u;
const LOGITS_AT: u32 = 260u;
const SUMS_AT: u32 = 516u;

@group(0) @binding(0) var<storage, read_write> run: array<u32, 8>;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<uniform> settings: Settings;
@group(0) @binding(3) var<storage, read> draws: array<f32>;
@group(0) @binding(4) var<storage, read_write> seen: array<u32>; // one bit a token
@group(0) @binding(5) var<storage, read_write> ids: array<u32>;
@group(0) @binding(6) var<storage, read_write> records: array<u32>;
@group(0) @binding(7) var<storage, read_write> control: Control;

var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> keys: array<u32, 256>;
var<workgroup> list: array<u32, 256>;
var<workgroup> numbers: array<f32, 256>;
var<workgroup> found: atomic<u32>;
var<workgroup> chosen_bin: vec2<u32>;
var<workgroup> ties: u32;
var<workgroup> lowest: atomic<u32>;

// Falls and rises with the number it stands for.
fn key_of(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn value_of(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u));
}

fn penalised(id: u32, logit: f32) -> f32 {
  if (((seen[id / 32u] >> (id % 32u)) & 1u) == 0u) {
    return logit;
  }
  return select(logit / settings.penalty, logit * settings.penalty, logit < 0.0);
}

// The sum of every thread's number, for every thread.
fn sum_all(local: u32, value: f32) -> f32 {
  numbers[local] = value;
  workgroupBarrier();
  for (var i = 128u; i > 0u; i /= 2u) {
    if (local < i) {
      numbers[local] += numbers[local + i];
    }
    workgroupBarrier();
  }
  let sum = numbers[0];
  workgroupBarrier();
  return sum;
}

// The largest of every thread's number, for every thread.
fn max_all(local: u32, value: f32) -> f32 {
  numbers[local] = value;
  workgroupBarrier();
  for (var i = 128u; i > 0u; i /= 2u) {
    if (local < i) {
      numbers[local] = max(numbers[local], numbers[local + i]);
    }
    workgroupBarrier();
  }
  let largest = numbers[0];
  workgroupBarrier();
  return largest;
}

// Whether entry a of the list comes before entry b: by falling key, then by id.
fn before(a: u32, b: u32) -> bool {
  return keys[a] > keys[b] || (keys[a] == keys[b] && list[a] < list[b]);
}

// Bitonic sort of the list.
fn sort(local: u32) {
  for (var size = 2u; size <= LIST; size *= 2u) {
    for (var stride = size / 2u; stride > 0u; stride /= 2u) {
      let other = local ^ stride;
      if (other > local) {
        let forward = (local & size) == 0u;
        if (before(other, local) == forward) {
          let key = keys[local];
          keys[local] = keys[other];
          keys[other] = key;
          let id = list[local];
          list[local] = list[other];
          list[other] = id;
        }
      }
      workgroupBarrier();
    }
  }
}

// The key of the LIST-th largest logit, and how many are larger: by their bytes, highest first.
fn threshold(local: u32, length: u32) -> vec2<u32> {
  var prefix = 0u;
  var larger = 0u;
  for (var digit = 0u; digit < 4u; digit++) {
    let shift = 24u - digit * 8u;
    atomicStore(&bins[local], 0u);
    workgroupBarrier();
    for (var i = local; i < VOCAB; i += 256u) {
      let key = key_of(logits[i]);
      // The digits found so far must agree; none are before the first.
      if (digit == 0u || key >> (shift + 8u) == prefix >> (shift + 8u)) {
        atomicAdd(&bins[(key >> shift) & 255u], 1u);
      }
    }
    workgroupBarrier();
    if (local == 0u) {
      var above = larger;
      var bin = 255u;
      while (bin > 0u && above + atomicLoad(&bins[bin]) < length) {
        above += atomicLoad(&bins[bin]);
        bin--;
      }
      chosen_bin = vec2<u32>(bin, above);
    }
    workgroupBarrier();
    prefix |= chosen_bin.x << shift;
    larger = chosen_bin.y;
    workgroupBarrier();
  }
  return vec2<u32>(prefix, larger);
}

// Fills the list with the largest logits, sorted.
fn collect(local: u32, length: u32) {
  let cut = threshold(local, length);
  keys[local] = 0u;
  list[local] = 0xffffffffu;
  if (local == 0u) {
    atomicStore(&found, 0u);
    ties = length - cut.y;
  }
  workgroupBarrier();
  for (var i = local; i < VOCAB; i += 256u) {
    let key = key_of(logits[i]);
    if (key > cut.x) {
      let at = atomicAdd(&found, 1u);
      keys[at] = key;
      list[at] = i;
    }
  }
  // Of the equal ones at the end, the lowest ids; nearly always it is one.
  let count = workgroupUniformLoad(&ties);
  var next = 0u;
  for (var tie = 0u; tie < count; tie++) {
    if (local == 0u) {
      atomicStore(&lowest, 0xffffffffu);
    }
    workgroupBarrier();
    for (var i = local; i < VOCAB; i += 256u) {
      if (i >= next && key_of(logits[i]) == cut.x) {
        atomicMin(&lowest, i);
        break;
      }
    }
    workgroupBarrier();
    let id = atomicLoad(&lowest);
    if (local == 0u) {
      keys[cut.y + tie] = cut.x;
      list[cut.y + tie] = id;
    }
    next = id + 1u;
    workgroupBarrier();
  }
  sort(local);
}

// How the draw went: the id, or that the list does not suffice.
struct Choice {
  id: u32,
  decided: bool,
}

// Chooses from the list, sorted by penalised logits, with weights relative to the first. `all` is
// the sum of weights over the vocabulary, `least` the logit that no token outside the list
// exceeds.
fn choose(length: u32, all: f32, least: f32) -> Choice {
  let whole = length == VOCAB;
  if (settings.temperature == 0.0) {
    // A penalty may bring a listed token down to what others, with lower ids, have outside.
    let first = value_of(keys[0]);
    return Choice(list[0], whole || first > least || (first == least && settings.penalty == 1.0));
  }
  var count = length;
  var sum = all;
  var open = !whole;  // whether tokens outside the list may still be kept
  if (settings.top_k > 0u && settings.top_k < VOCAB) {
    if (settings.top_k > length) {
      return Choice(0u, false);
    }
    // What ties with the last stays.
    let last = keys[settings.top_k - 1u];
    count = settings.top_k;
    while (count < length && keys[count] == last) {
      count++;
    }
    if (!whole && (count == length || value_of(last) <= least)) {
      return Choice(0u, false);
    }
    open = false;
    sum = 0.0;
    for (var i = 0u; i < count; i++) {
      sum += numbers[i];
    }
  }
  if (settings.top_p < 1.0) {
    var reached = 0.0;
    var i = 0u;
    while (i < count && reached < settings.top_p * sum) {
      reached += numbers[i];
      i++;
    }
    if (reached >= settings.top_p * sum) {
      open = false;
    } else if (open) {
      return Choice(0u, false);
    }
    count = max(i, 1u);
  }
  if (settings.min_p > 0.0) {
    var i = 1u;
    while (i < count && numbers[i] >= settings.min_p * numbers[0]) {
      i++;
    }
    if (i < count) {
      open = false;
    } else if (open) {
      return Choice(0u, false);
    }
    count = i;
  }
  if (!whole && value_of(keys[count - 1u]) < least) {
    return Choice(0u, false);
  }
  var kept = 0.0;
  for (var i = 0u; i < count; i++) {
    kept += numbers[i];
  }
  if (open) {
    kept = all;
  }
  var left = draws[control.count % settings.draws] * kept;
  for (var i = 0u; i < count; i++) {
    left -= numbers[i];
    if (left < 0.0) {
      return Choice(list[i], true);
    }
  }
  // Rounding may leave a hair beyond the last: it belongs to the last.
  return Choice(list[count - 1u], !open);
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
  let length = min(LIST, VOCAB);
  collect(local, length);
  let record = control.count % settings.slots * RECORD;
  let halted = control.halted != 0u;
  let largest = value_of(keys[0]);
  let least = value_of(keys[length - 1u]);
  if (!halted) {
    records[record + IDS_AT + local] = list[local];
    records[record + LOGITS_AT + local] = bitcast<u32>(value_of(keys[local]));
  }

  // exp(β · (logit − largest)) at β = k² / 64. Powers of one exponential would cost less, and their
  // last digits, up to 256 times its own error, are what the tail's sums are told from. Whatever
  // is below e⁻³⁰ is not seen in a sum of at least 1.
  var sums: array<f32, 17>;
  for (var i = local; i < VOCAB; i += 256u) {
    let x = logits[i] - largest;
    for (var k = 1u; k < SUMS; k++) {
      let y = x * f32(k * k) / 64.0;
      if (y < -30.0) {
        break;
      }
      sums[k] += exp(y);
    }
  }
  if (local == 0u && !halted) {
    records[record + SUMS_AT] = bitcast<u32>(f32(VOCAB));
  }
  for (var k = 1u; k < SUMS; k++) {
    let sum = sum_all(local, sums[k]);
    if (local == 0u && !halted) {
      records[record + SUMS_AT + k] = bitcast<u32>(sum);
    }
  }

  if (settings.penalty != 1.0) {
    let id = list[local];
    if (id != 0xffffffffu) {
      keys[local] = key_of(penalised(id, value_of(keys[local])));
    }
    workgroupBarrier();
    sort(local);
  }
  let first = value_of(keys[0]);
  var all = 0.0;
  if (settings.temperature > 0.0) {
    for (var i = local; i < VOCAB; i += 256u) {
      all += exp(max((penalised(i, logits[i]) - first) / settings.temperature, -80.0));
    }
    all = sum_all(local, all);
    numbers[local] = 0.0;
    if (local < length) {
      numbers[local] = exp(max((value_of(keys[local]) - first) / settings.temperature, -80.0));
    }
  }
  workgroupBarrier();

  if (local != 0u || halted) {
    return;
  }
  let choice = choose(length, all, least);
  records[record] = choice.id;
  records[record + 1u] = select(1u, 0u, choice.decided);
  records[record + 2u] = length;
  if (!choice.decided) {
    control.halted = 1u;
    return;
  }
  seen[choice.id / 32u] |= 1u << (choice.id % 32u);
  ids[0] = choice.id;
  let past = settings.base + control.count;
  run[0] = past;      // past_len
  run[1] = 1u;        // q_len
  run[2] = past + 1u; // kv_len
  run[6] = 1u;        // positions
  run[7] = 1u;        // selected
  control.count += 1u;
}
