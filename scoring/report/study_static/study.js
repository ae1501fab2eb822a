// One chooser's way through a study: pick on every screen, then download the picks.
(() => {
  "use strict";

  const { address, attempt, element, find, load, stamp } = protoscore;
  const ACROSS = 3;
  const CELLS = ACROSS * ACROSS;
  const SMALL = 64; // images of at most this side, in pixels, are enlarged without smoothing
  let study = null;
  let progress = null; // chooser, set, at and picks; see `begin`
  let key = "";
  let ready = false; // whether the pictures of the screen are drawn
  const sheets = new Map(); // path to the promise of a screen's pictures

  // Progress is kept under the study's id. Some browsers keep nothing for pages opened from disk.
  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      const screens = study.sets[kept.set];
      const sound = screens && kept.picks.length <= screens.length && kept.at <= kept.picks.length;
      return sound ? kept : begin();
    } catch {
      return begin();
    }
  }

  function keep() {
    try {
      localStorage.setItem(key, JSON.stringify(progress));
    } catch {
      find("forgetful").hidden = false;
    }
  }

  // `set` is that of the address (#set=3, counted from 1), else a random one.
  function begin() {
    const wanted = Number(address().get("set")) - 1;
    const set = study.sets[wanted] ? wanted : random(1)[0] % study.sets.length;
    const chooser = random(4).map((part) => part.toString(16).padStart(8, "0")).join("");
    return { chooser, set, started: false, at: 0, picks: [] };
  }

  function random(count) {
    return [...crypto.getRandomValues(new Uint32Array(count))];
  }

  function show() {
    const screens = study.sets[progress.set];
    const view = !progress.started ? "intro" : progress.at < screens.length ? "screen" : "done";
    for (const name of ["intro", "screen", "done"]) find(name).hidden = name !== view;
    find("progress").value = progress.picks.length;
    find("where").textContent = view === "screen" ? `${progress.at + 1} of ${screens.length}` : "";
    ready = false;
    if (view === "intro") find("start").focus();
    if (view === "done") find("done-title").focus();
    return view === "screen" ? ask(...screens[progress.at]) : undefined;
  }

  async function ask(question, label) {
    for (const asked of document.querySelectorAll(".question")) {
      asked.hidden = asked.dataset.question !== question;
      asked.querySelector(".of-class").textContent = study.classes[label];
    }
    find("screen").dataset.asked = question;
    find("back").disabled = progress.at === 0;
    find("next").disabled = progress.at >= progress.picks.length;
    document.querySelector(".question:not([hidden]) h1").focus({ preventScroll: true });
    const { set, at } = progress;
    const image = await sheet(set, at);
    if (progress.set !== set || progress.at !== at) return;
    draw(image);
    if (at + 1 < study.sets[set].length) sheet(set, at + 1).catch(() => {}); // it is asked for again
  }

  function draw(image) {
    const { width, height, across, down } = study.sheet;
    [...find("pictures").children].forEach((picture, cell) => {
      const [row, column] = [Math.floor(cell / ACROSS), cell % ACROSS];
      const context = picture.querySelector("canvas").getContext("2d");
      context.drawImage(image, column * across, row * down, width, height, 0, 0, width, height);
      picture.setAttribute("aria-pressed", progress.picks[progress.at] === cell);
    });
    ready = true;
    find("pictures").dataset.drawn = `${progress.set}/${progress.at}`;
  }

  function sheet(set, at) {
    const path = `data/${set}/${at}.webp`;
    if (!sheets.has(path)) {
      const image = element("img", { src: `${path}?${stamp}` });
      const loaded = image.decode().then(() => image, () => {
        sheets.delete(path);
        throw new Error(`expected ${path} next to this page, got no image`);
      });
      sheets.set(path, loaded);
    }
    return sheets.get(path);
  }

  function change(changes) {
    Object.assign(progress, changes);
    keep();
    attempt(Promise.resolve(show()));
  }

  function pick(cell) {
    if (!ready) return;
    const picks = [...progress.picks];
    picks[progress.at] = cell;
    find("another").hidden = true; // these answers are not downloaded yet
    change({ picks, at: progress.at + 1 });
  }

  function go(by) {
    const at = progress.at + by;
    if (at >= 0 && at <= progress.picks.length) change({ at });
  }

  // Cells and sets are counted from 1, as people see them.
  function download() {
    const answers = {
      study: study.study,
      set: progress.set + 1,
      chooser: progress.chooser,
      picks: progress.picks.map((cell) => cell + 1),
    };
    const file = new Blob([`${JSON.stringify(answers)}\n`], { type: "application/json" });
    const link = element("a", { href: URL.createObjectURL(file), download: `answers-${study.study.slice(0, 8)}-${progress.chooser.slice(0, 8)}.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    find("another").hidden = false;
  }

  function startAnew() {
    progress = begin();
    find("another").hidden = true;
    change({});
  }

  function makePicture(cell) {
    const canvas = element("canvas", { width: study.sheet.width, height: study.sheet.height });
    canvas.classList.toggle("pixels", Math.max(canvas.width, canvas.height) <= SMALL);
    const picture = element("button", { type: "button", className: "picture" }, canvas, String(cell + 1));
    picture.setAttribute("aria-label", `Picture ${cell + 1}`);
    picture.addEventListener("click", () => pick(cell));
    return picture;
  }

  // Arrow keys move between the pictures; the first one pressed goes to the first picture.
  function move(event) {
    const pictures = [...find("pictures").children];
    const from = pictures.indexOf(document.activeElement);
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -ACROSS, ArrowDown: ACROSS }[event.key];
    const to = from < 0 ? 0 : from + by;
    if (!by || !pictures[to]) return;
    event.preventDefault();
    pictures[to].focus();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !progress?.started) return;
    if (event.key === "Backspace") {
      event.preventDefault();
      go(-1);
    } else if (find("screen").hidden) return;
    else if (/^[1-9]$/.test(event.key)) pick(Number(event.key) - 1);
    else move(event);
  }

  async function open() {
    study = await load("data/study.js");
    key = `protoscore study ${study.study}`;
    progress = recall();
    find("pictures").append(...Array.from({ length: CELLS }, (_, cell) => makePicture(cell)));
    keep();
    await show();
  }

  find("start").addEventListener("click", () => change({ started: true }));
  find("back").addEventListener("click", () => go(-1));
  find("next").addEventListener("click", () => go(1));
  find("revise").addEventListener("click", () => go(-1));
  find("download").addEventListener("click", download);
  find("another").addEventListener("click", startAnew);
  document.addEventListener("keydown", onKey);
  attempt(open());
})();
