// The dialog with all that is known of an example. `example` in the address says which is open.
(() => {
  "use strict";

  const { address, attempt, choose, count, element, find, number, openSplit, thumbnail, words } = protoscore;
  const dialog = find("example");
  let shown = null; // what the dialog is about
  let step = null; // goes to the next or, with -1, the previous one of the page's examples

  function openExample(id) {
    choose({ example: id }, !shown);
  }

  function closeExample() {
    if (history.state?.opened) history.back();
    else choose({ example: null });
  }

  function hideExample() {
    shown = null;
    if (dialog.open) dialog.close();
  }

  // Show what the address asks for, or nothing. `metric` may be "": any of the current version.
  async function followAddress(report, splitName, metric, neighbours = null) {
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
    const about = { report, split, metric, position, id };
    shown = about;
    step = neighbours?.step ?? null;
    const [row, answers] = await Promise.all([split.row(position), split.answers(metric || split.anyMetric)]);
    if (shown !== about) return; // another one was opened meanwhile
    dialog.replaceChildren(...drawExample(about, row, answers, neighbours));
    if (!dialog.open) dialog.showModal();
    dialog.focus(); // what had it may be gone; keys must reach the dialog
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
        { className: "told" },
        element("h2", { id: "example-title", textContent: report.className(label) }),
        drawVerdict(report, label, predicted),
        element("p", { className: "id", textContent: `${split.name} example ${id}${name}` }),
        ...drawSets(split, label, row.sets),
      ),
      drawMetrics(report, split, metric, id, row.metrics),
      ...(row.explained ? [drawExplanation(report, row.explained)] : []),
    ];
  }

  function drawBar(neighbours) {
    const button = (text, label, act, disabled = false) => {
      const made = element("button", { type: "button", textContent: text, disabled });
      made.setAttribute("aria-label", label);
      made.addEventListener("click", act);
      return made;
    };
    const close = button("✕", "Close", closeExample);
    close.className = "close";
    if (!neighbours) return element("div", { className: "bar" }, close);
    const { place, of } = neighbours;
    return element(
      "div",
      { className: "bar" },
      button("←", "Previous example", () => step(-1), place <= 0),
      button("→", "Next example", () => step(1), place >= of - 1),
      element("span", { textContent: place < 0 ? "not in the list" : `${count(place + 1)} of ${count(of)}` }),
      close,
    );
  }

  function drawVerdict(report, label, predicted) {
    const wrong = protoscore.isWrong(label, predicted);
    const text =
      predicted === protoscore.NONE
        ? "no prediction"
        : label === protoscore.NONE
          ? `predicted ${report.className(predicted)}`
          : wrong
            ? `✗ predicted ${report.className(predicted)}`
            : "✓ predicted right";
    return element("p", { className: wrong ? "verdict wrong" : "verdict", textContent: text });
  }

  function drawSets(split, label, sets) {
    if (!sets.length) return [];
    const links = sets.map(([name, cluster]) => {
      const asked = new URLSearchParams({ split: split.name, set: name, class: label });
      const where = cluster >= 0 ? `, cluster ${cluster + 1}` : "";
      return element("a", { href: `sets.html#${asked}`, textContent: words(name) + where });
    });
    return [element("p", { className: "chips" }, ...links)];
  }

  // Where the example stands by every metric: their disagreements are what there is to see.
  function drawMetrics(report, split, current, id, metrics) {
    const units = new Map(report.metrics.map((metric) => [metric.name, metric.unit]));
    const rows = metrics.map((of) => {
      const asked = new URLSearchParams({ split: split.name, metric: of.metric, example: id });
      const link = element("a", { href: `examples.html#${asked}`, textContent: of.metric, title: "in the order of this metric" });
      const cells = [
        element("th", { scope: "row" }, link),
        element("td", { className: "track" }, ...drawTrack(of)),
        element("td", { className: "n", textContent: share(of.percentile) }),
        element("td", { className: "n", textContent: share(of.classPercentile) }),
        element("td", { className: "value" }, ...drawValue(of, units.get(of.metric))),
      ];
      return element("tr", { className: of.metric === current ? "current" : "" }, ...cells);
    });
    const heads = ["metric", "outlying · prototypical", "percentile", "in class", "value"];
    const head = heads.map((text, i) => element("th", { scope: "col", textContent: text, className: i === 2 || i === 3 ? "n" : "" }));
    return element(
      "table",
      { className: "percentiles" },
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows),
    );
  }

  function drawTrack({ percentile }) {
    if (percentile === null) return [];
    const bar = element("i");
    bar.style.width = `${Math.max(percentile, 1)}%`;
    bar.style.setProperty("--at", `${percentile}%`);
    return [bar];
  }

  function drawValue({ value, spread, status }, unit) {
    const reason = status ? [element("em", { textContent: words(status) })] : [];
    if (Number.isNaN(value)) return reason;
    const about = `${spread > 0 ? ` ± ${number(spread, 2)}` : ""} ${unit}`;
    return [number(value), element("small", { textContent: about }), ...reason];
  }

  function share(percentile) {
    return percentile === null ? "–" : percentile.toFixed(1);
  }

  // The training examples that a prediction is made up of (representer points).
  function drawExplanation(report, { layer, train, outputs }) {
    const section = element("section", { className: "explained" }, element("h3", { textContent: "Explained by training examples" }));
    for (const [output, points] of Object.entries(outputs)) {
      const name = layer ? `unit ${output} of ${layer}` : report.className(Number(output));
      for (const [sign, says] of [[1, "for"], [-1, "against"]]) {
        const some = points.filter((point) => Math.sign(point[2]) === sign);
        const head = element("h4", { className: sign > 0 ? "prototypical" : "outlying", textContent: `${says} ${name}` });
        const strip = element("div", { className: "points" });
        section.append(head, strip);
        attempt(drawPoints(report, strip, train, some));
      }
    }
    return section;
  }

  async function drawPoints(report, strip, version, points) {
    const train = report.splits.includes("train") ? await openSplit("train") : null;
    for (const [id, label, value, alpha, similarity] of points) {
      const position = train?.position(id, version) ?? null;
      const title = `train example ${id}: alpha ${number(alpha, 3)} x similarity ${number(similarity, 3)}`;
      const picture = position === null ? element("span", { className: "no-image", textContent: id }) : thumbnail(train, position);
      const about = element("figcaption", {}, report.className(label ?? protoscore.NONE), element("small", { textContent: number(value, 3) }));
      const asked = new URLSearchParams({ split: "train", metric: train?.anyMetric ?? "", example: id });
      const link = element("a", { href: `examples.html#${asked}`, title }, picture);
      link.setAttribute("aria-label", title);
      strip.append(element("figure", {}, position === null ? picture : link, about));
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
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !step) return;
    event.preventDefault();
    step(by);
  });

  Object.assign(protoscore, { followAddress, openExample });
})();
