// A grid for very many cells; only the cells near the screen exist.
(() => {
  "use strict";

  const GAP = 4; // px
  const MARGIN = 3; // rows kept above and below the screen

  // `makeCell(index)` returns an element that holds a button. The grid is a single tab stop; arrow
  // keys move within it.
  function makeGrid(container, makeCell) {
    const cells = new Map(); // index to its element
    const state = { count: 0, columns: 1, across: 1, down: 1, current: 0 }; // across, down: px between cells
    let frame = 0;

    function measure() {
      const width = container.clientWidth;
      const styles = getComputedStyle(container);
      const [wanted, tall, caption] = ["--cell", "--tall", "--caption"].map((name) => parseFloat(styles.getPropertyValue(name)));
      state.columns = Math.max(1, Math.floor((width + GAP) / (wanted + GAP)));
      const side = (width - GAP * (state.columns - 1)) / state.columns;
      state.across = side + GAP;
      state.down = side * tall + caption + GAP;
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
      frame = 0;
      const top = -container.getBoundingClientRect().top / state.down;
      const first = Math.max(0, Math.floor(top) - MARGIN) * state.columns;
      const rows = Math.ceil(innerHeight / state.down) + 2 * MARGIN;
      const end = Math.min(state.count, first + rows * state.columns);
      for (const [index, cell] of cells) {
        // Keep the focused cell, or key presses would be lost.
        if ((index < first || index >= end) && !cell.contains(document.activeElement)) drop(index);
      }
      for (let index = first; index < end; index += 1) cell(index);
    }

    function cell(index) {
      if (!cells.has(index)) {
        const created = makeCell(index);
        created.dataset.index = index;
        button(created).tabIndex = index === state.current ? 0 : -1;
        put(created, index);
        cells.set(index, created);
        container.append(created);
      }
      return cells.get(index);
    }

    function button(cell) {
      return cell.querySelector("button");
    }

    function drop(index) {
      cells.get(index).remove();
      cells.delete(index);
    }

    function drawSoon() {
      frame ||= requestAnimationFrame(draw);
    }

    function show(count) {
      for (const index of [...cells.keys()]) drop(index);
      Object.assign(state, { count, current: 0 });
      measure();
    }

    // Makes a cell the current one and scrolls it into view.
    function moveTo(index, focus = true) {
      const previous = cells.get(state.current);
      if (previous) button(previous).tabIndex = -1;
      state.current = index;
      const current = cell(index);
      button(current).tabIndex = 0;
      if (focus) button(current).focus({ preventScroll: true });
      current.scrollIntoView({ block: "nearest" });
    }

    function onKey(event) {
      const index = Number(event.target.closest("button")?.closest("[data-index]")?.dataset.index ?? -1);
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

    container.addEventListener("keydown", onKey);
    addEventListener("scroll", drawSoon, { passive: true });
    new ResizeObserver(measure).observe(container);
    return { moveTo, show };
  }

  Object.assign(protoscore, { makeGrid });
})();
