// onnxruntime-web's WebGPU backend. Inputs and outputs stay in buffers on the device, made once.

import * as ort from "/npm/onnxruntime-web/dist/ort.webgpu.min.mjs";

ort.env.wasm.numThreads = 1;

/** A device with all that the adapter offers, or without subgroups. */
export async function openDevice({ subgroups }) {
  const adapter = await navigator.gpu.requestAdapter();
  const requiredLimits = {};
  for (const name in adapter.limits) requiredLimits[name] = adapter.limits[name];
  const requiredFeatures = subgroups && adapter.features.has("subgroups") ? ["subgroups"] : [];
  return adapter.requestDevice({ requiredLimits, requiredFeatures });
}

function product(numbers) {
  return numbers.reduce((a, b) => a * b, 1);
}

export class Theirs {
  /**
   * Loads a model. `inputs` names numbers: `{ name: Float32Array }`, whose sizes the model knows. A cache is the input
   * `past_…` and the output `present_…`, one buffer, which the model grows in place.
   */
  static async open(url, inputs, device) {
    const theirs = new Theirs();
    theirs.device = device;
    theirs.session = await ort.InferenceSession.create(url, {
      executionProviders: [{ name: "webgpu", device }],
      // No operation may go to the CPU instead.
      extra: { session: { disable_cpu_ep_fallback: "1" } },
    });
    const { session } = theirs;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const tensor = ({ type, shape: dims }) => {
      const buffer = device.createBuffer({ size: 4 * product(dims), usage });
      return ort.Tensor.fromGpuBuffer(buffer, { dataType: type, dims });
    };
    theirs.feeds = {};
    for (const input of session.inputMetadata) {
      const given = inputs[input.name];
      if (given.length !== product(input.shape)) {
        throw new Error(`${input.name} has ${given.length} numbers instead of ${input.shape}`);
      }
      theirs.feeds[input.name] = tensor(input);
      device.queue.writeBuffer(theirs.feeds[input.name].gpuBuffer, 0, given);
    }
    theirs.fetches = {};
    for (const output of session.outputMetadata) {
      const past = theirs.feeds[output.name.replace("present_", "past_")];
      theirs.fetches[output.name] = past ?? tensor(output);
    }
    return theirs;
  }

  /** Runs so often; what was computed last is then waited for by reading it. */
  async run(times) {
    for (let i = 0; i < times; i++) await this.session.run(this.feeds, this.fetches);
  }

  /** An output's numbers. */
  read(name) {
    return this.copy(name, 0, product(this.fetches[name].dims));
  }

  /** Its last row. */
  readLast(name) {
    const { dims } = this.fetches[name];
    const width = dims[dims.length - 1];
    return this.copy(name, product(dims) - width, width);
  }

  async copy(name, start, count) {
    const size = 4 * count;
    const staging = this.device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(this.fetches[name].gpuBuffer, 4 * start, staging, 0, size);
    this.device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const numbers = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return numbers;
  }

  async close() {
    await this.session.release();
    const tensors = [...Object.values(this.feeds), ...Object.values(this.fetches)];
    for (const { gpuBuffer } of tensors) gpuBuffer.destroy();
  }
}
