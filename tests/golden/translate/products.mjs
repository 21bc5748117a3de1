// Writes the input of every product of bytes that Bergamot's WebAssembly computes for one text: it imports them, so they
// can be listened to. Its worker runs here in Node.
//
//   npm ci --ignore-scripts && node products.mjs MODELS enpt "The bank is by the river." > products.json
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

const [models, pair, text] = process.argv.slice(2);
const worker = fileURLToPath(new URL("node_modules/@browsermt/bergamot-translator/worker/", import.meta.url));
const read = (name) => readFileSync(worker + name, "utf8");
const products = [];

// What its worker finds in a browser.
let deliver;
const waiting = new Map();
globalThis.self = {
  addEventListener: (_, listener) => (deliver = listener),
  postMessage: ({ id, result, error }) => waiting.get(id)(error ? Promise.reject(new Error(error.message)) : result),
  importScripts: (...names) => names.forEach((name) => vm.runInThisContext(read(name))),
  fetch: async (url) => new Response(readFileSync(url), { headers: { "content-type": "application/wasm" } }),
  location: new URL(`file://${worker}translator-worker.js`),
};
globalThis.require = createRequire(import.meta.url);
const instantiate = WebAssembly.instantiateStreaming;
WebAssembly.instantiateStreaming = (module, imports) => {
  const { wasm_gemm: gemm } = imports;
  const prepare = gemm.int8_prepare_a;
  gemm.int8_prepare_a = (input, multiplier, zero, rows, width, output) => {
    const bytes = Buffer.from(Module.HEAPU8.slice(input, input + 4 * rows * width));
    products.push({ multiplier, rows, width, input: bytes.toString("base64") });
    return prepare(input, multiplier, zero, rows, width, output);
  };
  return instantiate(module, imports);
};
vm.runInThisContext(read("translator-worker.js"));

let last = 0;
const call = (name, ...args) =>
  new Promise((resolve) => {
    waiting.set(++last, resolve);
    deliver({ data: { id: last, name, args } });
  });
const file = (name) => new Uint8Array(readFileSync(`${models}/${pair}/${name}`)).buffer;
const [from, to] = [pair.slice(0, 2), pair.slice(2)];
await call("initialize", {});
await call("loadTranslationModel", { from, to }, {
  model: file(`model.${pair}.intgemm.alphas.bin`),
  shortlist: file(`lex.50.50.${pair}.s2t.bin`),
  vocabs: [file(`vocab.${pair}.spm`)],
});
const [{ target }] = await call("translate", { models: [{ from, to }], texts: [{ text, html: false }] });
process.stdout.write(JSON.stringify({ pair, text, translation: target.text, products }) + "\n");
