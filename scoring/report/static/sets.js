// A set's examples of a class: on a map, and cluster by cluster.
(() => {
  "use strict";

  const { address, choose, count, element, exampleButton, find, follow, followAddress, makeMap, openExample, openReport, openSplit, words } = protoscore;
  const COLOURS = 10; // --cluster-1 and so on
  const SHOWN = 30; // examples of a cluster
  const [NOISE, NOT_CLUSTERED] = [-1, -2]; // as in sets.py
  const canvas = find("map");
  const map = makeMap(canvas, ({ split, position }) => openExample(split.id(position)));
  const radios = [...document.querySelectorAll("[name=split]")];
  let report = null;
  let asked = "";

  async function show() {
    report ??= await openReport();
    const said = address();
    const names = radios.map((radio) => radio.value);
    const name = names.includes(said.get("split")) ? said.get("split") : names.at(-1);
    const split = await openSplit(name);
    const sets = await split.sets();
    const known = sets.has(said.get("set"));
    const most = largest(known ? new Map([[said.get("set"), sets.get(said.get("set"))]]) : sets);
    const set = known ? said.get("set") : most.set;
    const label = Number(said.get("class") ?? most.label);
    if (asked !== [name, set, label].join(" ")) {
      asked = [name, set, label].join(" ");
      writeControls(name, [...sets.keys()], set, label);
      await draw(split, sets.get(set), set, label);
      if (said.has("set") && !said.has("example")) find("maps").scrollIntoView();
    }
    await followAddress(report, name, "");
  }

  // The set and class with the most examples on a map, and of those without, the most examples.
  function largest(sets) {
    let most = { set: sets.keys().next().value, label: 0, size: -1 };
    for (const [set, { label, x }] of sets) {
      const sizes = new Map();
      label.forEach((of, i) => sizes.set(of, (sizes.get(of) ?? 0) + (Number.isNaN(x[i]) ? 1e-6 : 1)));
      for (const [of, size] of sizes) if (size > most.size) most = { set, label: of, size };
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
    const wanted = asked;
    const answers = await split.answers(split.anyMetric);
    if (asked !== wanted) return;
    const members = [...columns.position.keys()].filter((i) => columns.label[i] === label);
    const mapped = members.filter((i) => !Number.isNaN(columns.x[i]));
    const ofEach = (column) => mapped.map((i) => columns[column][i]);
    canvas.parentElement.hidden = !mapped.length;
    map.show({
      x: ofEach("x"),
      y: ofEach("y"),
      colour: ofEach("cluster").map((cluster) => (cluster < 0 ? 0 : 1 + (cluster % COLOURS))),
      colours: ["--muted", ...Array.from({ length: COLOURS }, (_, i) => `--cluster-${i + 1}`)],
      named: (i) => ({ report, split, position: columns.position[mapped[i]], answers }),
    });
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `Map of ${words(set)} of class ${report.className(label)}; arrow keys move between examples, Enter opens one`);
    const rest = members.length - mapped.length;
    find("map-told").textContent = `${words(set)} of class ${report.className(label)}: ${count(members.length, "example")}${rest ? `, ${count(rest)} of them not on the map` : ""}`;
    drawClusters(split, columns, members, answers);
  }

  function drawClusters(split, columns, members, answers) {
    const found = new Map();
    for (const i of members) {
      const cluster = columns.cluster[i];
      if (!found.has(cluster)) found.set(cluster, []);
      found.get(cluster).push(columns.position[i]);
    }
    // Clusters in their order, then those that are in none.
    const clusters = [...found].sort(([one], [other]) => (one < 0) - (other < 0) || (one < 0 ? other - one : one - other));
    find("clusters").replaceChildren(...clusters.map(([cluster, positions]) => drawCluster(split, cluster, positions, answers)));
  }

  function drawCluster(split, cluster, positions, answers) {
    const title = cluster === NOT_CLUSTERED ? "Not on the map" : cluster === NOISE ? "In no cluster" : `Cluster ${cluster + 1}`;
    const dot = element("span", { className: "dot" });
    dot.style.background = `var(${cluster < 0 ? "--muted" : `--cluster-${1 + (cluster % COLOURS)}`})`;
    const strip = element("div", { className: "of-cluster" });
    const add = (some) => strip.append(...some.map((position) => exampleButton(report, split, position, answers)));
    add(positions.slice(0, SHOWN));
    const section = element("section", { className: "cluster" }, element("h3", {}, dot, title, element("small", { textContent: count(positions.length) })), strip);
    if (positions.length > SHOWN) {
      const more = element("button", { type: "button", className: "more", textContent: `Show all ${count(positions.length)}` });
      more.addEventListener("click", () => {
        more.remove();
        add(positions.slice(SHOWN));
      });
      section.append(more);
    }
    return section;
  }

  find("set").addEventListener("change", ({ target }) => choose({ set: target.value }));
  find("class").addEventListener("change", ({ target }) => choose({ class: target.value }));
  find("split").addEventListener("change", ({ target }) => choose({ split: target.value }));
  find("clusters").addEventListener("click", ({ target }) => {
    const thumb = target.closest(".thumb");
    if (thumb) openExample(thumb.dataset.id);
  });
  follow(show);
})();
