// Shared by all pages: elements, number formats, the address, and loading of data files.
const protoscore = (() => {
  "use strict";

  const stamp = document.documentElement.dataset.stamp;
  const arrays = { u1: Uint8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, f4: Float32Array };
  const loads = new Map(); // path of a data file to the promise of its content
  const receivers = new Map();
  const views = [];

  function element(tag, properties = {}, ...children) {
    const created = Object.assign(document.createElement(tag), properties);
    created.append(...children);
    return created;
  }

  function find(id) {
    return document.getElementById(id);
  }

  // Data files are scripts that call `receive`: a page opened from disk can load scripts and images only.
  function load(path) {
    if (!loads.has(path)) loads.set(path, startLoading(path));
    return loads.get(path);
  }

  function startLoading(path) {
    return new Promise((resolve, reject) => {
      const script = element("script", { src: `${path}?${stamp}` });
      receivers.set(path, resolve);
      script.addEventListener("load", () => script.remove());
      script.addEventListener("error", () => {
        script.remove();
        loads.delete(path);
        reject(new Error(`expected ${path} next to this page, got nothing`));
      });
      document.head.append(script);
    });
  }

  function receive(path, data) {
    receivers.get(path)(data);
    receivers.delete(path);
  }

  // Unpacks a column of numbers that `packed` in scripts.py wrote.
  function unpack({ kind, data }) {
    const binary = atob(data);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
    return new arrays[kind](bytes.buffer);
  }

  function number(value, digits = 4) {
    return value.toLocaleString("en", { maximumSignificantDigits: digits });
  }

  function count(value, one = "", many = `${one}s`) {
    const digits = value.toLocaleString("en");
    return one ? `${digits} ${value === 1 ? one : many}` : digits;
  }

  function words(name) {
    return name.replaceAll("_", " ");
  }

  // The fragment of the address holds the whole state of a page: #split=test&metric=agr.
  function address() {
    return new URLSearchParams(location.hash.slice(1));
  }

  // Changes the address and shows the result. With `push`, the Back button undoes the change.
  function navigate(changes, push = false) {
    const params = address();
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") params.delete(name);
      else params.set(name, value);
    }
    if (push) history.pushState({ opened: true }, "", `#${params}`);
    else history.replaceState(history.state, "", `#${params}`);
    for (const view of views) view();
  }

  // Calls `show` now and whenever the address changes.
  function follow(show) {
    const view = () => {
      find("error").hidden = true;
      attempt(show());
    };
    views.push(view);
    addEventListener("popstate", view);
    view();
  }

  // Shows errors at the bottom of the page, because browsers do not report unhandled rejections of
  // pages opened from disk.
  function attempt(promise) {
    promise.catch((error) => {
      find("error").textContent = error.message;
      find("error").hidden = false;
    });
  }

  // On a narrow screen the page names do not all fit: bring the current one into view.
  document.querySelector(".contents [aria-current]").scrollIntoView({ block: "nearest", inline: "center" });

  return { address, attempt, count, element, find, follow, load, navigate, number, receive, stamp, unpack, words };
})();
