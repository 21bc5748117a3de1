// Translates sentences.json with Bergamot's WebAssembly in Chromium, one sentence at a time:
//
//   npm ci --ignore-scripts && node bergamot.mjs CHROMIUM MODELS > bergamot.json
//
// MODELS is a folder with enpt/ and pten/ as models/manifest.json describes them.
import { spawn } from "node:child_process";
import { createReadStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [chromium, models] = process.argv.slice(2);
const here = fileURLToPath(new URL(".", import.meta.url));
const profile = mkdtempSync(join(tmpdir(), "bergamot-"));
const file = (name) => ({ name: `/models/${name}` });
const pair = (id) => ({
  model: file(`${id}/model.${id}.intgemm.alphas.bin`),
  lex: file(`${id}/lex.50.50.${id}.s2t.bin`),
  vocab: file(`${id}/vocab.${id}.spm`),
});

async function page() {
  const { LatencyOptimisedTranslator } = await import("/package/translator.js");
  const translator = new LatencyOptimisedTranslator({ registryUrl: "/registry.json", downloadTimeout: 0 });
  const sentences = await (await fetch("/sentences.json")).json();
  const result = {};
  for (const [from, to] of [["en", "pt"], ["pt", "en"]]) {
    result[from] = [];
    for (const text of sentences[from]) {
      const translated = await translator.translate({ from, to, text, html: false });
      result[from].push(translated.target.text);
    }
  }
  await fetch("/result", { method: "POST", body: JSON.stringify(result, null, 0) });
}

const types = { ".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };
const server = createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  const send = (type, body) => response.writeHead(200, { "content-type": type }).end(body);
  const stream = (name) => {
    response.writeHead(200, { "content-type": types[extname(name)] ?? "application/octet-stream" });
    createReadStream(name).on("error", () => response.destroy()).pipe(response);
  };
  if (path === "/") {
    send("text/html", `<!doctype html><script type="module">(${page})().catch((e) => fetch("/failed", { method: "POST", body: String(e.stack) }))</script>`);
  } else if (path === "/registry.json") {
    send("application/json", JSON.stringify({ enpt: pair("enpt"), pten: pair("pten") }));
  } else if (path === "/sentences.json") {
    stream(join(here, "sentences.json"));
  } else if (path.startsWith("/package/") && !path.includes("..")) {
    stream(join(here, "node_modules/@browsermt/bergamot-translator", path.slice("/package/".length)));
  } else if (path.startsWith("/models/") && !path.includes("..")) {
    stream(join(models, path.slice("/models/".length)));
  } else if (path === "/result" || path === "/failed") {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      response.end();
      if (path === "/failed") {
        console.error(body);
        process.exitCode = 1;
      } else {
        process.stdout.write(body.replaceAll('","', '",\n"') + "\n");
      }
      server.close();
      browser.kill();
      // Its other processes still write for a moment.
      browser.on("exit", () => setTimeout(() => rmSync(profile, { recursive: true, force: true }), 1000));
    });
  } else {
    response.writeHead(404).end();
  }
});
let browser;
server.listen(0, "127.0.0.1", () => {
  const address = `http://127.0.0.1:${server.address().port}/`;
  const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", `--user-data-dir=${profile}`];
  browser = spawn(chromium, [...flags, address], { stdio: "ignore" });
});
