// A grid of very many cells, of which only those near the screen exist.
(() => {
  "use strict";

  const GAP = 4; // px
  const SPARE = 3; // rows kept above and below the screen

  // `makeCell(index)` gives a button. One cell is a stop of the tab key; arrows move inside.
  function makeGrid(container, makeCell) {
    const cells = new Map(); // index to its button
    const state = { count: 0, columns: 1, across: 1, down: 1, current: 0 }; // cells are so far apart, in px
    let waiting = 0;

    function measure() {
      const width = container.clientWidth;
      const [wanted, tall] = ["--cell", "--tall"].map((name) => parseFloat(getComputedStyle(container).getPropertyValue(name)));
      state.columns = Math.max(1, Math.floor((width + GAP) / (wanted + GAP)));
      const side = (width - GAP * (state.columns - 1)) / state.columns;
      state.across = side + GAP;
      state.down = side * tall + GAP;
      container.style.setProperty("--side", `${side}px`);
      container.style.height = `${Math.ceil(state.count / state.columns) * state.down}px`;
      for (const [index, cell] of cells) put(cell, index);
      draw();
    }

    function put(cell, index) {
      const [row, column] = [Math.floor(index / state.columns), index % state.columns];
      cell.style.translate = `${column * state.across}px ${row * state.down}px`;
    }

    function draw() {
      waiting = 0;
      const top = -container.getBoundingClientRect().top / state.down;
      const first = Math.max(0, Math.floor(top) - SPARE) * state.columns;
      const rows = Math.ceil(innerHeight / state.down) + 2 * SPARE;
      const end = Math.min(state.count, first + rows * state.columns);
      for (const [index, cell] of cells) {
        // What has the focus stays, or keys would have nowhere to go.
        if ((index < first || index >= end) && cell !== document.activeElement) drop(index);
      }
      for (let index = first; index < end; index += 1) cell(index);
    }

    function cell(index) {
      if (!cells.has(index)) {
        const made = makeCell(index);
        made.dataset.index = index;
        made.tabIndex = index === state.current ? 0 : -1;
        put(made, index);
        cells.set(index, made);
        container.append(made);
      }
      return cells.get(index);
    }

    function drop(index) {
      cells.get(index).remove();
      cells.delete(index);
    }

    function drawSoon() {
      waiting ||= requestAnimationFrame(draw);
    }

    function show(count) {
      for (const index of [...cells.keys()]) drop(index);
      Object.assign(state, { count, current: 0 });
      measure();
    }

    // Make a cell the one that keys start from, and bring it on screen.
    function moveTo(index, focus = true) {
      const before = cells.get(state.current);
      if (before) before.tabIndex = -1;
      state.current = index;
      const now = cell(index);
      now.tabIndex = 0;
      if (focus) now.focus({ preventScroll: true });
      now.scrollIntoView({ block: "nearest" });
    }

    function pressed(event) {
      const index = Number(event.target.closest("[data-index]")?.dataset.index ?? -1);
      if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
      const { count, columns, down } = state;
      const screen = Math.max(1, Math.floor(innerHeight / down) - 2) * columns;
      const to = {
        ArrowRight: index + 1,
        ArrowLeft: index - 1,
        ArrowDown: index + columns,
        ArrowUp: index - columns,
        PageDown: Math.min(index + screen, count - 1),
        PageUp: Math.max(index - screen, 0),
        Home: 0,
        End: count - 1,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      if (to >= 0 && to < count) moveTo(to);
    }

    container.addEventListener("keydown", pressed);
    addEventListener("scroll", drawSoon, { passive: true });
    new ResizeObserver(measure).observe(container);
    return { moveTo, show };
  }

  Object.assign(protoscore, { makeGrid });
})();
