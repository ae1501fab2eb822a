// The examples page: one metric's ranking of a split, with filters.
(() => {
  "use strict";

  const { NONE, STEPS, address, answerLines, count, defaultMetric, exampleButton, exampleTile, find, follow, isWrong, makeGrid, makeHistogram, makeSelection, navigate, openExample, openReport, openSplit, showExample } = protoscore;
  const NOTHING_FOUND = "No examples match.";
  const controls = Object.fromEntries(["metric", "class", "predicted", "from", "to", "order", "wrong", "find"].map((id) => [id, find(id)]));
  const grid = makeGrid(find("grid"), makeCell);
  const histogram = makeHistogram(find("histogram"), (from, to) => navigate({ bins: from === null ? null : `${from}-${to}` }));
  const selection = makeSelection(find("selection"), {
    file: "examples.csv",
    head: ["id", "split", "name", "given", "predicted"],
    row: ({ split, position, given, predicted }, name) => [split.id(position), split.name, name, ...[given, predicted].map((label) => (label === NONE ? "" : report.className(label)))],
  });
  let report = null;
  let list = null; // the examples shown: split, answers and positions in order
  let pending = null; // the promise of the list that the address asks for
  let shown = ""; // the address of that list, without the open example

  async function show() {
    const state = await readAddress();
    const key = JSON.stringify({ ...state, example: null });
    if (key !== shown) {
      shown = key;
      writeControls(state);
      pending = makeList(state);
    }
    const made = await pending;
    if (key !== shown) return; // the reader has chosen again
    if (made !== list) {
      list = made;
      grid.show(list.positions.length);
      selection.offer(list.positions.length, () => list.positions.map(chosen));
      find("histogram").hidden = !list.values;
      if (list.values) histogram.show(list.values);
      find("found").textContent = list.positions.length ? count(list.positions.length, "example") : NOTHING_FOUND;
    }
    await showExample(report, state.split, state.metric, neighbours(state));
  }

  async function readAddress() {
    report ??= await openReport();
    const params = address();
    const split = report.splits.includes(params.get("split")) ? params.get("split") : report.splits.at(-1);
    const opened = await openSplit(split);
    const metrics = opened.metrics;
    const metric = params.get("metric") in metrics ? params.get("metric") : defaultMetric(report, opened);
    const percentile = (name, fallback) => Math.min(Math.max(parseFloat(params.get(name) ?? fallback) || 0, 0), 100);
    return {
      split,
      metric,
      published: Object.keys(metrics),
      class: params.get("class") ?? "",
      predicted: params.get("predicted") ?? "",
      from: percentile("from", 0),
      to: percentile("to", 100),
      order: params.get("order") ?? "",
      wrong: params.has("wrong"),
      find: params.get("find") ?? "",
      bins: params.get("bins") ?? "",
      example: params.get("example"),
    };
  }

  function writeControls(state) {
    for (const [name, control] of Object.entries(controls)) {
      if (control.type === "checkbox") control.checked = state[name];
      else if (control !== document.activeElement) control.value = state[name];
    }
    for (const option of controls.metric.options) option.disabled = !state.published.includes(option.value);
    for (const radio of document.querySelectorAll("[name=split]")) radio.checked = radio.value === state.split;
    for (const info of document.querySelectorAll("[data-metric]")) info.hidden = info.dataset.metric !== state.metric;
    find("range-of").textContent = state.class === "" ? "Percentile" : "Percentile in class";
  }

  async function makeList(state) {
    const split = await openSplit(state.split);
    const [ranking, answers, isFound] = await Promise.all([split.ranking(state.metric), split.answers(state.metric), finder(split, state)]);
    const [label, guess] = [state.class, state.predicted].map((chosen) => (chosen === "" ? null : Number(chosen)));
    const fits = (position) =>
      (label === null || answers.label[position] === label) &&
      (guess === null || answers.predicted[position] === guess) &&
      (!state.wrong || isWrong(answers.label[position], answers.predicted[position])) &&
      isFound(position);
    const percentiles = label === null ? ranking.percentile : ranking.class_percentile;
    const [low, high] = [state.from * STEPS, state.to * STEPS];
    const values = ranking.bin ? binned(state, ranking) : null;
    const positions = [...ranking.order].filter((position, i) => {
      const inside = percentiles[i] === NONE ? low <= 0 : percentiles[i] >= low && percentiles[i] <= high;
      if (!inside || !fits(position)) return false;
      values.counts[ranking.bin[i]] += 1;
      return ranking.bin[i] >= values.from && ranking.bin[i] < values.to;
    });
    if (state.order === "prototypical") positions.reverse();
    // Examples without a rank have no percentile: they come last, unless a range is chosen.
    if (low <= 0 && high >= 100 * STEPS && !state.bins) positions.push(...[...ranking.unranked].filter(fits));
    return { split, answers, positions, values };
  }

  // The histogram of a ranking's values, still empty, and the range of it that is chosen.
  function binned({ metric, bins }, { edges }) {
    const last = edges.length - 1;
    const [from, to] = bins.split("-").map(Number);
    const sound = Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= last;
    const described = report.metrics.find(({ name }) => name === metric);
    const [rising, unit] = [described.prototypical !== "low", described.ranked_by === "class_z" ? " class z" : ""];
    return { counts: new Array(last).fill(0), edges, rising, unit, from: sound ? from : 0, to: sound ? to : last };
  }

  // A test whether an example matches the search text, by its id or by part of its name.
  async function finder(split, { find: query }) {
    const text = query.trim().toLowerCase();
    if (!text) return () => true;
    const names = await split.names();
    return (position) => String(split.id(position)) === text || (names[position]?.toLowerCase().includes(text) ?? false);
  }

  function makeCell(index) {
    const { split, answers, positions } = list;
    const more = `, ${count(index + 1)} of ${count(positions.length)}`;
    const tile = exampleTile(exampleButton(report, split, positions[index], answers, more), answerLines(report, answers, positions[index]));
    tile.append(selection.box(chosen(positions[index]), `Select example ${split.id(positions[index])}`));
    return tile;
  }

  function chosen(position) {
    const { split, answers } = list;
    return { split, position, given: answers.label[position], predicted: answers.predicted[position] };
  }

  // The place of the open example in the list, for the Previous and Next buttons of the dialog.
  function neighbours({ example, split, metric }) {
    if (example === null) return null;
    const position = list.split.position(Number(example), list.split.metrics[metric].version);
    const index = list.positions.indexOf(position);
    const step = (by) => {
      const next = list.positions[index + by];
      if (index < 0 || next === undefined) return;
      grid.moveTo(index + by, false);
      openExample(list.split.id(next));
    };
    return { index, total: list.positions.length, step };
  }

  find("grid").addEventListener("click", (event) => {
    const cell = event.target.closest(".thumb");
    if (!cell) return;
    grid.moveTo(Number(cell.closest("[data-index]").dataset.index));
    openExample(cell.dataset.id);
  });
  find("choices").addEventListener("submit", (event) => event.preventDefault());
  find("choices").addEventListener("input", ({ target }) => {
    const value = target.type === "checkbox" ? (target.checked ? "1" : "") : target.value;
    const name = target.name || target.id;
    navigate({ [name]: value, ...(name === "metric" || name === "split" ? { bins: null } : {}) });
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox], [type=radio]), select, dialog");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      controls.find.focus();
    } else if (event.key === "Escape" && event.target === controls.find) {
      navigate({ find: null });
      controls.find.value = "";
      controls.find.blur();
    }
  });
  follow(show);
})();
