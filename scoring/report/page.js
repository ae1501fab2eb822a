// Draws the grid of the chosen metric and split, and the card of the example under the pointer.
(() => {
  "use strict";

  const CLASSES_AT_ONCE = 20;
  const COLUMNS = 10; // of each end
  const SMALL_IMAGE = 48; // px: up to here pixels are shown as squares
  const data = JSON.parse(document.getElementById("data").textContent);
  const metrics = new Map(data.metrics.map((metric) => [metric.name, metric]));
  const splits = Object.keys(data.splits);
  const grid = document.getElementById("grid");
  const card = document.getElementById("card");
  const filter = document.getElementById("filter");
  const tabs = document.querySelector(".tabs");
  const more = document.getElementById("more");
  const shown = new WeakMap(); // thumbnail to its row, class and example
  let open = null; // the thumbnail whose card is shown

  const state = { metric: "", split: "", filter: "", limit: CLASSES_AT_ONCE };

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function className(label) {
    return label === undefined ? "unknown" : label < 0 ? "no label" : (data.classes[label] ?? String(label));
  }

  function picture(row) {
    if (row.image === null) return "";
    const src = `data:${data.media_type};base64,${data.images[row.image]}`;
    return element("img", { src, alt: "", decoding: "async", draggable: false });
  }

  function number(value) {
    return value.toLocaleString("en", { maximumSignificantDigits: 4 });
  }

  function percentile(value) {
    return value === null || value === undefined ? "–" : value.toFixed(1);
  }

  function isWrong(row, label) {
    return label >= 0 && row.predicted !== undefined && row.predicted !== label;
  }

  // What the address says: #metric=agr&split=train&class=cat

  function readAddress() {
    const asked = new URLSearchParams(location.hash.slice(1));
    state.metric = metrics.has(asked.get("metric")) ? asked.get("metric") : data.metrics[0].name;
    state.split = splits.includes(asked.get("split")) ? asked.get("split") : splits.at(-1);
    state.filter = asked.get("class") ?? "";
  }

  function writeAddress() {
    const said = new URLSearchParams({ metric: state.metric, split: state.split });
    if (state.filter) said.set("class", state.filter);
    history.replaceState(null, "", `#${said}`);
  }

  function choose(changes) {
    Object.assign(state, { limit: CLASSES_AT_ONCE }, changes);
    writeAddress();
    draw();
  }

  // The grid

  function draw() {
    hideCard();
    for (const tab of tabs.children) {
      const selected = tab.dataset.metric === state.metric;
      tab.setAttribute("aria-selected", selected);
      tab.tabIndex = selected ? 0 : -1;
      if (!selected) continue;
      grid.setAttribute("aria-labelledby", tab.id);
      tabs.scrollLeft = tab.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;
    }
    for (const about of document.querySelectorAll("[data-about]")) {
      about.hidden = about.dataset.about !== state.metric;
    }
    for (const radio of document.querySelectorAll("[name=split]")) {
      radio.checked = radio.value === state.split;
    }
    if (filter.value !== state.filter) filter.value = state.filter;
    drawRows();
  }

  function drawRows() {
    const all = data.splits[state.split].grids[state.metric];
    if (!all) {
      grid.replaceChildren(element("p", { className: "empty", textContent: `${state.metric} is not published for ${state.split}.` }));
      more.hidden = true;
      return;
    }
    const wanted = state.filter.toLowerCase();
    const exact = all.filter((ends) => className(ends.label).toLowerCase() === wanted);
    const found = exact.length ? exact : all.filter((ends) => className(ends.label).toLowerCase().includes(wanted));
    const visible = found.slice(0, state.limit);
    grid.replaceChildren(...visible.map(drawRow));
    const first = grid.querySelector(".thumb");
    if (first) first.tabIndex = 0;
    more.hidden = visible.length === found.length;
    more.textContent = `Show all ${found.length} classes`;
    document.getElementById("filtered").textContent =
      visible.length < all.length ? `${visible.length} of ${all.length} classes` : "";
  }

  function drawRow(ends) {
    const size = element("small", { textContent: `${ends.ranked.toLocaleString("en")} ranked` });
    const strip = (rows, end, column) => {
      const thumbs = rows.map((row) => drawThumb(row, ends.label));
      if (thumbs.length) thumbs[0].style.gridColumnStart = column;
      return element("div", { className: `strip ${end}` }, ...thumbs);
    };
    return element(
      "div",
      { className: "row" },
      element("h3", {}, className(ends.label), size),
      strip(ends.outlying, "low", 1),
      // A row that is not full comes first, so that the last one ends at the very end.
      strip(ends.prototypical, "high", COLUMNS + 1 - (ends.prototypical.length % COLUMNS || COLUMNS)),
    );
  }

  function drawThumb(row, label) {
    const example = data.splits[state.split].examples[row.example];
    const wrong = isWrong(row, label);
    const thumb = element("button", { type: "button", className: wrong ? "thumb wrong" : "thumb", tabIndex: -1 }, picture(row));
    thumb.dataset.id = example.id;
    const prediction = wrong ? `, predicted ${className(row.predicted)}` : "";
    thumb.setAttribute("aria-label", `${className(label)}${prediction}, example ${example.id}, ${state.metric} ${valueText(row)}`);
    shown.set(thumb, { row, label, example });
    return thumb;
  }

  function valueText(row) {
    if (row.value === undefined) return (row.status ?? "no value").replaceAll("_", " ");
    return `${number(row.value)} ${metrics.get(state.metric).unit}`.trim();
  }

  // The card

  function showCard(thumb) {
    const { row, label, example } = shown.get(thumb);
    hideCard();
    open = thumb;
    thumb.classList.add("open");
    thumb.setAttribute("aria-describedby", "card");
    const wrong = isWrong(row, label);
    const verdict = row.predicted === undefined ? "no prediction" : wrong ? `✗ predicted ${className(row.predicted)}` : "✓ predicted right";
    const facts = element(
      "div",
      {},
      element("h4", { textContent: className(label) }),
      element("p", { className: wrong ? "verdict wrong" : "verdict", textContent: label < 0 && row.predicted !== undefined ? `predicted ${className(row.predicted)}` : verdict }),
      drawValue(row),
      element("p", { className: "within", textContent: `class percentile ${percentile(row.class_percentile)}` }),
    );
    const name = example.name && example.name !== String(example.id) ? ` · ${example.name}` : "";
    card.replaceChildren(
      element("div", { className: "top" }, picture(row), facts),
      drawTracks(example),
      element("p", { className: "id", textContent: `example ${example.id}${name}` }),
    );
    card.hidden = false;
    place(card, thumb);
  }

  function drawValue(row) {
    if (row.value === undefined) return element("p", { className: "value", textContent: valueText(row) });
    const spread = row.spread === undefined ? "" : ` ± ${number(row.spread)}`;
    const unit = element("small", { textContent: `${spread} ${metrics.get(state.metric).unit}` });
    return element("p", { className: "value" }, number(row.value), unit);
  }

  // Where the example stands by every metric: their disagreements are what there is to see.
  function drawTracks(example) {
    const outlying = element("span", { textContent: "outlying" });
    const prototypical = element("span", { textContent: "prototypical" });
    const ends = element("span", { className: "scale-ends" }, outlying, prototypical);
    const tracks = element("div", { className: "tracks" }, element("span", { textContent: "percentile" }), ends, element("span"));
    data.splits[state.split].metrics.forEach((name, i) => {
      const at = example.percentiles[i];
      const dot = element("i");
      dot.style.left = `${at}%`;
      const current = name === state.metric ? "current" : "";
      tracks.append(
        element("span", { className: current, textContent: name }),
        element("span", { className: "track" }, ...(at === null ? [] : [dot])),
        element("span", { className: `share ${current}`, textContent: percentile(at) }),
      );
    });
    return tracks;
  }

  function place(box, anchor) {
    const margin = 10;
    const width = document.documentElement.clientWidth;
    const at = anchor.getBoundingClientRect();
    const left = Math.min(Math.max(at.left + at.width / 2 - box.offsetWidth / 2, margin), width - box.offsetWidth - margin);
    const below = at.bottom + margin;
    const above = at.top - box.offsetHeight - margin;
    box.style.left = `${left}px`;
    box.style.top = `${below + box.offsetHeight > innerHeight && above > 0 ? above : below}px`;
  }

  function hideCard() {
    card.hidden = true;
    open?.classList.remove("open");
    open?.removeAttribute("aria-describedby");
    open = null;
  }

  // Keys: the grid is one stop of the tab key; arrows move inside it.

  function moveFocus(event) {
    const thumb = event.target.closest(".thumb");
    if (!thumb) return;
    const rows = [...grid.querySelectorAll(".row")].map((row) => [...row.querySelectorAll(".thumb")]);
    const y = rows.findIndex((row) => row.includes(thumb));
    const x = rows[y].indexOf(thumb);
    const nearest = (row) => row && row[Math.min(x, row.length - 1)];
    const next = {
      ArrowRight: rows[y][x + 1],
      ArrowLeft: rows[y][x - 1],
      ArrowDown: nearest(rows[y + 1]),
      ArrowUp: nearest(rows[y - 1]),
      Home: rows[y][0],
      End: rows[y].at(-1),
    }[event.key];
    if (event.key === "Escape") hideCard();
    if (!next) return;
    event.preventDefault();
    thumb.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  function moveTab(event) {
    const all = [...tabs.children];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = all.at((all.indexOf(event.target) + step) % all.length);
    choose({ metric: next.dataset.metric });
    next.focus();
  }

  function toggleGroup(button) {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", !open);
    document.getElementById(button.getAttribute("aria-controls")).hidden = open;
  }

  function followSections() {
    const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
    const watcher = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          const link = links.get(entry.target.id);
          if (entry.isIntersecting) link.setAttribute("aria-current", "true");
          else link.removeAttribute("aria-current");
        }
      },
      { rootMargin: "-30% 0px -60% 0px" },
    );
    for (const id of links.keys()) watcher.observe(document.getElementById(id));
  }

  const onThumb = (show) => (event) => {
    const thumb = event.target.closest(".thumb");
    if (thumb) show(thumb);
  };

  tabs.addEventListener("click", (event) => {
    const tab = event.target.closest("[data-metric]");
    if (tab) choose({ metric: tab.dataset.metric });
  });
  tabs.addEventListener("keydown", moveTab);
  document.querySelector(".switch").addEventListener("change", (event) => choose({ split: event.target.value }));
  filter.addEventListener("input", () => choose({ filter: filter.value }));
  more.addEventListener("click", () => choose({ limit: Infinity }));
  grid.addEventListener("mouseover", onThumb(showCard));
  grid.addEventListener("mouseleave", hideCard);
  grid.addEventListener("focusin", onThumb(showCard));
  grid.addEventListener("focusout", hideCard);
  grid.addEventListener("click", onThumb(showCard));
  grid.addEventListener("keydown", moveFocus);
  addEventListener("click", (event) => event.target.closest(".thumb") || hideCard());
  addEventListener("scroll", () => open && place(card, open), { passive: true });
  addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return; // a link to a section
    readAddress();
    draw();
  });
  for (const button of document.querySelectorAll(".runs button")) {
    button.addEventListener("click", () => toggleGroup(button));
  }

  document.querySelector(".filter").hidden = data.classes.length <= CLASSES_AT_ONCE;
  const pixels = data.longest_side <= SMALL_IMAGE;
  grid.classList.toggle("pixels", pixels);
  card.classList.toggle("pixels", pixels);
  readAddress();
  draw();
  followSections();
})();
