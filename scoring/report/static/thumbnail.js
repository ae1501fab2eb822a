// How an example looks: the one place that knows. Today all are images, in packs.
(() => {
  "use strict";

  const { attempt, element, stamp } = protoscore;
  const KEPT = 400; // packs
  const PATIENCE = 60; // ms: what is scrolled past is not loaded
  const SMALL = 64; // pixels: up to here an image is shown in squares
  const packs = new Map(); // path to the promise of an image, the oldest first

  function pack(path) {
    let image = packs.get(path);
    if (image) packs.delete(path);
    else {
      const loading = element("img", { src: `${path}?${stamp}` });
      image = loading.decode().then(() => loading, () => {
        packs.delete(path);
        throw new Error(`expected ${path} beside this page, got no image`);
      });
      if (packs.size >= KEPT) packs.delete(packs.keys().next().value);
    }
    packs.set(path, image); // now the youngest
    return image;
  }

  // An element that shows an example; it is drawn as soon as its pack is there.
  function thumbnail(split, position) {
    const { shard, row, look } = split.place(position);
    const rows = look.columns ** 2;
    const path = `data/${split.name}/packs/${shard}-${Math.floor(row / rows)}.webp`;
    const canvas = element("canvas", { width: look.width, height: look.height });
    canvas.classList.toggle("pixels", Math.max(look.width, look.height) <= SMALL);
    const draw = async () => {
      const at = row % rows;
      const [x, y] = [(at % look.columns) * look.across, Math.floor(at / look.columns) * look.down];
      const image = await pack(path);
      canvas.getContext("2d").drawImage(image, x, y, look.width, look.height, 0, 0, look.width, look.height);
      canvas.dataset.drawn = "";
    };
    if (packs.has(path)) attempt(draw());
    else setTimeout(() => canvas.isConnected && attempt(draw()), PATIENCE);
    return canvas;
  }

  // A button that shows an example, says what it is, and opens it.
  function exampleButton(report, split, position, { label, predicted }, more = "") {
    const [is, taken] = [label[position], predicted[position]];
    const wrong = protoscore.isWrong(is, taken);
    const said = `${report.className(is)}${wrong ? `, predicted ${report.className(taken)}` : ""}, example ${split.id(position)}${more}`;
    const button = element("button", { type: "button", className: wrong ? "thumb wrong" : "thumb", title: said }, thumbnail(split, position));
    button.setAttribute("aria-label", said);
    button.dataset.id = split.id(position);
    button.dataset.position = position;
    return button;
  }

  Object.assign(protoscore, { exampleButton, thumbnail });
})();
