// Our engine as the page has it: a worker that speaks the messages of `crates/engine/src/protocol.rs`.

export class Engine {
  #worker;
  /** Of the last request. */
  lastId = 0;
  /** The handle of the model that was loaded last, which requests are for. */
  model;
  /** What listens to the events of each request. */
  #listeners = new Map();

  /** Starts the worker at this address; it would miss what is sent before its greeting. */
  static start(address) {
    const engine = new Engine();
    return new Promise((resolve, reject) => {
      engine.#worker = new Worker(address, { type: "module" });
      engine.#worker.onerror = (event) =>
        reject(new Error(event.message ?? "the worker's script could not be loaded"));
      engine.#worker.onmessage = ({ data: { id, body } }) => {
        if (body.type === "hello") resolve(engine);
        else engine.#listeners.get(id)?.(body);
      };
    });
  }

  #send(body, files = []) {
    const id = ++this.lastId;
    this.#worker.postMessage({ id, body, files });
    return id;
  }

  /** Sends a request, with files beside it; gives the event of type `end`, and shows the others to `onEvent(event, cancel)`. */
  ask(body, end, onEvent = () => {}, files = []) {
    return new Promise((resolve, reject) => {
      const id = this.#send(body, files);
      const cancel = () => this.#send({ type: "cancel", request: id });
      this.#listeners.set(id, (event) => {
        if (event.type === end) resolve(event);
        else if (event.type === "failed") reject(new Error(`${event.message} ${event.detail}`));
        else return onEvent(event, cancel);
        this.#listeners.delete(id);
      });
    });
  }

  /** Loads a model of the manifest; gives `{ bytes, heapBytes, name }`. */
  async load({ model, backend, precision }) {
    const request = { type: "load", model: { kind: "manifest", id: model }, backend, precision };
    const { handle, bytes, heapBytes, backend: used, precision: computed, why } =
      (await this.ask(request, "ready")).model;
    this.model = handle;
    const how = used === "cpu" ? `, ${why.split(" on the ")[0]}` : "";
    return { bytes, heapBytes, name: `Glassformer (${used}, ${computed}${how})` };
  }
}
