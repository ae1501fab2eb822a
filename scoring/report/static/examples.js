// The browser of examples: one metric's ranking of a split, narrowed down.
(() => {
  "use strict";

  const { NONE, STEPS, address, choose, count, exampleButton, find, follow, followAddress, isWrong, makeGrid, openExample, openReport, openSplit } = protoscore;
  const NOTHING_FOUND = "No example fits.";
  const controls = Object.fromEntries(["metric", "class", "from", "to", "order", "wrong", "find"].map((id) => [id, find(id)]));
  const grid = makeGrid(find("grid"), makeCell);
  let report = null;
  let list = null; // what is shown: split, answers and the positions, in order
  let making = null; // the promise of what will be
  let asked = ""; // by which address, the open example aside

  async function show() {
    const state = await readAddress();
    const key = JSON.stringify({ ...state, example: null });
    if (key !== asked) {
      asked = key;
      writeControls(state);
      making = makeList(state);
    }
    const made = await making;
    if (key !== asked) return; // another one was chosen meanwhile
    if (made !== list) {
      list = made;
      grid.show(list.positions.length);
      find("found").textContent = list.positions.length ? count(list.positions.length, "example") : NOTHING_FOUND;
    }
    await followAddress(report, state.split, state.metric, neighbours(state));
  }

  async function readAddress() {
    report ??= await openReport();
    const said = address();
    const split = report.splits.includes(said.get("split")) ? said.get("split") : report.splits.at(-1);
    const known = (await openSplit(split)).metrics;
    const metric = said.get("metric") in known ? said.get("metric") : Object.keys(known)[0];
    const share = (name, otherwise) => Math.min(Math.max(parseFloat(said.get(name) ?? otherwise) || 0, 0), 100);
    return {
      split,
      metric,
      published: Object.keys(known),
      class: said.get("class") ?? "",
      from: share("from", 0),
      to: share("to", 100),
      order: said.get("order") ?? "",
      wrong: said.has("wrong"),
      find: said.get("find") ?? "",
      example: said.get("example"),
    };
  }

  function writeControls(state) {
    for (const [name, control] of Object.entries(controls)) {
      if (control.type === "checkbox") control.checked = state[name];
      else if (control !== document.activeElement) control.value = state[name];
    }
    for (const option of controls.metric.options) option.disabled = !state.published.includes(option.value);
    for (const radio of document.querySelectorAll("[name=split]")) radio.checked = radio.value === state.split;
    for (const about of document.querySelectorAll("[data-about]")) about.hidden = about.dataset.about !== state.metric;
    find("range-of").textContent = state.class === "" ? "Percentile" : "Percentile in class";
  }

  async function makeList(state) {
    const split = await openSplit(state.split);
    const [ranking, answers, isMeant] = await Promise.all([split.ranking(state.metric), split.answers(state.metric), finder(split, state)]);
    const label = state.class === "" ? null : Number(state.class);
    const fits = (position) =>
      (label === null || answers.label[position] === label) &&
      (!state.wrong || isWrong(answers.label[position], answers.predicted[position])) &&
      isMeant(position);
    const shares = label === null ? ranking.percentile : ranking.class_percentile;
    const [low, high] = [state.from * STEPS, state.to * STEPS];
    const positions = [...ranking.order].filter((position, i) => {
      const inside = shares[i] === NONE ? low <= 0 : shares[i] >= low && shares[i] <= high;
      return inside && fits(position);
    });
    if (state.order === "prototypical") positions.reverse();
    // Those without a rank have no percentile: they come last, where no range is asked for.
    if (low <= 0 && high >= 100 * STEPS) positions.push(...[...ranking.unranked].filter(fits));
    return { split, answers, positions };
  }

  // Whether an example is meant by what is typed: its id, or a part of its name.
  async function finder(split, { find: typed }) {
    const text = typed.trim().toLowerCase();
    if (!text) return () => true;
    const names = await split.names();
    return (position) => String(split.id(position)) === text || (names[position]?.toLowerCase().includes(text) ?? false);
  }

  function makeCell(index) {
    const { split, answers, positions } = list;
    return exampleButton(report, split, positions[index], answers, `, ${count(index + 1)} of ${count(positions.length)}`);
  }

  // What the dialog of an example needs to go on to the next.
  function neighbours({ example, split, metric }) {
    if (example === null) return null;
    const position = list.split.position(Number(example), list.split.metrics[metric].version);
    const place = list.positions.indexOf(position);
    const step = (by) => {
      const next = list.positions[place + by];
      if (place < 0 || next === undefined) return;
      grid.moveTo(place + by, false);
      openExample(list.split.id(next));
    };
    return { place, of: list.positions.length, step };
  }

  find("grid").addEventListener("click", (event) => {
    const cell = event.target.closest(".thumb");
    if (!cell) return;
    grid.moveTo(Number(cell.dataset.index));
    openExample(cell.dataset.id);
  });
  find("choices").addEventListener("submit", (event) => event.preventDefault());
  find("choices").addEventListener("input", ({ target }) => {
    const value = target.type === "checkbox" ? (target.checked ? "1" : "") : target.value;
    choose({ [target.name || target.id]: value });
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox], [type=radio]), select, dialog");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      controls.find.focus();
    } else if (event.key === "Escape" && event.target === controls.find) {
      choose({ find: null });
      controls.find.value = "";
      controls.find.blur();
    }
  });
  follow(show);
})();
