// The examples of one set and class: on a map, and cluster by cluster.
(() => {
  "use strict";

  const { address, answerLines, count, element, exampleButton, exampleTile, find, follow, makeMap, navigate, openExample, openReport, openSplit, showExample, words } = protoscore;
  const COLOURS = 10; // --cluster-1 and so on
  const FIRST = 30; // examples of a cluster shown at first
  const [NOISE, NOT_CLUSTERED] = [-1, -2]; // in `cluster`, as in set_maps.py
  const canvas = find("map");
  const map = makeMap(canvas, ({ split, position }) => openExample(split.id(position)));
  const radios = [...document.querySelectorAll("[name=split]")];
  let report = null;
  let shown = "";

  async function show() {
    report ??= await openReport();
    const params = address();
    const names = radios.map((radio) => radio.value);
    const name = names.includes(params.get("split")) ? params.get("split") : names.at(-1);
    const split = await openSplit(name);
    const sets = await split.sets();
    const known = sets.has(params.get("set"));
    const most = largest(known ? new Map([[params.get("set"), sets.get(params.get("set"))]]) : sets);
    const set = known ? params.get("set") : most.set;
    const label = Number(params.get("class") ?? most.label);
    if (shown !== [name, set, label].join(" ")) {
      shown = [name, set, label].join(" ");
      writeControls(name, [...sets.keys()], set, label);
      await draw(split, sets.get(set), set, label);
      if (params.has("set") && !params.has("example")) find("maps").scrollIntoView();
    }
    await showExample(report, name, "");
  }

  // The set and class with the most examples on a map; without maps, with the most examples.
  function largest(sets) {
    let most = { set: sets.keys().next().value, label: 0, size: -1 };
    for (const [set, { label, x }] of sets) {
      const sizes = new Map();
      label.forEach((value, i) => sizes.set(value, (sizes.get(value) ?? 0) + (Number.isNaN(x[i]) ? 1e-6 : 1)));
      for (const [value, size] of sizes) if (size > most.size) most = { set, label: value, size };
    }
    return most;
  }

  function writeControls(name, sets, set, label) {
    find("set").replaceChildren(...sets.map((value) => element("option", { value, textContent: words(value) })));
    find("set").value = set;
    find("class").value = label;
    for (const radio of radios) radio.checked = radio.value === name;
  }

  async function draw(split, columns, set, label) {
    const wanted = shown;
    const answers = await split.answers(split.anyMetric);
    if (shown !== wanted) return; // the reader has chosen again
    const members = [...columns.position.keys()].filter((i) => columns.label[i] === label);
    const mapped = members.filter((i) => !Number.isNaN(columns.x[i]));
    const column = (name) => mapped.map((i) => columns[name][i]);
    canvas.parentElement.hidden = !mapped.length;
    map.show({
      x: column("x"),
      y: column("y"),
      colour: column("cluster").map((cluster) => (cluster < 0 ? 0 : 1 + (cluster % COLOURS))),
      colours: ["--muted", ...Array.from({ length: COLOURS }, (_, i) => `--cluster-${i + 1}`)],
      example: (i) => ({ report, split, position: columns.position[mapped[i]], answers }),
    });
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `Map of ${words(set)} in class ${report.className(label)}. Arrow keys move between examples, Enter opens one.`);
    const rest = members.length - mapped.length;
    find("map-status").textContent = `${words(set)}, class ${report.className(label)}: ${count(members.length, "example")}${rest ? ` (${count(rest)} not on the map)` : ""}`;
    drawClusters(split, columns, members, answers);
  }

  function drawClusters(split, columns, members, answers) {
    const found = new Map();
    for (const i of members) {
      const cluster = columns.cluster[i];
      if (!found.has(cluster)) found.set(cluster, []);
      found.get(cluster).push(columns.position[i]);
    }
    // Clusters in order, then the examples outside every cluster.
    const clusters = [...found].sort(([one], [other]) => (one < 0) - (other < 0) || (one < 0 ? other - one : one - other));
    find("clusters").replaceChildren(...clusters.map(([cluster, positions]) => drawCluster(split, cluster, positions, answers)));
  }

  function drawCluster(split, cluster, positions, answers) {
    const title = cluster === NOT_CLUSTERED ? "Not on the map" : cluster === NOISE ? "Outside every cluster" : `Cluster ${cluster + 1}`;
    const dot = element("span", { className: "dot" });
    dot.style.background = `var(${cluster < 0 ? "--muted" : `--cluster-${1 + (cluster % COLOURS)}`})`;
    const strip = element("div", { className: "of-cluster" });
    const add = (batch) => strip.append(...batch.map((position) => exampleTile(exampleButton(report, split, position, answers), answerLines(report, answers, position))));
    add(positions.slice(0, FIRST));
    const section = element("section", { className: "cluster" }, element("h3", {}, dot, title, element("small", { textContent: count(positions.length) })), strip);
    if (positions.length > FIRST) {
      const more = element("button", { type: "button", className: "more", textContent: `Show all ${count(positions.length)}` });
      more.addEventListener("click", () => {
        more.remove();
        add(positions.slice(FIRST));
      });
      section.append(more);
    }
    return section;
  }

  find("set").addEventListener("change", ({ target }) => navigate({ set: target.value }));
  find("class").addEventListener("change", ({ target }) => navigate({ class: target.value }));
  find("split").addEventListener("change", ({ target }) => navigate({ split: target.value }));
  find("clusters").addEventListener("click", ({ target }) => {
    const thumb = target.closest(".thumb");
    if (thumb) openExample(thumb.dataset.id);
  });
  follow(show);
})();
