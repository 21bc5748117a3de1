// Runs before the page is painted and before its WebAssembly: a remembered choice of colours, and
// one plain sentence where the page cannot run at all.
(() => {
  try {
    const theme = localStorage.getItem("glassformer-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's colours are used.
  }

  // The smallest module with a SIMD instruction: (func (result v128) i32.const 0 i8x16.splat).
  const simd = new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
  ]);
  const unable =
    typeof WebAssembly !== "object" || !WebAssembly.validate(simd)
      ? "This browser has no WebAssembly SIMD, which the models are computed with; a current Firefox, Chrome, Edge or Safari has it."
      : null;

  let started = false;
  const say = (sentence) => {
    const place = document.getElementById("starting");
    if (started || !place) return;
    place.textContent = sentence;
    place.setAttribute("role", "alert");
  };
  addEventListener("TrunkApplicationStarted", () => (started = true));
  addEventListener("DOMContentLoaded", () => unable && say(unable));
  const failed = () => say(unable ?? "The page could not be started; reload it, or try another browser.");
  addEventListener("error", failed);
  addEventListener("unhandledrejection", failed);
})();
