// Tables of plain rows, and their way out as CSV.

import { h, save } from "./dom.js";

// columns: [{ name, value: (row) => plain, show?: (row) => node or text, number? }]
export function table(caption, columns, rows, { onRow } = {}) {
  const head = h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.number ? "number" : null }, column.name)));
  const body = rows.map((row) => {
    const cells = columns.map((column, place) => {
      const shown = column.show ? column.show(row) : String(column.value(row) ?? "–");
      const kind = column.number ? "number" : null;
      return place === 0 ? h("th", { scope: "row", class: kind }, shown) : h("td", { class: kind }, shown);
    });
    return h("tr", onRow ? { class: "clickable", onclick: () => onRow(row) } : {}, cells);
  });
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, head), h("tbody", {}, body)));
}

// A spreadsheet takes a cell that begins with one of these for a formula, and begins one at some separators.
const FORMULA = /(^|[;\t\r\n])\s*[=+\-@＝＋－＠]|^[\t\r]/;

function cell(value) {
  if (value === null || value === undefined) return "";
  let text = String(value);
  if (typeof value === "string" && FORMULA.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csv(columns, rows) {
  const lines = [columns.map((column) => cell(column.name)), ...rows.map((row) => columns.map((column) => cell(column.value(row))))];
  return `${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
}

export function csvButton(name, columns, rows) {
  return h("button", {
    type: "button",
    class: "quiet",
    onclick: async () => save(`${name}.csv`, new Blob([csv(columns, await rows())], { type: "text/csv" })),
  }, "CSV", h("span", { class: "unseen" }, ` of ${name}`));
}
