// Two metrics side by side: every example by its percentiles.
(() => {
  "use strict";

  const { NONE, STEPS, address, choose, count, find, follow, followAddress, isWrong, makeMap, openExample, openReport, openSplit } = protoscore;
  const canvas = find("map");
  const map = makeMap(canvas, ({ split, position }) => openExample(split.id(position)));
  let report = null;
  let asked = "";

  async function show() {
    report ??= await openReport();
    const said = address();
    const name = report.splits.includes(said.get("split")) ? said.get("split") : report.splits.at(-1);
    const split = await openSplit(name);
    const metrics = Object.keys(split.metrics);
    const among = (metric, otherwise) => (metrics.includes(metric) ? metric : otherwise);
    const x = among(said.get("x"), metrics[0]);
    const y = among(said.get("y"), metrics.find((metric) => family(metric) !== family(x)) ?? metrics.at(-1));
    const label = said.get("class") ?? "";
    if (asked !== [name, x, y, label].join(" ")) {
      asked = [name, x, y, label].join(" ");
      writeControls(name, metrics, { x, y, class: label });
      await draw(split, x, y, label);
    }
    await followAddress(report, name, x);
  }

  function writeControls(name, metrics, values) {
    for (const [id, value] of Object.entries(values)) find(id).value = value;
    for (const id of ["x", "y"]) for (const option of find(id).options) option.disabled = !metrics.includes(option.value);
    for (const radio of document.querySelectorAll("[name=split]")) radio.checked = radio.value === name;
  }

  async function draw(split, x, y, label) {
    const wanted = asked;
    const [across, up, answers] = await Promise.all([percentiles(split, x), percentiles(split, y), split.answers(x)]);
    if (asked !== wanted) return;
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
      named: (i) => ({ report, split, position: positions[i], answers }),
    });
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `Percentiles by ${x}, across, and ${y}, up; arrow keys move between examples, Enter opens one`);
    find("map-told").textContent = count(positions.length, "example");
  }

  // What the names of close relatives begin with: adv_l2 and adv_linf say the same.
  function family(metric) {
    return metric.split("_")[0];
  }

  async function percentiles(split, metric) {
    const { order, percentile } = await split.ranking(metric);
    const found = new Map();
    order.forEach((position, i) => percentile[i] !== NONE && found.set(position, percentile[i] / STEPS));
    return found;
  }

  for (const id of ["x", "y", "class"]) find(id).addEventListener("change", ({ target }) => choose({ [id]: target.value }));
  find("split").addEventListener("change", ({ target }) => choose({ split: target.value }));
  document.addEventListener("click", ({ target }) => {
    const cell = target.closest(".matrix tbody td");
    if (!cell) return;
    const table = cell.closest("table");
    const y = cell.parentElement.querySelector("th").textContent;
    const x = table.tHead.rows[0].cells[cell.cellIndex].textContent;
    choose({ split: table.dataset.split, x, y });
    find("plane").scrollIntoView();
  });
  follow(show);
})();
