// Files that a page makes: CSV for spreadsheets, and downloads.
(() => {
  "use strict";

  const { element } = protoscore;
  // What spreadsheets take for a formula, full-width signs included.
  const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

  function toCsv(rows) {
    return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
  }

  // An apostrophe stands before text that a spreadsheet would run.
  function cell(value) {
    const text = typeof value === "string" && FORMULA.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function download(name, text, type) {
    const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  Object.assign(protoscore, { download, toCsv });
})();
