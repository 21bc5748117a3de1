// Words behind a mask, and the attention of a text, with everyone in turn: our engine as the page has it, message and
// answer included, and onnxruntime-web on the page's own thread.

import { Engine } from "/bench/engine.js";
import { Theirs } from "./theirs.js";

const TOP = 5;

/** Ours: `{ name, backend, precision }`. */
const OURS = [
  { name: "ours, cpu fast", backend: "cpu", precision: "fast" },
  { name: "ours, cpu exact", backend: "cpu", precision: "exact" },
  { name: "ours, webgpu exact", backend: "webgpu", precision: "exact" },
];
const THEIRS = ["wasm", "webgpu"];

function softmax(logits) {
  const most = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
  return (id) => Math.exp(logits[id] - most) / sum;
}

/** What each task asks of ours and theirs: both give numbers that are to be the same. */
const TASKS = {
  "fill-mask": {
    async ours(engine, text) {
      const request = { text, pair: null, top: TOP, fill: false, attention: false };
      const { result } = await engine.ask({ type: "fill-mask", model: engine.model, place: 0, request }, "masked");
      return result;
    },
    shared: (result) => ({
      ids: result.tokens.map(({ id }) => id),
      rows: result.masks.map(({ position }) => position),
      wanted: result.masks[0].predictions.map(({ id }) => id),
    }),
    numbers: (result, { wanted }) => {
      const { predictions } = result.masks[0];
      return wanted.map((id) => predictions.find((found) => found.id === id)?.score ?? 0);
    },
    output: "logits",
    theirs: (logits, { wanted }) => wanted.map(softmax(logits)),
  },
  // Every map can be looked at; one is.
  attention: {
    async ours(engine, text) {
      const { summary } = await engine.ask({ type: "attend", model: engine.model, text, pair: null }, "attended");
      const of = { kind: "head", layer: 0, head: 0 };
      const { weights } = await engine.ask({ type: "attention-map", run: engine.lastId, of }, "attention-map");
      return { summary, weights };
    },
    shared: ({ summary }) => ({ ids: summary.tokens.map(({ id }) => id), rows: [0] }),
    numbers: ({ weights }) => new Float32Array(weights.slice().buffer),
    output: "attention0",
    theirs: (maps, { ids }) => maps.slice(0, ids.length ** 2),
  },
};

function apart(a, b) {
  if (a.length !== b.length) throw new Error(`${a.length} numbers meet ${b.length}`);
  return a.reduce((most, number, i) => {
    const difference = Math.abs(number - b[i]);
    return difference <= most ? most : difference;
  }, 0);
}

window.bench = {
  /** Loads everyone and times `pairs` rounds of a task, each with another one first. */
  async measure(name, { worker, model, text, pairs }) {
    const task = TASKS[name];
    const all = [];
    let shared;
    for (const { name, ...options } of OURS) {
      const engine = await Engine.start(worker);
      const loaded = await engine.load({ model, ...options });
      if (!loaded.name.includes(`${options.backend}, ${options.precision}`)) {
        throw new Error(`${name} runs as ${loaded.name}`);
      }
      const answer = await task.ours(engine, text);
      shared ??= task.shared(answer);
      all.push({ name, run: async () => task.numbers(await task.ours(engine, text), shared) });
    }
    for (const provider of THEIRS) {
      const theirs = await Theirs.open(`/made/${name}.onnx`, provider);
      const run = async () => task.theirs(await theirs.run(shared.ids, shared.rows, task.output), shared);
      all.push({ name: `onnxruntime, ${provider}`, run });
    }
    const report = all.map(({ name }) => ({ name, milliseconds: [] }));
    let expected;
    // The first of theirs is what all are compared with.
    for (const who of [OURS.length, ...all.keys()]) {
      const numbers = await all[who].run();
      expected ??= numbers;
      report[who].difference = apart(expected, numbers);
    }
    for (let round = 0; round < pairs; round++) {
      for (let i = 0; i < all.length; i++) {
        const who = (i + round) % all.length;
        const began = performance.now();
        await all[who].run();
        report[who].milliseconds.push(performance.now() - began);
      }
    }
    return { tokens: shared.ids.length, contenders: report };
  },
};
