// The overview: both ends of every class, ranked by the chosen metric.
(() => {
  "use strict";

  const { NONE, address, answerLines, attempt, count, defaultMetric, element, exampleButton, exampleTile, find, follow, navigate, openExample, openReport, openSplit, showExample } = protoscore;
  const CLASSES_AT_ONCE = 20;
  // Columns and examples at each end; texts need more room than images.
  const [COLUMNS, EXAMPLES] = document.documentElement.dataset.kind === "text" ? [2, 4] : [10, 20];
  const grid = find("grid");
  const more = find("more");
  let report = null;
  let shown = "";
  let everyClass = false;

  async function show() {
    report ??= await openReport();
    const params = address();
    const name = report.splits.includes(params.get("split")) ? params.get("split") : report.splits.at(-1);
    const split = await openSplit(name);
    const metric = params.get("metric") in split.metrics ? params.get("metric") : defaultMetric(report, split);
    if (shown !== `${name} ${metric}`) {
      shown = `${name} ${metric}`;
      writeControls(name, metric, split);
      await draw(split, metric);
    }
    await showExample(report, name, metric);
  }

  function writeControls(name, metric, split) {
    find("metric").value = metric;
    for (const option of find("metric").options) option.disabled = !(option.value in split.metrics);
    for (const radio of document.querySelectorAll("[name=split]")) radio.checked = radio.value === name;
    for (const info of document.querySelectorAll("[data-metric]")) info.hidden = info.dataset.metric !== metric;
  }

  async function draw(split, metric) {
    const [ranking, answers] = await Promise.all([split.ranking(metric), split.answers(metric)]);
    if (shown !== `${split.name} ${metric}`) return; // the reader has chosen again
    const classes = byClass(ranking.order, answers.label);
    const visible = everyClass ? classes : classes.slice(0, CLASSES_AT_ONCE);
    const tile = (position) => exampleTile(exampleButton(report, split, position, answers), answerLines(report, answers, position));
    grid.replaceChildren(...visible.map(([label, members]) => drawRow(split, metric, label, members, tile)));
    const first = grid.querySelector(".thumb");
    for (const button of grid.querySelectorAll(".thumb")) button.tabIndex = button === first ? 0 : -1;
    more.hidden = visible.length === classes.length;
    more.textContent = `Show all ${count(classes.length)} classes`;
    more.onclick = () => {
      everyClass = true;
      attempt(draw(split, metric));
    };
  }

  // The positions of each class by rank; examples without a label come last.
  function byClass(order, label) {
    const found = new Map();
    for (const position of order) {
      if (!found.has(label[position])) found.set(label[position], []);
      found.get(label[position]).push(position);
    }
    return [...found].sort(([one], [other]) => one - other);
  }

  function drawRow(split, metric, label, members, tile) {
    const half = Math.ceil(members.length / 2);
    const low = members.slice(0, Math.min(EXAMPLES, half));
    const high = members.slice(Math.max(half, members.length - EXAMPLES));
    const ofClass = new URLSearchParams({ split: split.name, metric, class: label });
    const name = label === NONE ? report.className(label) : element("a", { href: `examples.html#${ofClass}`, textContent: report.className(label) });
    const size = element("small", { textContent: `${count(members.length)} ranked` });
    const strip = (positions, end, column) => {
      const tiles = positions.map(tile);
      if (tiles.length) tiles[0].style.gridColumnStart = column;
      return element("div", { className: `strip ${end}` }, ...tiles);
    };
    return element(
      "div",
      { className: "row" },
      element("h3", {}, name, size),
      strip(low, "low", 1),
      // Start with the incomplete line, so that the last example closes the strip.
      strip(high, "high", COLUMNS + 1 - (high.length % COLUMNS || COLUMNS)),
    );
  }

  // The grid is a single tab stop; arrow keys move within it.
  function moveFocus(event) {
    const thumb = event.target.closest(".thumb");
    if (!thumb) return;
    const rows = [...grid.querySelectorAll(".row")].map((row) => [...row.querySelectorAll(".thumb")]);
    const y = rows.findIndex((row) => row.includes(thumb));
    const x = rows[y].indexOf(thumb);
    const nearest = (row) => row && row[Math.min(x, row.length - 1)];
    const next = {
      ArrowRight: rows[y][x + 1],
      ArrowLeft: rows[y][x - 1],
      ArrowDown: nearest(rows[y + 1]),
      ArrowUp: nearest(rows[y - 1]),
      Home: rows[y][0],
      End: rows[y].at(-1),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    thumb.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  function toggleGroup(button) {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", !open);
    find(button.getAttribute("aria-controls")).hidden = open;
  }

  find("metric").addEventListener("change", ({ target }) => navigate({ metric: target.value }));
  find("split").addEventListener("change", ({ target }) => navigate({ split: target.value }));
  grid.addEventListener("click", (event) => {
    const thumb = event.target.closest(".thumb");
    if (thumb) openExample(thumb.dataset.id);
  });
  grid.addEventListener("keydown", moveFocus);
  for (const button of document.querySelectorAll(".runs button")) {
    button.addEventListener("click", () => toggleGroup(button));
  }
  follow(show);
})();
