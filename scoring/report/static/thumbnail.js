// How an example looks: the one place that knows. Images are cut from packs, texts read from them.
(() => {
  "use strict";

  const { attempt, element, load, stamp } = protoscore;
  const KEPT = 400; // packs of images
  const PATIENCE = 60; // ms: what is scrolled past is not loaded
  const SMALL = 64; // pixels: up to here an image is shown in squares
  const BEGINNING = 700; // characters of a text that is not shown whole
  const sheets = new Map(); // path to the promise of an image, the oldest first

  // An element that shows an example, a text only as its beginning, or `whole`; it is filled as soon
  // as its pack is there.
  function thumbnail(split, position, whole = false) {
    const { shard, row, look } = split.place(position);
    const pack = `data/${split.name}/packs/${shard}-${Math.floor(row / look.rows)}`;
    const at = row % look.rows;
    return look.kind === "text" ? textOf(`${pack}.js`, at, whole) : imageOf(`${pack}.webp`, at, look);
  }

  function textOf(path, at, whole) {
    const quote = element("span", { className: whole ? "text whole" : "text" });
    const fill = async () => {
      const text = (await load(path))[at];
      quote.textContent = whole || text.length <= BEGINNING ? text : `${text.slice(0, BEGINNING)} …`;
      if (!text) quote.append(element("em", { textContent: "empty" }));
      quote.dataset.drawn = "";
    };
    soon(quote, fill);
    return quote;
  }

  function imageOf(path, at, look) {
    const canvas = element("canvas", { width: look.width, height: look.height });
    canvas.classList.toggle("pixels", Math.max(look.width, look.height) <= SMALL);
    const draw = async () => {
      const [x, y] = [(at % look.columns) * look.across, Math.floor(at / look.columns) * look.down];
      const image = await sheet(path);
      canvas.getContext("2d").drawImage(image, x, y, look.width, look.height, 0, 0, look.width, look.height);
      canvas.dataset.drawn = "";
    };
    if (sheets.has(path)) attempt(draw());
    else soon(canvas, draw);
    return canvas;
  }

  function soon(shown, fill) {
    setTimeout(() => shown.isConnected && attempt(fill()), PATIENCE);
  }

  function sheet(path) {
    let image = sheets.get(path);
    if (image) sheets.delete(path);
    else {
      const loading = element("img", { src: `${path}?${stamp}` });
      image = loading.decode().then(() => loading, () => {
        sheets.delete(path);
        throw new Error(`expected ${path} beside this page, got no image`);
      });
      if (sheets.size >= KEPT) sheets.delete(sheets.keys().next().value);
    }
    sheets.set(path, image); // now the youngest
    return image;
  }

  // A button that shows an example, says what it is, and opens it.
  function exampleButton(report, split, position, { label, predicted }, more = "") {
    const [is, taken] = [label[position], predicted[position]];
    const wrong = protoscore.isWrong(is, taken);
    const classes = `${report.className(is)}${wrong ? `, predicted ${report.className(taken)}` : ""}`;
    const said = `${classes}, example ${split.id(position)}${more}`;
    const button = element("button", { type: "button", className: wrong ? "thumb wrong" : "thumb", title: said }, thumbnail(split, position));
    // A text does not show at a glance what it is.
    if (split.place(position).look.kind === "text") button.prepend(element("span", { className: "class", textContent: classes }));
    button.setAttribute("aria-label", said);
    button.dataset.id = split.id(position);
    button.dataset.position = position;
    return button;
  }

  Object.assign(protoscore, { exampleButton, thumbnail });
})();
