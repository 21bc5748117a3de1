// What is compared: each case with our side, theirs, and the numbers of `export.py`.

import init, { Device } from "./ours/glassformer_bench_gpu.js";
import { openDevice, Theirs } from "./theirs.js";

async function bytes(name) {
  const response = await fetch(`./cases/${name}`);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response.arrayBuffer();
}

async function floats(name) {
  return new Float32Array(await bytes(`${name}.bin`));
}

const sizes = await (await fetch("./cases/sizes.json")).json();
const { layers, hidden, feedForward, heads, kvHeads, headDim, capacity } = sizes;
await init();
const ourDevice = await Device.open();
const theirDevice = await openDevice({ subgroups: true });
const plainDevice = await openDevice({ subgroups: false });

function model(name, inputs, device = theirDevice) {
  return Theirs.open(`./cases/${name}.onnx`, inputs, device);
}

async function product(encoding, rows) {
  const x = (await floats("x")).slice(0, rows * hidden);
  const weights = new Uint8Array(await bytes(`weights-${encoding}.bin`));
  const stored = { f32: "f32", q4: "q4_1" }[encoding];
  return {
    rows,
    width: feedForward,
    ours: ourDevice.product(layers, hidden, feedForward, x, weights, stored),
    theirs: { [encoding === "q4" ? "MatMulNBits" : "MatMul"]: await model(`product-${encoding}-${rows}`, { x }) },
  };
}

/** Caches as the operation has them, [head, capacity, headDim], and the new rows behind them. */
function cached(name, all, rows) {
  const width = kvHeads * headDim;
  const positions = all.length / (layers * width);
  const past = positions - rows;
  const inputs = {};
  for (let layer = 0; layer < layers; layer++) {
    const own = all.subarray(layer * positions * width, (layer + 1) * positions * width);
    const cache = new Float32Array(capacity * width);
    for (let position = 0; position < past; position++) {
      for (let head = 0; head < kvHeads; head++) {
        const at = position * width + head * headDim;
        cache.set(own.subarray(at, at + headDim), (head * capacity + position) * headDim);
      }
    }
    inputs[`${name}${layer}`] = own.slice(past * width);
    inputs[`past_${name}${layer}`] = cache;
  }
  return inputs;
}

async function attention(rows) {
  const width = heads * headDim;
  const query = (await floats("query")).slice(0, rows * width);
  const keys = await floats(`keys-${rows}`);
  const values = await floats(`values-${rows}`);
  const grouped = { query, ...cached("key", keys, rows), ...cached("value", values, rows) };
  // With several queries, and subgroups of fewer than eight threads, this operation of theirs gives wrong numbers.
  const device = rows > 1 ? plainDevice : theirDevice;
  return {
    rows,
    width,
    ours: ourDevice.attention(layers, heads, kvHeads, headDim, query, keys, values),
    theirs: {
      GroupQueryAttention: await model(`attention-grouped-${rows}`, grouped, device),
      "plain operations": await model(`attention-plain-${rows}`, { query }),
    },
  };
}

/** Opens a case by its name: `{ rows, width, ours, theirs: { operation: .. } }`. */
export const cases = {
  "product-q4-1": () => product("q4", 1),
  "product-q4-32": () => product("q4", 32),
  "product-f32-1": () => product("f32", 1),
  "product-f32-32": () => product("f32", 32),
  "attention-1": () => attention(1),
  "attention-32": () => attention(32),
};

export const lastLayer = layers - 1;

const { vendor, architecture, subgroupMinSize, subgroupMaxSize } = theirDevice.adapterInfo;
/** What computes. */
export const adapter = `${vendor} ${architecture}, subgroups of ${subgroupMinSize} to ${subgroupMaxSize}`;
