// Both translators behind one function: `translate(from, to, text)` gives the translation.

const DIRECTIONS = { en: "enpt", pt: "pten" };

/** Ours as the page has it, message and answer included, in `fast`, with one beam and the shortlist as Bergamot has. */
export async function ours(worker) {
  const { Engine } = await import("/bench/engine.js");
  const engine = await Engine.start(worker);
  const handles = {};
  const load = async (from) => {
    const { name } = await engine.load({ model: DIRECTIONS[from], backend: "cpu", precision: "fast" });
    if (!name.includes("cpu, fast")) throw new Error(`ours runs as ${name}`);
    handles[from] = engine.model;
  };
  return async (from, _to, text) => {
    if (!(from in handles)) await load(from);
    const settings = { beams: 1, best: 1, shortlist: true };
    const request = { text, from, settings };
    const { result } = await engine.ask({ type: "translate", model: handles[from], request }, "translated");
    return result.text;
  };
}

/** Bergamot's WebAssembly, with its one worker. */
export async function theirs() {
  const { LatencyOptimisedTranslator } = await import("/npm/@browsermt/bergamot-translator/translator.js");
  const translator = new LatencyOptimisedTranslator({ registryUrl: "/bench/translate/registry.json", downloadTimeout: 0 });
  return async (from, to, text) => (await translator.translate({ from, to, text, html: false })).target.text;
}
