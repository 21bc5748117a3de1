// Sentences of real documents, one at a time, by both translators in turn.

import { ours, theirs } from "./engines.js";

const words = (text) => text.split(/\s+/).filter(Boolean).length;

window.bench = {
  /** Times `pairs` rounds over the first `count` sentences of both languages, each round with another one first. */
  async measure({ worker, pairs, count }) {
    const sentences = await (await fetch("/sentences/sentences.json")).json();
    const texts = ["en", "pt"].flatMap((from) => {
      const to = from === "en" ? "pt" : "en";
      return sentences[from].slice(0, count).map((text) => ({ from, to, text }));
    });
    const all = [
      { name: "ours, cpu fast", translate: await ours(worker) },
      { name: "bergamot, wasm", translate: await theirs() },
    ];
    const pass = async ({ translate }) => {
      const found = [];
      for (const { from, to, text } of texts) found.push(await translate(from, to, text));
      return found;
    };
    // Loads the models, and warms up.
    const [mine, other] = [await pass(all[0]), await pass(all[1])];
    const same = mine.filter((text, i) => text === other[i]).length;
    const report = all.map(({ name }) => ({ name, milliseconds: [] }));
    for (let round = 0; round < pairs; round++) {
      for (let i = 0; i < all.length; i++) {
        const who = (i + round) % all.length;
        const began = performance.now();
        await pass(all[who]);
        report[who].milliseconds.push(performance.now() - began);
      }
    }
    return {
      words: texts.reduce((sum, { text }) => sum + words(text), 0),
      sentences: texts.length,
      same,
      empty: [...mine, ...other].filter((text) => !text).length,
      contenders: report,
    };
  },
};
