// A scatter of examples that the reader can point at.
(() => {
  "use strict";

  const { element, exampleButton } = protoscore;
  const MARGIN = 14; // px around the points
  const REACH = 14; // px from the pointer within which a point counts as hit
  const CELLS = 64; // cells of the lookup grid, across and down

  // `show` draws N points, given as
  //   x, y, colour: columns [N]; `colour` holds indices into `colours`
  //   colours: names of CSS variables
  //   ends, axes: extent and names of both axes (optional)
  //   example(i): { report, split, position, answers } of a point
  function makeMap(canvas, open) {
    const tip = element("div", { className: "tip", hidden: true });
    canvas.parentElement.append(tip);
    let points = null;
    let pixels = null; // [N] coordinates of the points on the canvas, in px
    let lookup = null; // cell of the grid to the points in it
    let current = -1; // the point under the pointer or reached by keys

    function show(given) {
      points = given;
      pointTo(-1);
      measure();
    }

    function measure() {
      if (!points) return;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      canvas.width = width * devicePixelRatio;
      canvas.height = height * devicePixelRatio;
      place(width, height);
      lookup = new Map();
      pixels.x.forEach((x, i) => {
        const key = cellOf(x) * CELLS + cellOf(pixels.y[i]);
        if (!lookup.has(key)) lookup.set(key, []);
        lookup.get(key).push(i);
      });
      paint();
    }

    // Both axes have the same scale, since distances carry the meaning of a similarity map.
    function place(width, height) {
      const [left, right] = points.ends ?? extent(points.x);
      const [bottom, top] = points.ends ?? extent(points.y);
      const unit = Math.min((width - 2 * MARGIN) / (right - left || 1), (height - 2 * MARGIN) / (top - bottom || 1));
      const [aside, below] = [(width - unit * (right - left)) / 2, (height - unit * (top - bottom)) / 2];
      pixels = {
        x: Float32Array.from(points.x, (x) => aside + (x - left) * unit),
        y: Float32Array.from(points.y, (y) => height - below - (y - bottom) * unit),
      };
    }

    function cellOf(coordinate) {
      return Math.min(Math.max(Math.floor((coordinate / Math.max(canvas.clientWidth, canvas.clientHeight)) * CELLS), 0), CELLS - 1);
    }

    function paint() {
      const context = canvas.getContext("2d");
      context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
      context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
      if (points.axes) paintAxes(context);
      const size = points.x.length > 5000 ? 2 : points.x.length > 500 ? 4 : 7;
      const styles = getComputedStyle(canvas);
      context.globalAlpha = points.x.length > 5000 ? 0.5 : 0.85;
      points.colours.forEach((colour, number) => {
        context.fillStyle = styles.getPropertyValue(colour);
        context.beginPath();
        pixels.x.forEach((x, i) => {
          if (points.colour[i] !== number) return;
          context.moveTo(x + size / 2, pixels.y[i]);
          context.arc(x, pixels.y[i], size / 2, 0, 7);
        });
        context.fill();
      });
      if (current < 0) return;
      context.globalAlpha = 1;
      context.strokeStyle = styles.getPropertyValue("--ink");
      context.lineWidth = 2;
      context.beginPath();
      context.arc(pixels.x[current], pixels.y[current], size / 2 + 3, 0, 7);
      context.stroke();
    }

    // Grid lines at the quarters of both axes, and the axis names.
    function paintAxes(context) {
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      const styles = getComputedStyle(canvas);
      context.fillStyle = styles.getPropertyValue("--line");
      for (const share of [0.25, 0.5, 0.75]) {
        context.fillRect(MARGIN + share * (width - 2 * MARGIN), 0, 1, height);
        context.fillRect(0, MARGIN + share * (height - 2 * MARGIN), width, 1);
      }
      context.fillStyle = styles.getPropertyValue("--muted");
      context.font = `12px ${styles.fontFamily}`;
      context.textAlign = "right";
      context.fillText(`${points.axes.x} →`, width - 8, height - 8);
      context.textAlign = "left";
      context.fillText(`↑ ${points.axes.y}`, 8, 18);
    }

    function nearest(x, y) {
      const reach = Math.ceil((REACH / Math.max(canvas.clientWidth, canvas.clientHeight)) * CELLS);
      let [best, least] = [-1, REACH ** 2];
      for (let i = cellOf(x) - reach; i <= cellOf(x) + reach; i += 1) {
        for (let j = cellOf(y) - reach; j <= cellOf(y) + reach; j += 1) {
          for (const point of lookup.get(i * CELLS + j) ?? []) {
            const distance = (pixels.x[point] - x) ** 2 + (pixels.y[point] - y) ** 2;
            if (distance < least) [best, least] = [point, distance];
          }
        }
      }
      return best;
    }

    // The nearest point in a direction; sideways distance counts double.
    function towards(dx, dy) {
      if (current < 0) return points.x.length ? 0 : -1;
      let [best, least] = [current, Infinity];
      pixels.x.forEach((x, i) => {
        const [right, below] = [x - pixels.x[current], pixels.y[i] - pixels.y[current]];
        const ahead = right * dx + below * dy;
        const cost = ahead + 2 * Math.abs(right * dy + below * dx);
        if (ahead > 0.5 && cost < least) [best, least] = [i, cost];
      });
      return best;
    }

    function pointTo(index) {
      current = index;
      tip.hidden = index < 0;
      if (!pixels) return;
      paint();
      if (index < 0) return;
      const { report, split, position, answers } = points.example(index);
      const button = exampleButton(report, split, position, answers);
      button.tabIndex = -1;
      button.addEventListener("click", () => open(points.example(index)));
      tip.replaceChildren(button, element("span", { textContent: button.getAttribute("aria-label") }));
      tip.setAttribute("role", "status");
      const left = Math.min(Math.max(pixels.x[index] - tip.offsetWidth / 2, 0), canvas.clientWidth - tip.offsetWidth);
      const above = pixels.y[index] - tip.offsetHeight - 10;
      tip.style.translate = `${left}px ${above < 0 ? pixels.y[index] + 10 : above}px`;
    }

    const hovers = (event) => event.pointerType !== "touch";
    canvas.addEventListener("pointermove", (event) => {
      if (!hovers(event)) return;
      const at = nearest(event.offsetX, event.offsetY);
      if (at !== current) pointTo(at);
    });
    canvas.parentElement.addEventListener("pointerleave", (event) => hovers(event) && pointTo(-1));
    canvas.addEventListener("blur", () => tip.matches(":hover") || pointTo(-1));
    canvas.addEventListener("click", (event) => {
      const at = nearest(event.offsetX, event.offsetY);
      if (at < 0) return;
      // Fingers cannot hover: the first tap shows a point, the second opens it.
      if (!hovers(event) && at !== current) pointTo(at);
      else open(points.example(at));
    });
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (event.key === "Enter" && current >= 0) open(points.example(current));
      else if (event.key === "Escape") pointTo(-1);
      else if (by) pointTo(towards(...by));
      else return;
      event.preventDefault();
    });
    new ResizeObserver(measure).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => points && paint());
    return { show };
  }

  function extent(values) {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
    return [low, high];
  }

  Object.assign(protoscore, { makeMap });
})();
