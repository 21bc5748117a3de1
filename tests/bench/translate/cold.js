// From the beginning of the navigation to the first translation: `?ours=WORKER` or `?theirs`.

import { ours, theirs } from "./engines.js";

const asked = new URLSearchParams(location.search);
const translate = asked.has("theirs") ? await theirs() : await ours(asked.get("ours"));
const text = await translate("en", "pt", "The bank is by the river.");
window.cold = { milliseconds: performance.now(), text };
