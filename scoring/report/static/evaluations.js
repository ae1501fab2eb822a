// Tables of findings, each filled when the reader opens it.
(() => {
  "use strict";

  const { attempt, count, element, load, number } = protoscore;
  const COLUMNS = ["subject", "part", "measure", "value", "spread", "rows"];
  const NUMBERS = COLUMNS.indexOf("value"); // the first numeric column

  async function fill(details) {
    const frame = details.querySelector(".scroll");
    if (!details.open || frame.children.length) return;
    const findings = await load(`data/evaluations/${details.dataset.evaluation}.js`);
    const head = COLUMNS.map((name, i) => element("th", { scope: "col", textContent: name, className: i < NUMBERS ? "" : "n" }));
    const rows = findings.map((finding) => element("tr", {}, ...finding.map(drawCell)));
    frame.append(element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
  }

  function drawCell(value, i) {
    if (i < NUMBERS) return element("td", { textContent: value });
    const text = value === null ? "–" : i === COLUMNS.length - 1 ? count(value) : number(value);
    return element("td", { className: "n", textContent: text });
  }

  for (const details of document.querySelectorAll("details[data-evaluation]")) {
    details.addEventListener("toggle", () => attempt(fill(details)));
  }
})();
