// What both pages share, so that both engines are timed in the same way: by the page's clock, around what the page
// sends and hears. What an engine says of its own speed is not used.

/** Seconds that a promise takes, and what it gives: `{ seconds, value }`. */
export async function timed(work) {
  const began = performance.now();
  const value = await work();
  return { seconds: (performance.now() - began) / 1000, value };
}

/**
 * Times one generation. `generate(onToken)` calls `onToken(text)` once for each token as the page hears of it, and
 * gives `{ promptTokens, tokens }` as the engine counted them.
 */
export async function timedGeneration(generate) {
  const heard = [];
  let text = "";
  const asked = performance.now();
  const { promptTokens, tokens, ...rest } = await generate((piece) => {
    heard.push(performance.now());
    text += piece;
  });
  if (heard.length !== tokens || tokens < 2) {
    throw new Error(`${heard.length} tokens were heard, and the engine counted ${tokens}`);
  }
  const first = (heard[0] - asked) / 1000;
  const afterFirst = (heard[heard.length - 1] - heard[0]) / 1000;
  return {
    promptTokens,
    tokens,
    firstTokenSeconds: first,
    prefillTps: promptTokens / first,
    decodeTps: (tokens - 1) / afterFirst,
    text,
    ...rest,
  };
}
