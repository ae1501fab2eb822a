// The dialog with everything known about one example; `example` in the address says which.
(() => {
  "use strict";

  const { address, attempt, certainty, count, element, find, navigate, number, openSplit, thumbnail, words } = protoscore;
  const LOOKED_AT = 0.25; // as in verdict.py
  const dialog = find("example");
  let shown = null; // the example in the dialog
  let everyMetric = false; // show the metrics that do not lead, too
  let step = null; // moves to the next (1) or previous (-1) example of the page

  function openExample(id) {
    navigate({ example: id }, !shown);
  }

  function closeExample() {
    if (history.state?.opened) history.back();
    else navigate({ example: null });
  }

  function hideExample() {
    shown = null;
    if (dialog.open) dialog.close();
  }

  // Shows the example that the address names, if any. `metric` may be "": then any metric that was
  // scored on the current version.
  async function showExample(report, splitName, metric, neighbours = null) {
    const id = address().get("example");
    if (id === null) {
      hideExample();
      return;
    }
    const split = await openSplit(splitName);
    const version = split.metrics[metric]?.version ?? split.current;
    const position = split.position(Number(id), version);
    if (position === null) {
      hideExample();
      throw new Error(`expected an example of the ${splitName} split, got ${id}`);
    }
    const example = { report, split, metric, position, id };
    shown = example;
    step = neighbours?.step ?? null;
    const [row, answers] = await Promise.all([split.row(position), split.answers(metric || split.anyMetric)]);
    if (shown !== example) return; // the reader has opened another one
    dialog.replaceChildren(...drawExample(example, row, answers, neighbours));
    if (!dialog.open) dialog.showModal();
    dialog.focus(); // the focused element may be gone, and keys must reach the dialog
    dialog.scrollTop = 0;
  }

  function drawExample({ report, split, metric, position, id }, row, answers, neighbours) {
    const [label, predicted] = [answers.label[position], answers.predicted[position]];
    const name = row.name && row.name !== id ? ` · ${row.name}` : "";
    return [
      drawBar(neighbours),
      element("div", { className: "picture" }, thumbnail(split, position, true)),
      element(
        "div",
        { className: "identity" },
        element("h2", { id: "example-title", textContent: report.className(label) }),
        drawVerdict(report, label, predicted, certainty(answers, position)),
        ...drawJudgement(report, split, label, row),
        element("p", { className: "id", textContent: `${split.name} example ${id}${name}` }),
        ...drawSets(split, label, row.sets),
      ),
      drawMetrics(report, split, metric, id, row.metrics),
      ...(row.explained ? [drawExplanation(report, id, row.explained)] : []),
    ];
  }

  function drawBar(neighbours) {
    const button = (text, label, act, disabled = false) => {
      const created = element("button", { type: "button", textContent: text, disabled });
      created.setAttribute("aria-label", label);
      created.addEventListener("click", act);
      return created;
    };
    const close = button("✕", "Close", closeExample);
    close.className = "close";
    if (!neighbours) return element("div", { className: "bar" }, close);
    const { index, total } = neighbours;
    return element(
      "div",
      { className: "bar" },
      button("←", "Previous example", () => step(-1), index <= 0),
      button("→", "Next example", () => step(1), index >= total - 1),
      element("span", { textContent: index < 0 ? "not in the list" : `${count(index + 1)} of ${count(total)}` }),
      close,
    );
  }

  function drawVerdict(report, label, predicted, sure) {
    const wrong = protoscore.isWrong(label, predicted);
    const text =
      predicted === protoscore.NONE
        ? "no prediction"
        : label === protoscore.NONE
          ? `predicted ${report.className(predicted)}`
          : wrong
            ? `✗ predicted ${report.className(predicted)}`
            : "✓ predicted correctly";
    const more = sure ? [element("small", { textContent: `by models that did not see it: ${sure}` })] : [];
    return element("p", { className: wrong ? "verdict wrong" : "verdict" }, text, ...more);
  }

  // How probably the label is wrong.
  function drawJudgement(report, split, label, { wrong, suggested }) {
    if (!(wrong >= LOOKED_AT)) return [];
    const what = suggested === label ? "" : `: ${report.className(suggested)} suggested`;
    const params = new URLSearchParams({ split: split.name, class: label });
    const link = element("a", { href: `labels.html#${params}`, textContent: "Labels" });
    return [element("p", { className: "judgement" }, `Label wrong with probability ${protoscore.wrongShare(wrong)}${what} · `, link)];
  }

  function drawSets(split, label, sets) {
    if (!sets.length) return [];
    const links = sets.map(([name, cluster]) => {
      const params = new URLSearchParams({ split: split.name, set: name, class: label });
      const where = cluster >= 0 ? `, cluster ${cluster + 1}` : "";
      return element("a", { href: `sets.html#${params}`, textContent: words(name) + where });
    });
    return [element("p", { className: "chips" }, ...links)];
  }

  // The example's percentile by every metric; look for disagreements.
  function drawMetrics(report, split, current, id, metrics) {
    const units = new Map(report.metrics.map((metric) => [metric.name, metric.unit]));
    const drawRow = (score) => {
      const params = new URLSearchParams({ split: split.name, metric: score.metric, example: id });
      const link = element("a", { href: `examples.html#${params}`, textContent: score.metric, title: "browse examples by this metric" });
      const cells = [
        element("th", { scope: "row" }, link),
        element("td", { className: "track" }, ...drawTrack(score)),
        element("td", { className: "n", textContent: rounded(score.percentile) }),
        element("td", { className: "n", textContent: rounded(score.classPercentile) }),
        element("td", { className: "value" }, ...drawValue(score, units.get(score.metric))),
      ];
      const inFront = folded < 2 || everyMetric || score.metric === current || report.front.includes(score.metric);
      return element("tr", { className: score.metric === current ? "current" : "", hidden: !inFront }, ...cells);
    };
    const folded = metrics.filter(({ metric }) => metric !== current && !report.front.includes(metric)).length;
    const groups = byPurpose(report, metrics).map(([purpose, scores]) => {
      const rows = scores.map(drawRow);
      const name = element("th", { scope: "rowgroup", colSpan: 5, textContent: purpose });
      const title = element("tr", { className: "purpose", hidden: rows.every((row) => row.hidden) }, name);
      return element("tbody", {}, title, ...rows);
    });
    const heads = ["metric", "outlying · prototypical", "percentile", "in class", "value"];
    const head = heads.map((text, i) => element("th", { scope: "col", textContent: text, className: i === 2 || i === 3 ? "n" : "" }));
    const table = element("table", { className: "percentiles" }, element("thead", {}, element("tr", {}, ...head)), ...groups);
    return element("div", { className: "metrics" }, table, ...(folded < 2 || everyMetric ? [] : [drawMore(table, folded)]));
  }

  // The scores of each purpose, in the order of the metrics' list.
  function byPurpose(report, scores) {
    const purposes = new Map(report.metrics.map(({ name, purpose }) => [name, purpose]));
    const groups = new Map(report.purposes.map((purpose) => [purpose, []]));
    for (const score of scores) groups.get(purposes.get(score.metric)).push(score);
    return [...groups].filter(([, group]) => group.length);
  }

  function drawMore(table, folded) {
    const more = element("button", { type: "button", className: "more", textContent: count(folded, "more metric") });
    more.addEventListener("click", () => {
      everyMetric = true;
      for (const row of table.rows) row.hidden = false;
      more.remove();
    });
    return more;
  }

  function drawTrack({ percentile }) {
    if (percentile === null) return [];
    const bar = element("i");
    bar.style.width = `${Math.max(percentile, 1)}%`;
    bar.style.setProperty("--at", `${percentile}%`);
    return [bar];
  }

  // A metric that is ranked by class z shows it: its values do not follow its percentiles.
  function drawValue({ value, spread, classZ, status }, unit) {
    const reason = status ? [element("em", { textContent: words(status) })] : [];
    if (Number.isNaN(value)) return reason;
    const basis = Number.isNaN(classZ) ? "" : `, class z ${number(classZ, 3)}`;
    const suffix = `${spread > 0 ? ` ± ${number(spread, 2)}` : ""} ${unit}${basis}`;
    return [number(value), element("small", { textContent: suffix }), ...reason];
  }

  function rounded(percentile) {
    return percentile === null ? "–" : percentile.toFixed(1);
  }

  // The training examples that a prediction is composed of (representer points).
  function drawExplanation(report, id, { layer, train, outputs }) {
    const section = element("section", { className: "explained" }, element("h3", { textContent: "Explained by training examples" }));
    if (report.explained) {
      section.append(element("a", { className: "maps", href: `${report.explained}#example-${id}`, textContent: "Sensitivity maps" }));
    }
    for (const [output, points] of Object.entries(outputs)) {
      const name = layer ? `unit ${output} of ${layer}` : report.className(Number(output));
      for (const [sign, side] of [[1, "for"], [-1, "against"]]) {
        const ofSign = points.filter((point) => Math.sign(point[2]) === sign);
        const head = element("h4", { className: sign > 0 ? "prototypical" : "outlying", textContent: `${side} ${name}` });
        const strip = element("div", { className: "points" });
        section.append(head, strip);
        attempt(drawPoints(report, strip, train, ofSign));
      }
    }
    return section;
  }

  async function drawPoints(report, strip, version, points) {
    const train = report.splits.includes("train") ? await openSplit("train") : null;
    for (const [id, label, value, alpha, similarity] of points) {
      const position = train?.position(id, version) ?? null;
      const title = `training example ${id}: alpha ${number(alpha, 3)} × similarity ${number(similarity, 3)}`;
      const picture = position === null ? element("span", { className: "no-image", textContent: id }) : thumbnail(train, position);
      const caption = element("figcaption", {}, report.className(label ?? protoscore.NONE), element("small", { textContent: number(value, 3) }));
      const params = new URLSearchParams({ split: "train", metric: train?.anyMetric ?? "", example: id });
      const link = element("a", { href: `examples.html#${params}`, title }, picture);
      link.setAttribute("aria-label", title);
      strip.append(element("figure", {}, position === null ? picture : link, caption));
    }
  }

  dialog.tabIndex = -1;
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    closeExample();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && closeExample());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.preventDefault();
      closeExample();
    }
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!direction || !step) return;
    event.preventDefault();
    step(direction);
  });

  Object.assign(protoscore, { openExample, showExample });
})();
