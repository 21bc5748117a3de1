// One picture and ten texts, with everyone in turn: our engine as the page has it, from a file to cosines, and onnxruntime-web on the
// page's own thread, from prepared pixels and ids to cosines.

import { Engine } from "/bench/engine.js";
import * as ort from "/npm/onnxruntime-web/dist/ort.webgpu.min.mjs";

ort.env.wasm.numThreads = 1;

/** Ours: `{ name, backend, precision }`. */
const OURS = [
  { name: "ours, cpu fast", backend: "cpu", precision: "fast" },
  { name: "ours, cpu exact", backend: "cpu", precision: "exact" },
  { name: "ours, webgpu exact", backend: "webgpu", precision: "exact" },
];
const THEIRS = ["wasm", "webgpu"];

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

async function ours(engine, file, texts) {
  const { read } = await engine.ask({ type: "read-texts", model: engine.model, texts }, "texts-read");
  let picture;
  const hear = (event) => {
    if (event.type === "seen-picture") ({ picture } = event);
    if (event.type === "not-seen") throw new Error(event.message);
  };
  await engine.ask({ type: "see", model: engine.model }, "seen-all", hear, [file]);
  return { cosines: read.texts.map(({ embedding }) => dot(embedding, picture.embedding)), picture };
}

/** Both towers in onnxruntime. */
async function open(provider) {
  const options = { executionProviders: [provider], graphOptimizationLevel: "all" };
  const [image, text] = [
    await ort.InferenceSession.create("/made/image.onnx", options),
    await ort.InferenceSession.create("/made/text.onnx", options),
  ];
  return async ({ pixels, side, ids }) => {
    const longest = Math.max(...ids.map((row) => row.length));
    const padded = ids.flatMap((row) => [...row, ...Array(longest - row.length).fill(0)]);
    const mask = ids.flatMap((row) => [...row.map(() => 1), ...Array(longest - row.length).fill(0)]);
    const dims = [ids.length, longest];
    const seen = await image.run({ pixels: new ort.Tensor("float32", pixels, [1, 3, side, side]) });
    const read = await text.run({
      ids: new ort.Tensor("int64", BigInt64Array.from(padded, BigInt), dims),
      mask: new ort.Tensor("float32", Float32Array.from(mask), dims),
    });
    const picture = seen.embedding.data;
    const width = picture.length;
    const length = (v) => Math.sqrt(dot(v, v));
    return ids.map((_, i) => {
      const row = read.embedding.data.subarray(i * width, (i + 1) * width);
      return dot(row, picture) / length(row) / length(picture);
    });
  };
}

window.bench = {
  /** Loads everyone and times `pairs` rounds, each with another one first. */
  async measure(_, { worker, model, picture, texts, pairs }) {
    const file = new File([await (await fetch(picture)).blob()], "picture.png");
    const all = [];
    let shared;
    for (const { name, ...options } of OURS) {
      const engine = await Engine.start(worker);
      const loaded = await engine.load({ model, ...options });
      if (!loaded.name.includes(`${options.backend}, ${options.precision}`)) {
        throw new Error(`${name} runs as ${loaded.name}`);
      }
      if (!shared) {
        const { rgb, side } = (await ours(engine, file, texts)).picture;
        // Colour by colour, from −1 to 1, as the model's preprocessing has it.
        const pixels = new Float32Array(3 * side * side);
        rgb.forEach((byte, i) => (pixels[(i % 3) * side * side + Math.floor(i / 3)] = byte / 127.5 - 1));
        const ids = [];
        for (const text of texts) {
          const { summary } = await engine.ask({ type: "attend", model: engine.model, text, pair: null }, "attended");
          ids.push(summary.tokens.map(({ id }) => id));
        }
        shared = { pixels, side, ids };
      }
      all.push({ name, run: async () => (await ours(engine, file, texts)).cosines });
    }
    for (const provider of THEIRS) {
      const theirs = await open(provider);
      all.push({ name: `onnxruntime, ${provider}`, run: () => theirs(shared) });
    }
    const report = all.map(({ name }) => ({ name, milliseconds: [] }));
    let expected;
    // The first of theirs is what all are compared with.
    for (const who of [OURS.length, ...all.keys()]) {
      const numbers = await all[who].run();
      expected ??= numbers;
      report[who].difference = Math.max(...numbers.map((x, i) => Math.abs(x - expected[i])));
    }
    for (let round = 0; round < pairs; round++) {
      for (let i = 0; i < all.length; i++) {
        const who = (i + round) % all.length;
        const began = performance.now();
        await all[who].run();
        report[who].milliseconds.push(performance.now() - began);
      }
    }
    return { tokens: shared.ids.flat().length, contenders: report };
  },
};
