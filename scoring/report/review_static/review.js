// One reviewer's way through a queue of labels: decide on each, then download the decisions.
(() => {
  "use strict";

  const { asCsv, asJson, attempt, count, DECISIONS, download, element, find, load, pickClass, preload, readJson, show } = protoscore;
  const KEYS = { k: "keep", r: "relabel", c: "choose", a: "ambiguous", x: "exclude", s: "skip", u: "undo", backspace: "undo" };
  let review = null;
  let progress = null; // reviewer, decisions by example id, and ids in the order of decisions
  let key = "";

  // Progress is kept under the queue's id. Some browsers keep nothing for pages opened from disk.
  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      const { reviewer, decisions } = readJson(asJson(review, kept), review);
      return { reviewer, decisions, trail: byTime(decisions) };
    } catch {
      return { reviewer: "", decisions: {}, trail: [] };
    }
  }

  function keep() {
    try {
      localStorage.setItem(key, JSON.stringify(progress));
    } catch {
      find("forgetful").hidden = false;
    }
  }

  function byTime(decisions) {
    return Object.keys(decisions).map(Number).sort((a, b) => decisions[a].decided_at.localeCompare(decisions[b].decided_at));
  }

  // The first check without a decision; -1 when all have one.
  function current() {
    return review.checks.findIndex(({ id }) => !progress.decisions[id]);
  }

  function view() {
    const at = current();
    const name = !progress.reviewer ? "intro" : at >= 0 ? "screen" : "done";
    for (const each of ["intro", "screen", "done"]) find(each).hidden = each !== name;
    find("files").hidden = false;
    find("download").hidden = find("download-csv").hidden = !progress.trail.length;
    find("progress").value = progress.trail.length;
    find("where").textContent = progress.reviewer ? `${progress.trail.length} of ${review.checks.length}` : "";
    if (name === "intro") find("reviewer").focus();
    if (name === "screen") ask(at);
    if (name === "done") finish();
  }

  function ask(at) {
    const check = review.checks[at];
    const other = check.suggested !== check.label;
    find("given").textContent = review.classes[check.label];
    find("suggested").textContent = other ? review.classes[check.suggested] : "";
    document.querySelector(".suggestion").hidden = !other;
    find("probability").textContent = other
      ? `The label is wrong with probability ${percent(check.wrong)}`
      : `The label is wrong with probability ${percent(check.wrong)}; no class fits better`;
    find("picture").replaceChildren(show(`data/checks/${at}`, 0, review.large));
    find("caption").textContent = [`${review.split} example ${check.id}`, ...(check.name ? [check.name] : [])].join(" · ");
    find("prototypes").replaceChildren(...[...new Set([check.label, check.suggested])].map(prototypes));
    find("explained").replaceChildren(...explanation(check, at));
    find("relabel").disabled = !other;
    find("undo").disabled = !progress.trail.length;
    find("screen").dataset.at = at;
    find("labels").focus({ preventScroll: true });
    if (at + 1 < review.checks.length) preload(`data/checks/${at + 1}`, review.large).catch(() => {}); // it is asked for again
  }

  function percent(share) {
    return share < 0.001 ? "below 0.1 %" : share > 0.999 ? "above 99.9 %" : `${(100 * share).toFixed(share < 0.1 || share > 0.9 ? 1 : 0)} %`;
  }

  function prototypes(label) {
    const shown = Array.from({ length: review.prototypes[label] ?? 0 }, (_, i) => show(`data/prototypes/${label}`, i, review.small));
    return strip("typical of", label, shown);
  }

  function strip(words, label, shown) {
    const title = element("h2", {}, `${words} `, element("bdi", { textContent: review.classes[label] }));
    const none = element("p", { className: "none", textContent: "none" });
    return element("div", { className: "strip" }, title, element("div", { className: "row" }, ...(shown.length ? shown : [none])));
  }

  // The training examples that the outputs of both classes are made of (representer points).
  function explanation({ points }, at) {
    const numbered = points.map((point, i) => [...point, i]);
    return [...new Set(points.map(([output]) => output))].flatMap((output) =>
      [["speak for", 1], ["speak against", -1]].map(([words, sign]) => {
        const ofSign = numbered.filter(([of, , value]) => of === output && Math.sign(value) === sign);
        return strip(words, output, ofSign.map(([, label, , i]) => {
          const shown = show(`data/explained/${at}`, i, review.small);
          return element("figure", {}, shown, element("figcaption", {}, element("bdi", { textContent: review.classes[label] })));
        }));
      }),
    );
  }

  function finish() {
    const made = Object.values(progress.decisions).map(({ decision }) => decision);
    const counts = DECISIONS.map((decision) => [decision, made.filter((m) => m === decision).length]);
    find("counts").replaceChildren(...counts.flatMap(([decision, n]) => [
      element("dt", { textContent: decision }),
      element("dd", { textContent: count(n) }),
    ]));
    find("again").hidden = !made.includes("skip");
    find("done-title").focus();
  }

  function decide(decision, label = null) {
    const { id } = review.checks[current()];
    progress.decisions[id] = { decision, label, decided_at: new Date().toISOString() };
    progress.trail.push(id);
    change();
  }

  function relabel(label) {
    if (label === review.checks[current()].label) decide("keep");
    else decide("relabel", label);
  }

  function undo() {
    if (!progress.trail.length) return;
    delete progress.decisions[progress.trail.pop()];
    change();
  }

  function lookAgain() {
    for (const id of progress.trail) if (progress.decisions[id].decision === "skip") delete progress.decisions[id];
    progress.trail = progress.trail.filter((id) => progress.decisions[id]);
    change();
  }

  function change() {
    find("error").hidden = true;
    keep();
    view();
  }

  function act(name) {
    if (find(name).disabled) return;
    if (name === "undo") undo();
    else if (name === "choose") pickClass(review.classes, relabel);
    else if (name === "relabel") relabel(review.checks[current()].suggested);
    else decide(name);
  }

  // Decisions of the file are added to those made here; of two for one example the newer one counts.
  async function goOn(file) {
    const { reviewer, decisions } = readJson(await file.text(), review);
    if (progress.reviewer && reviewer !== progress.reviewer) {
      throw new Error(`expected a file of ${progress.reviewer}, got one of ${reviewer}`);
    }
    progress.reviewer = reviewer;
    for (const [id, made] of Object.entries(decisions)) {
      const here = progress.decisions[id];
      if (!here || here.decided_at < made.decided_at) progress.decisions[id] = made;
    }
    progress.trail = byTime(progress.decisions);
    change();
  }

  function save(ending, text, type) {
    const who = progress.reviewer.replaceAll(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40);
    download(`review-${review.queue.slice(0, 8)}-${who}.${ending}`, text, type);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (!review || find("picker").open || event.target.matches("input")) return;
    const name = KEYS[event.key.toLowerCase()];
    if (!name || (find("screen").hidden && (name !== "undo" || find("done").hidden))) return;
    event.preventDefault();
    act(name);
  }

  function begin(event) {
    event.preventDefault();
    progress.reviewer = find("reviewer").value.trim();
    change();
  }

  async function open() {
    review = await load("data/review.js");
    key = `protoscore review ${review.queue}`;
    progress = recall();
    change();
  }

  for (const name of new Set(Object.values(KEYS))) find(name).addEventListener("click", () => act(name));
  find("begin").addEventListener("submit", begin);
  find("again").addEventListener("click", lookAgain);
  find("undo-last").addEventListener("click", undo);
  find("download").addEventListener("click", () => save("json", asJson(review, progress), "application/json"));
  find("download-csv").addEventListener("click", () => save("csv", asCsv(review, progress), "text/csv"));
  find("open").addEventListener("change", ({ target }) => {
    if (target.files.length) attempt(goOn(target.files[0]).finally(() => { target.value = ""; }));
  });
  document.addEventListener("keydown", onKey);
  attempt(open());
})();
