// Draws examples: images are cut out of sheets, texts are read from scripts.
(() => {
  "use strict";

  const { attempt, element, load, stamp } = protoscore;
  const SMALL = 64; // pixels: smaller images are enlarged less, or nobody recognises them
  const sheets = new Map(); // path to the promise of an image

  // Loads what `path` holds, so that it is there when it is drawn.
  function preload(path, sheet) {
    return sheet ? image(`${path}.webp`) : load(`${path}.js`);
  }

  // An element that shows one of the examples in a file, filled when it has loaded. `sheet` says
  // where images are in it; without one the examples are texts.
  function show(path, at, sheet) {
    if (!sheet) {
      const text = element("div", { className: "text" });
      attempt(load(`${path}.js`).then((texts) => {
        text.textContent = texts[at];
        if (!texts[at]) text.append(element("em", { textContent: "empty" }));
        text.dataset.drawn = "";
      }));
      return text;
    }
    const { width, height, across, down, columns } = sheet;
    const canvas = element("canvas", { width, height });
    canvas.classList.toggle("small", Math.max(width, height) <= SMALL);
    const [x, y] = [(at % columns) * across, Math.floor(at / columns) * down];
    attempt(image(`${path}.webp`).then((loaded) => {
      canvas.getContext("2d").drawImage(loaded, x, y, width, height, 0, 0, width, height);
      canvas.dataset.drawn = "";
    }));
    return canvas;
  }

  function image(path) {
    if (!sheets.has(path)) {
      const loading = element("img", { src: `${path}?${stamp}` });
      const loaded = loading.decode().then(() => loading, () => {
        sheets.delete(path);
        throw new Error(`expected ${path} next to this page, got no image`);
      });
      sheets.set(path, loaded);
    }
    return sheets.get(path);
  }

  Object.assign(protoscore, { preload, show });
})();
