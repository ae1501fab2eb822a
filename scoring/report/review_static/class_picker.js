// A dialog in which one types a part of the name of a class.
(() => {
  "use strict";

  const { element, find } = protoscore;
  const MOST = 50; // classes listed at once
  const dialog = find("picker");
  let classes = [];
  let picked = () => {};
  let listed = []; // indices of the classes in the list
  let at = 0;

  // Calls `onPick` with the index of the class that is picked, if any is.
  function pickClass(names, onPick) {
    [classes, picked] = [names, onPick];
    find("wanted").value = "";
    list();
    dialog.showModal();
    find("wanted").focus();
  }

  // Names that begin with what is typed come first.
  function list() {
    const wanted = find("wanted").value.trim().toLowerCase();
    const places = classes.map((name, index) => [name.toLowerCase().indexOf(wanted), index]);
    const found = places.filter(([place]) => place >= 0);
    found.sort(([a, i], [b, j]) => Math.min(a, 1) - Math.min(b, 1) || i - j);
    listed = found.slice(0, MOST).map(([, index]) => index);
    const options = listed.map((index, place) => {
      const option = element("li", { id: `class-${index}` }, element("bdi", { textContent: classes[index] }));
      option.setAttribute("role", "option");
      option.addEventListener("click", () => pick(place));
      return option;
    });
    const rest = found.length - listed.length;
    if (rest > 0) options.push(element("li", { className: "more", textContent: `and ${rest} more` }));
    if (!found.length) options.push(element("li", { className: "more", textContent: "no class has this in its name" }));
    find("classes").replaceChildren(...options);
    mark(0);
  }

  function mark(place) {
    if (!listed.length) return;
    at = (place + listed.length) % listed.length;
    [...find("classes").children].forEach((option, i) => option.setAttribute("aria-selected", i === at));
    find("wanted").setAttribute("aria-activedescendant", `class-${listed[at]}`);
    find("classes").children[at].scrollIntoView({ block: "nearest" });
  }

  function pick(place) {
    if (listed[place] === undefined) return;
    dialog.close();
    picked(listed[place]);
  }

  function onKey(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (by) mark(at + by);
    else if (event.key === "Enter") pick(at);
    else if (event.key === "Escape") dialog.close();
    else return;
    event.preventDefault();
  }

  find("wanted").addEventListener("input", list);
  dialog.addEventListener("keydown", onKey);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  Object.assign(protoscore, { pickClass });
})();
