// The examples that one metric ranks otherwise than in the night before, or that have a new label.
(() => {
  "use strict";

  const { STEPS, address, answerLines, count, element, exampleButton, exampleTile, find, follow, makeGrid, navigate, openExample, openReport, openSplit, showExample } = protoscore;
  const radios = [...document.querySelectorAll("[name=split]")];
  const kinds = [...find("kind").options].map((option) => option.value);
  const grid = makeGrid(find("grid"), makeCell);
  let report = null;
  let list = null; // what is shown: split, metric, kind, answers, and columns by example
  let pending = null; // the promise of the list that the address asks for
  let shown = ""; // the address of that list, without the open example

  async function show() {
    report ??= await openReport();
    const params = address();
    const names = radios.map((radio) => radio.value);
    const name = names.includes(params.get("split")) ? params.get("split") : names.at(-1);
    const split = await openSplit(name);
    const metric = [params.get("metric"), report.best].find((known) => split.changed.includes(known)) ?? split.changed[0];
    const kind = kinds.includes(params.get("kind")) ? params.get("kind") : kinds[0];
    const key = [name, metric, kind].join(" ");
    if (key !== shown) {
      shown = key;
      writeControls(split, metric, kind);
      pending = makeList(split, metric, kind);
    }
    const made = await pending;
    if (key !== shown) return; // the reader has chosen again
    if (made !== list) {
      list = made;
      find("found").textContent = list.position.length ? count(list.position.length, "example") : "No example changed in this way.";
      grid.show(list.position.length);
      if (params.has("kind") && !params.has("example")) find("list").scrollIntoView();
    }
    await showExample(report, name, metric, neighbours());
  }

  function writeControls(split, metric, kind) {
    find("metric").value = metric;
    find("kind").value = kind;
    for (const option of find("metric").options) option.disabled = !split.changed.includes(option.value);
    for (const radio of radios) radio.checked = radio.value === split.name;
  }

  async function makeList(split, metric, kind) {
    const [changes, answers] = await Promise.all([split.changes(metric), split.answers(metric)]);
    const [position, before, after] = ["position", "before", "after"].map((column) => changes[`${kind}_${column}`]);
    return { split, metric, kind, answers, position, before, after };
  }

  function makeCell(index) {
    const { split, kind, answers, position } = list;
    const [before, after] = [list.before[index], list.after[index]].map((value) => (kind === "relabelled" ? report.className(value) : (value / STEPS).toFixed(1)));
    const change = element("span", { className: "words" }, before, element("span", { className: "arrow", textContent: " → " }), element("strong", { textContent: after }));
    const more = `, ${before} → ${after}, ${count(index + 1)} of ${count(position.length)}`;
    return exampleTile(exampleButton(report, split, position[index], answers, more), [...answerLines(report, answers, position[index]), [change]]);
  }

  // The place of the open example in the list, for the Previous and Next buttons of the dialog.
  function neighbours() {
    const id = address().get("example");
    if (id === null) return null;
    const { split, metric, position } = list;
    const index = position.indexOf(split.position(Number(id), split.metrics[metric].version));
    const step = (by) => {
      const next = position[index + by];
      if (index < 0 || next === undefined) return;
      grid.moveTo(index + by, false);
      openExample(split.id(next));
    };
    return { index, total: position.length, step };
  }

  find("grid").addEventListener("click", (event) => {
    const thumb = event.target.closest(".thumb");
    if (!thumb) return;
    grid.moveTo(Number(thumb.closest("[data-index]").dataset.index));
    openExample(thumb.dataset.id);
  });
  find("choices").addEventListener("submit", (event) => event.preventDefault());
  find("choices").addEventListener("input", ({ target }) => navigate({ [target.name || target.id]: target.value }));
  follow(show);
})();
