// Two metrics side by side: every example at its two percentiles.
(() => {
  "use strict";

  const { NONE, STEPS, address, count, find, follow, isWrong, makeMap, navigate, openExample, openReport, openSplit, showExample } = protoscore;
  const canvas = find("map");
  const map = makeMap(canvas, ({ split, position }) => openExample(split.id(position)));
  let report = null;
  let shown = "";

  async function show() {
    report ??= await openReport();
    const params = address();
    const name = report.splits.includes(params.get("split")) ? params.get("split") : report.splits.at(-1);
    const split = await openSplit(name);
    const metrics = Object.keys(split.metrics);
    const known = (metric, fallback) => (metrics.includes(metric) ? metric : fallback);
    const x = known(params.get("x"), metrics[0]);
    const y = known(params.get("y"), metrics.find((metric) => family(metric) !== family(x)) ?? metrics.at(-1));
    const label = params.get("class") ?? "";
    if (shown !== [name, x, y, label].join(" ")) {
      shown = [name, x, y, label].join(" ");
      writeControls(name, metrics, { x, y, class: label });
      await draw(split, x, y, label);
    }
    await showExample(report, name, x);
  }

  function writeControls(name, metrics, values) {
    for (const [id, value] of Object.entries(values)) find(id).value = value;
    for (const id of ["x", "y"]) for (const option of find(id).options) option.disabled = !metrics.includes(option.value);
    for (const radio of document.querySelectorAll("[name=split]")) radio.checked = radio.value === name;
  }

  async function draw(split, x, y, label) {
    const wanted = shown;
    const [across, up, answers] = await Promise.all([percentiles(split, x), percentiles(split, y), split.answers(x)]);
    if (shown !== wanted) return; // the reader has chosen again
    const positions = [...across.keys()].filter(
      (position) => up.has(position) && (label === "" || answers.label[position] === Number(label)),
    );
    const wrong = positions.map((position) => Number(isWrong(answers.label[position], answers.predicted[position])));
    map.show({
      x: positions.map((position) => across.get(position)),
      y: positions.map((position) => up.get(position)),
      colour: wrong,
      colours: ["--prototypical", "--wrong"],
      ends: [0, 100],
      axes: { x, y },
      example: (i) => ({ report, split, position: positions[i], answers }),
    });
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `Percentiles of ${x} (across) and ${y} (up). Arrow keys move between examples, Enter opens one.`);
    find("map-status").textContent = count(positions.length, "example");
  }

  // Close relatives such as adv_l2 and adv_linf share the first part of their names.
  function family(metric) {
    return metric.split("_")[0];
  }

  async function percentiles(split, metric) {
    const { order, percentile } = await split.ranking(metric);
    const found = new Map();
    order.forEach((position, i) => percentile[i] !== NONE && found.set(position, percentile[i] / STEPS));
    return found;
  }

  for (const id of ["x", "y", "class"]) find(id).addEventListener("change", ({ target }) => navigate({ [id]: target.value }));
  find("split").addEventListener("change", ({ target }) => navigate({ split: target.value }));
  document.addEventListener("click", ({ target }) => {
    const cell = target.closest(".matrix tbody td");
    if (!cell) return;
    const table = cell.closest("table");
    const y = cell.parentElement.querySelector("th").textContent;
    const x = table.tHead.rows[0].cells[cell.cellIndex].textContent;
    navigate({ split: table.dataset.split, x, y });
    find("plane").scrollIntoView();
  });
  follow(show);
})();
