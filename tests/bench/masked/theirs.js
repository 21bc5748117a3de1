// onnxruntime-web on the model that export.py wrote.

import * as ort from "/npm/onnxruntime-web/dist/ort.webgpu.min.mjs";

ort.env.wasm.numThreads = 1;

const int64 = (numbers, dims) => new ort.Tensor("int64", BigInt64Array.from(numbers, BigInt), dims);

export class Theirs {
  /** Loads a model for one thread of its CPU backend (`wasm`) or for its WebGPU backend (`webgpu`). */
  static async open(url, provider) {
    const theirs = new Theirs();
    theirs.session = await ort.InferenceSession.create(url, {
      executionProviders: [provider],
      graphOptimizationLevel: "all",
      // What nobody reads stays on the device.
      preferredOutputLocation: provider === "webgpu" ? "gpu-buffer" : "cpu",
    });
    return theirs;
  }

  /** Runs token ids; gives numbers of the output `name`, and leaves the others where they are. */
  async run(ids, rows, name) {
    const feeds = { ids: int64(ids, [1, ids.length]), rows: int64(rows, [rows.length]) };
    const outputs = await this.session.run(feeds);
    const numbers = await outputs[name].getData(true);
    for (const output of Object.values(outputs)) output.dispose();
    return numbers;
  }
}
