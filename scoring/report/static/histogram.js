// A histogram of a metric's values, with a range that the reader drags or sets by keys.
(() => {
  "use strict";

  const { element, number } = protoscore;

  // `choose(from, to)` is called with a range of bins, `to` not included; with null for all.
  function makeHistogram(frame, choose) {
    const bars = element("div", { className: "bars" });
    const [low, high] = ["Lowest bin", "Highest bin"].map((ariaLabel) => element("input", { type: "range", min: 0, step: 1, ariaLabel }));
    const [least, most, said] = [element("span"), element("span"), element("strong")];
    const all = element("button", { type: "button", textContent: "All values" });
    frame.append(bars, element("div", { className: "handles" }, low, high), element("div", { className: "extent" }, least, said, all, most));
    let state = { edges: [], from: 0, to: 0, unit: "" };
    let start = -1; // the bin where a drag began

    // `counts` of the examples in each bin, their `edges`, the range chosen, and whether high values
    // are prototypical; `unit` follows the range in words.
    function show({ counts, edges, from, to, rising, unit }) {
      state = { edges, from, to, unit };
      const highest = Math.max(...counts, 1);
      bars.replaceChildren(...counts.map((count, bin) => {
        const bar = element("i", { title: `${number(edges[bin], 3)} to ${number(edges[bin + 1], 3)}: ${protoscore.count(count)}` });
        bar.style.height = `${count ? Math.max((100 * count) / highest, 2) : 0}%`;
        bar.style.setProperty("--at", `${(100 * (rising ? bin : counts.length - 1 - bin)) / (counts.length - 1)}%`);
        return bar;
      }));
      low.max = high.max = counts.length;
      least.textContent = number(edges[0], 3);
      most.textContent = number(edges.at(-1), 3);
      mark();
    }

    function mark() {
      const { edges, from, to } = state;
      const whole = from === 0 && to === edges.length - 1;
      [...bars.children].forEach((bar, bin) => bar.classList.toggle("outside", bin < from || bin >= to));
      low.value = from;
      high.value = to;
      said.textContent = whole ? "" : `${number(edges[from], 3)} to ${number(edges[to], 3)}${state.unit}`;
      all.hidden = whole;
    }

    function set(from, to) {
      Object.assign(state, { from, to });
      mark();
    }

    function done() {
      const { edges, from, to } = state;
      if (from === 0 && to === edges.length - 1) choose(null);
      else choose(from, to);
    }

    function binAt({ clientX }) {
      const { left, width } = bars.getBoundingClientRect();
      const bins = state.edges.length - 1;
      return Math.min(Math.max(Math.floor(((clientX - left) / width) * bins), 0), bins - 1);
    }

    function drag(event) {
      if (start < 0) return;
      const here = binAt(event);
      set(Math.min(start, here), Math.max(start, here) + 1);
    }

    bars.addEventListener("pointerdown", (event) => {
      start = binAt(event);
      bars.setPointerCapture(event.pointerId);
      drag(event);
    });
    bars.addEventListener("pointermove", drag);
    bars.addEventListener("pointerup", (event) => {
      drag(event);
      start = -1;
      done();
    });
    bars.addEventListener("pointercancel", () => {
      start = -1;
      done();
    });
    low.addEventListener("input", () => set(Math.min(Number(low.value), state.to - 1), state.to));
    high.addEventListener("input", () => set(state.from, Math.max(Number(high.value), state.from + 1)));
    for (const handle of [low, high]) handle.addEventListener("change", done);
    all.addEventListener("click", () => choose(null));
    return { show };
  }

  Object.assign(protoscore, { makeHistogram });
})();
