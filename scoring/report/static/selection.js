// Examples that the reader selects, to download as CSV.
(() => {
  "use strict";

  const { attempt, count, download, element, toCsv } = protoscore;

  // `bar` gets the buttons. `file` is the name of the download, `head` the names of its columns, and
  // `row(example, name)` returns an example's. An example has `split`, `position` and whatever `row`
  // needs besides; its name is the user's own, or "".
  function makeSelection(bar, { file, head, row }) {
    const selected = new Map(); // key of an example to the example
    const boxes = new Map(); // key of an example to its check box, while that exists
    let offered = { total: 0, examples: () => [] }; // what "select all" selects
    const said = element("span", { role: "status" });
    const all = button("", () => choose(offered.examples()));
    const none = button("Clear", clear);
    const save = button("Download CSV", () => attempt(write()));
    save.classList.add("main");
    bar.append(all, said, save, none);

    function button(textContent, act) {
      const created = element("button", { type: "button", textContent });
      created.addEventListener("click", act);
      return created;
    }

    function key({ split, position }) {
      return `${split.name} ${position}`;
    }

    // A check box for one example. The grid is a single tab stop, so that keys select by "x".
    function box(example, label) {
      const input = element("input", { type: "checkbox", checked: selected.has(key(example)), tabIndex: -1, ariaLabel: label });
      input.addEventListener("change", () => {
        if (input.checked) selected.set(key(example), example);
        else selected.delete(key(example));
        update();
      });
      boxes.set(key(example), new WeakRef(input));
      return element("label", { className: "select" }, input);
    }

    function choose(examples) {
      for (const example of examples) selected.set(key(example), example);
      mark();
    }

    function clear() {
      selected.clear();
      mark();
    }

    function mark() {
      for (const [of, reference] of boxes) {
        const input = reference.deref();
        if (input) input.checked = selected.has(of);
        else boxes.delete(of);
      }
      update();
    }

    // Says how many examples "select all" would select, and what returns them.
    function offer(total, examples) {
      offered = { total, examples };
      update();
    }

    function update() {
      all.textContent = `Select all ${count(offered.total)}`;
      all.hidden = !offered.total;
      said.textContent = selected.size ? `${count(selected.size)} selected` : "";
      save.hidden = none.hidden = !selected.size;
    }

    async function write() {
      const rows = [];
      for (const example of selected.values()) {
        const names = await example.split.names();
        rows.push(row(example, names[example.position] ?? ""));
      }
      download(file, toCsv([head, ...rows]), "text/csv");
    }

    addEventListener("keydown", (event) => {
      if (event.key === "x" && !event.ctrlKey && !event.metaKey) event.target.closest?.(".tile")?.querySelector(".select input")?.click();
    });
    return { box, offer };
  }

  Object.assign(protoscore, { makeSelection });
})();
