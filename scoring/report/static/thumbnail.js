// Draws examples: images are cut out of packs, texts are read from them.
(() => {
  "use strict";

  const { attempt, certainty, element, load, stamp } = protoscore;
  const KEPT = 400; // packs of images
  const DELAY = 60; // ms before loading, so that examples scrolled past are not loaded
  const SMALL = 64; // images of at most this side, in pixels, are enlarged without smoothing
  const BEGINNING = 700; // characters shown of a long text
  const sheets = new Map(); // path to the promise of a pack's image, least recently used first

  // An element that shows an example and is filled when its pack has loaded. Texts are cut, unless
  // `whole` is set.
  function thumbnail(split, position, whole = false) {
    const { shard, row, packing } = split.place(position);
    if (packing.kind === "none") return element("span", { className: "no-image", textContent: split.id(position) });
    const pack = `data/${split.name}/packs/${shard}-${Math.floor(row / packing.rows)}`;
    const at = row % packing.rows;
    return packing.kind === "text" ? drawText(`${pack}.js`, at, whole) : drawImage(`${pack}.webp`, at, packing);
  }

  function drawText(path, at, whole) {
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

  function drawImage(path, at, packing) {
    const canvas = element("canvas", { width: packing.width, height: packing.height });
    canvas.classList.toggle("pixels", Math.max(packing.width, packing.height) <= SMALL);
    const draw = async () => {
      const [x, y] = [(at % packing.columns) * packing.across, Math.floor(at / packing.columns) * packing.down];
      const image = await sheet(path);
      canvas.getContext("2d").drawImage(image, x, y, packing.width, packing.height, 0, 0, packing.width, packing.height);
      canvas.dataset.drawn = "";
    };
    if (sheets.has(path)) attempt(draw());
    else soon(canvas, draw);
    return canvas;
  }

  function soon(target, fill) {
    setTimeout(() => target.isConnected && attempt(fill()), DELAY);
  }

  function sheet(path) {
    let image = sheets.get(path);
    if (image) sheets.delete(path);
    else {
      const loading = element("img", { src: `${path}?${stamp}` });
      image = loading.decode().then(() => loading, () => {
        sheets.delete(path);
        throw new Error(`expected ${path} next to this page, got no image`);
      });
      if (sheets.size >= KEPT) sheets.delete(sheets.keys().next().value);
    }
    sheets.set(path, image); // now the most recently used
    return image;
  }

  // A button that shows an example, with its class and id as a tooltip.
  function exampleButton(report, split, position, { label, predicted }, more = "") {
    const [actual, guess] = [label[position], predicted[position]];
    const wrong = protoscore.isWrong(actual, guess);
    const classes = `${report.className(actual)}${wrong ? `, predicted ${report.className(guess)}` : ""}`;
    const description = `${classes}, example ${split.id(position)}${more}`;
    const button = element("button", { type: "button", className: wrong ? "thumb wrong" : "thumb", title: description }, thumbnail(split, position));
    // A text does not reveal its class at a glance.
    if (split.place(position).packing.kind === "text") button.prepend(element("span", { className: "class", textContent: classes }));
    button.setAttribute("aria-label", description);
    button.dataset.id = split.id(position);
    button.dataset.position = position;
    return button;
  }

  // The lines below an example: given → predicted, and the probability of that.
  function answerLines(report, { label, predicted, ...answers }, position) {
    const [given, guess] = [label[position], predicted[position]];
    const sure = certainty(answers, position);
    const wrong = protoscore.isWrong(given, guess);
    const words = [report.className(given)];
    if (wrong) words.push(element("span", { className: "arrow", textContent: " → " }), element("span", { className: "guess", textContent: report.className(guess) }));
    return [[element("span", { className: "words" }, ...words), element("span", { className: "sure", textContent: sure })]];
  }

  // How probably a label is wrong; nothing is certain.
  function wrongShare(probability) {
    return probability > 0.99 ? ">99%" : `${Math.round(100 * probability)}%`;
  }

  // The lines below an issue: given → suggested and how probably the label is wrong, then its kind.
  function issueLines(report, { label, suggested, wrong, kind }, row) {
    const names = [report.className(label[row]), element("span", { className: "arrow", textContent: " → " }), element("strong", { textContent: report.className(suggested[row]) })];
    const share = element("span", { className: "sure wrong-share", textContent: wrongShare(wrong[row]) });
    return [[element("span", { className: "words" }, ...names), share], [element("span", { className: "words" }, report.kinds[kind[row]])]];
  }

  // An example with lines of text below it; a line is a list of texts and elements.
  function exampleTile(button, lines) {
    const caption = lines.map((line) => element("span", {}, ...line));
    return element("div", { className: "tile" }, button, element("div", { className: "caption" }, ...caption));
  }

  Object.assign(protoscore, { answerLines, exampleButton, exampleTile, issueLines, thumbnail, wrongShare });
})();
