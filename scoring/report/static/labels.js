// The labels to look at, the likeliest mistake first, with filters; the chosen ones become a file.
(() => {
  "use strict";

  const { address, count, exampleButton, exampleTile, find, follow, issueLines, makeGrid, makeSelection, navigate, openExample, openReport, openSplit, showExample, wrongShare } = protoscore;
  const RIGHT = "rare but right"; // the kind of label that is to stay, as in verdict.py
  const FILTERS = ["kind", "class", "suggested"];
  const radios = [...document.querySelectorAll("[name=split]")];
  const grid = makeGrid(find("grid"), makeCell);
  const selection = makeSelection(find("selection"), {
    file: "labels.csv",
    head: ["id", "split", "name", "label", "given"],
    row: ({ split, position, label, better }, name) => [split.id(position), split.name, name, report.className(better), report.className(label)],
  });
  let report = null;
  let list = null; // what is shown: split, answers, issues and the rows of those in order
  let pending = null; // the promise of the list that the address asks for
  let shown = ""; // the address of that list, without the open example

  async function show() {
    report ??= await openReport();
    const params = address();
    const names = radios.map((radio) => radio.value);
    const name = names.includes(params.get("split")) ? params.get("split") : names[0];
    const state = { split: name, ...Object.fromEntries(FILTERS.map((filter) => [filter, params.get(filter) ?? ""])) };
    const key = JSON.stringify(state);
    if (key !== shown) {
      shown = key;
      for (const filter of FILTERS) find(filter).value = state[filter];
      for (const radio of radios) radio.checked = radio.value === name;
      pending = makeList(state);
    }
    const made = await pending;
    if (key !== shown) return; // the reader has chosen again
    if (made !== list) {
      list = made;
      find("found").textContent = list.rows.length ? count(list.rows.length, "label") : "No labels match.";
      grid.show(list.rows.length);
      selection.offer(list.rows.length, () => list.rows.map(chosen));
    }
    await showExample(report, name, list.metric, neighbours());
  }

  async function makeList(state) {
    const split = await openSplit(state.split);
    const metric = split.metricOn(split.judged);
    const [issues, answers] = await Promise.all([split.issues(), split.answers(metric)]);
    const wanted = { kind: state.kind, label: state.class, suggested: state.suggested };
    const tests = Object.entries(wanted).filter(([, value]) => value !== "").map(([column, value]) => [issues[column], Number(value)]);
    const rows = [...issues.position.keys()].filter((row) => tests.every(([column, value]) => column[row] === value));
    return { split, metric, answers, issues, rows };
  }

  function chosen(row) {
    const { split, issues } = list;
    const label = issues.label[row];
    const better = report.kinds[issues.kind[row]] === RIGHT ? label : issues.suggested[row];
    return { split, position: issues.position[row], label, better };
  }

  function makeCell(index) {
    const { split, answers, issues, rows } = list;
    const [row, total] = [rows[index], count(rows.length)];
    const suggested = report.className(issues.suggested[row]);
    const wrong = `${wrongShare(issues.wrong[row])} wrong`;
    const more = `, suggested ${suggested}, ${wrong}, ${report.kinds[issues.kind[row]]}, ${count(index + 1)} of ${total}`;
    const tile = exampleTile(exampleButton(report, split, issues.position[row], answers, more), issueLines(report, issues, row));
    tile.append(selection.box(chosen(row), `Select example ${split.id(issues.position[row])}`));
    return tile;
  }

  // The place of the open example in the list, for the Previous and Next buttons of the dialog.
  function neighbours() {
    const id = address().get("example");
    if (id === null) return null;
    const { split, issues, rows } = list;
    const position = split.position(Number(id), split.judged);
    const index = rows.findIndex((row) => issues.position[row] === position);
    const step = (by) => {
      const next = rows[index + by];
      if (index < 0 || next === undefined) return;
      grid.moveTo(index + by, false);
      openExample(split.id(issues.position[next]));
    };
    return { index, total: rows.length, step };
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
