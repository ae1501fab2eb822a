// The overview: the labels that are most probably wrong, of each split that has any.
(() => {
  "use strict";

  const { attempt, count, element, exampleButton, exampleTile, find, issueLines, openReport, openSplit } = protoscore;
  const SHOWN = document.documentElement.dataset.kind === "text" ? 4 : 10;

  async function show() {
    const report = await openReport();
    for (const name of report.splits) {
      const split = await openSplit(name);
      if (split.judged !== null) await draw(report, split);
    }
  }

  async function draw(report, split) {
    const [issues, answers] = await Promise.all([split.issues(), split.answers(split.metricOn(split.judged))]);
    const rows = [...issues.position.keys()].slice(0, SHOWN);
    if (!rows.length) return;
    const tiles = rows.map((row) => drawTile(report, split, issues, answers, row));
    const all = element("a", { href: `labels.html#split=${split.name}`, textContent: `All ${count(issues.position.length, "label")} to look at` });
    find("suspects").append(element("h3", {}, `${split.name}, the likeliest mistakes`, all), element("div", { className: "line" }, ...tiles));
  }

  function drawTile(report, split, issues, answers, row) {
    const [position, lines] = [issues.position[row], issueLines(report, issues, row)];
    const button = exampleButton(report, split, position, answers);
    button.addEventListener("click", () => {
      location.href = `labels.html#${new URLSearchParams({ split: split.name, example: split.id(position) })}`;
    });
    return exampleTile(button, lines);
  }

  attempt(show());
})();
