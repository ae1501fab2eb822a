// What the scripts of all pages share: elements, words, the address, and files of data.
const protoscore = (() => {
  "use strict";

  const stamp = document.documentElement.dataset.stamp;
  const kinds = { u1: Uint8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, f4: Float32Array };
  const asked = new Map(); // path of a file of data to the promise of what it holds
  const receivers = new Map();
  const followers = [];

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function find(id) {
    return document.getElementById(id);
  }

  // Data comes as scripts, which call `receive`: from disk a page may load those and images alone.
  function load(path) {
    if (!asked.has(path)) asked.set(path, ask(path));
    return asked.get(path);
  }

  function ask(path) {
    return new Promise((resolve, reject) => {
      const script = element("script", { src: `${path}?${stamp}` });
      receivers.set(path, resolve);
      script.addEventListener("load", () => script.remove());
      script.addEventListener("error", () => {
        script.remove();
        asked.delete(path);
        reject(new Error(`expected ${path} beside this page, got nothing`));
      });
      document.head.append(script);
    });
  }

  function receive(path, data) {
    receivers.get(path)(data);
    receivers.delete(path);
  }

  // A column of numbers, as `packed` in scripts.py wrote it.
  function unpack({ kind, data }) {
    const text = atob(data);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
    return new kinds[kind](bytes.buffer);
  }

  function number(value, digits = 4) {
    return value.toLocaleString("en", { maximumSignificantDigits: digits });
  }

  function count(value, one = "", many = `${one}s`) {
    const said = value.toLocaleString("en");
    return one ? `${said} ${value === 1 ? one : many}` : said;
  }

  function words(name) {
    return name.replaceAll("_", " ");
  }

  // The address says what is shown: #split=test&metric=agr. It is the only state a page has.
  function address() {
    return new URLSearchParams(location.hash.slice(1));
  }

  // Change what the address says, and show it. `opens`: the Back button undoes it.
  function choose(changes, opens = false) {
    const said = address();
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") said.delete(name);
      else said.set(name, value);
    }
    if (opens) history.pushState({ opened: true }, "", `#${said}`);
    else history.replaceState(history.state, "", `#${said}`);
    for (const show of followers) show();
  }

  // Show what the address says, now and whenever it changes.
  function follow(show) {
    const again = () => {
      find("trouble").hidden = true;
      attempt(show());
    };
    followers.push(again);
    addEventListener("popstate", again);
    again();
  }

  // What cannot be shown is told below. (From disk, browsers keep unhandled rejections to themselves.)
  function attempt(promise) {
    promise.catch((error) => {
      find("trouble").textContent = error.message;
      find("trouble").hidden = false;
    });
  }

  // On a narrow screen not all pages' names fit.
  document.querySelector(".contents [aria-current]").scrollIntoView({ block: "nearest", inline: "center" });

  return { address, attempt, choose, count, element, find, follow, load, number, receive, stamp, unpack, words };
})();
