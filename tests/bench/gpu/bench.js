// Times our kernels and theirs in turn, and compares what they computed.

import { adapter, cases, lastLayer } from "./cases.js";

/** One timing takes about so many milliseconds, or as long as one run takes. */
const TIMING = 150;
const MOST_RUNS = 50;

/** Milliseconds a run, over so many; the device has finished when the last row of it can be read. */
async function timed({ run, wait }, times) {
  const began = performance.now();
  await run(times);
  await wait();
  return (performance.now() - began) / times;
}

function contenders({ rows, ours, theirs }) {
  const all = [
    {
      name: "ours",
      run: (times) => ours.run(times),
      wait: () => ours.read_row(lastLayer, rows - 1),
      read: (layer) => ours.read(layer),
    },
  ];
  for (const [name, engine] of Object.entries(theirs)) {
    all.push({
      name,
      run: (times) => engine.run(times),
      wait: () => engine.readLast(`y${lastLayer}`),
      read: (layer) => engine.read(`y${layer}`),
    });
  }
  return all;
}

/** The greatest difference and the greatest size of two outputs. */
function compare(a, b) {
  if (a.length !== b.length) throw new Error(`${a.length} numbers meet ${b.length}`);
  let [difference, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const apart = Math.abs(a[i] - b[i]);
    // Also where one of them is no number.
    if (!(apart <= difference)) difference = apart;
    size = Math.max(size, Math.abs(b[i]));
  }
  return { difference, size };
}

window.bench = {
  cases: Object.keys(cases),
  adapter,

  /** Opens a case, lets everyone warm up, times `pairs` rounds, each with another one first. */
  async measure(name, pairs) {
    const opened = await cases[name]();
    const all = contenders(opened);
    const report = [];
    for (const contender of all) {
      await timed(contender, 1);
      const once = await timed(contender, 1);
      const runs = Math.min(MOST_RUNS, Math.max(1, Math.round(TIMING / once)));
      report.push({ name: contender.name, runs, milliseconds: [] });
    }
    for (let round = 0; round < pairs; round++) {
      for (let i = 0; i < all.length; i++) {
        const who = (i + round) % all.length;
        report[who].milliseconds.push(await timed(all[who], report[who].runs));
      }
    }
    for (let layer = 0; layer <= lastLayer; layer += lastLayer) {
      const expected = await all[0].read(layer);
      for (let who = 1; who < all.length; who++) {
        const found = compare(expected, await all[who].read(layer));
        report[who].difference = Math.max(report[who].difference ?? 0, found.difference);
        report[who].size = Math.max(report[who].size ?? 0, found.size);
      }
    }
    opened.ours.free();
    for (const engine of Object.values(opened.theirs)) await engine.close();
    return report;
  },
};
