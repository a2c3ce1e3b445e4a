// Movement between segments as a Sankey: drawn here, because there are three of them and a library weighs more.

import { COLOURS } from "./charts.js";
import { h, save, svg } from "./dom.js";
import { count, money, REASONS } from "./format.js";
import { csvButton, table } from "./tables.js";

const SEGMENTS = ["High-CLV", "Growth-Potential", "Low-CLV"];
const HEIGHT = 300;
const BAR = 14;
const GAP = 18;

const COLUMNS = [
  { name: "From", value: (row) => row.from_segment ?? "new" },
  { name: "To", value: (row) => row.to_segment },
  { name: "Customers", number: true, value: (row) => row.changes, show: (row) => count(row.changes) },
  { name: "After", value: (row) => Object.entries(row.reasons).map(([reason, n]) => `${REASONS[reason]} ${count(n)}`).join(", ") },
  { name: "CLV", number: true, value: (row) => row.clv_change, show: (row) => money(row.clv_change) },
];

export class Flow {
  constructor(onDays, days) {
    this.title = h("h2", {}, "…");
    this.unit = h("p", { class: "unit" });
    this.state = h("p", { class: "state", role: "status" }, "Loading…");
    this.plot = h("div", { class: "plot flow" });
    this.details = h("details", {}, h("summary", {}, "Data"));
    this.actions = h("div", { class: "actions" });
    const choice = h("select", { id: "flow-days", onchange: (event) => onDays(event.target.value) },
      [["7", "a week"], ["28", "four weeks"], ["91", "a quarter"], ["365", "a year"]].map(([value, text]) => h("option", { value, selected: value === days }, text)));
    this.element = h("figure", { class: "card wide", id: "chart-movement" },
      h("figcaption", {}, this.title, this.unit, h("div", { class: "row" }, h("label", { for: "flow-days" }, "Over"), choice)),
      this.state, this.plot, h("div", { class: "under" }, this.details, this.actions));
  }

  fail(problem) {
    this.state.hidden = false;
    this.state.textContent = problem.message;
  }

  show(found) {
    const moves = found.movement.filter((move) => move.from_segment);
    const total = moves.reduce((sum, move) => sum + move.changes, 0);
    this.unit.textContent = found.movement_from ? `Customers who moved, ${found.movement_from} to ${found.movement_to}; newcomers are in the data` : "";
    if (!total) {
      this.title.textContent = "Nobody moved between segments";
      this.state.hidden = false;
      this.state.textContent = "No customer moved in this period.";
      this.plot.replaceChildren();
      return;
    }
    this.state.hidden = true;
    const rank = (segment) => -SEGMENTS.indexOf(segment);
    const risen = moves.filter((move) => rank(move.to_segment) > rank(move.from_segment)).reduce((sum, move) => sum + move.changes, 0);
    this.title.textContent = `${count(risen)} customers rose, ${count(total - risen)} fell`;
    this.plot.replaceChildren(this.draw(moves, total));
    this.details.replaceChildren(h("summary", {}, "Data"), table("Movement between segments", COLUMNS, found.movement));
    this.actions.replaceChildren(csvButton("segment-movement", COLUMNS, () => found.movement),
      h("button", { type: "button", class: "quiet", onclick: () => this.picture() }, "SVG", h("span", { class: "unseen" }, " of segment movement")));
  }

  draw(moves, total) {
    // On a phone the picture is drawn narrower, not smaller: its words stay readable.
    const [width, margin] = this.plot.clientWidth < 460 ? [380, 124] : [640, 150];
    const scale = (HEIGHT - GAP * (SEGMENTS.length - 1)) / total;
    const from = column(moves, "from_segment", scale);
    const to = column(moves, "to_segment", scale);
    const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${this.title.textContent}; the data are in the table below` });
    for (const move of [...moves].sort((a, b) => SEGMENTS.indexOf(a.to_segment) - SEGMENTS.indexOf(b.to_segment))) {
      const thick = Math.max(move.changes * scale, 1);
      const start = from[move.from_segment];
      const end = to[move.to_segment];
      const [y0, y1] = [start.next + thick / 2, end.next + thick / 2];
      start.next += thick;
      end.next += thick;
      const left = margin + BAR;
      const right = width - margin - BAR;
      const middle = (left + right) / 2;
      picture.append(svg("path", { d: `M${left} ${y0} C${middle} ${y0} ${middle} ${y1} ${right} ${y1}`, fill: "none", stroke: COLOURS[move.to_segment], "stroke-opacity": "0.5", "stroke-width": thick },
        svg("title", {}, `${move.from_segment} to ${move.to_segment}: ${count(move.changes)}`)));
    }
    for (const [x, places] of [[margin, from], [width - margin - BAR, to]]) {
      for (const segment of SEGMENTS.filter((name) => places[name].size > 0)) picture.append(...ends(segment, places[segment], x, x === margin));
    }
    return picture;
  }

  picture() {
    const text = new XMLSerializer().serializeToString(this.plot.querySelector("svg"));
    save("segment-movement.svg", new Blob([text], { type: "image/svg+xml" }));
  }
}

function column(moves, side, scale) {
  let top = 0;
  const places = {};
  for (const segment of SEGMENTS) {
    const customers = moves.filter((move) => move[side] === segment).reduce((sum, move) => sum + move.changes, 0);
    const size = customers * scale;
    places[segment] = { top, next: top, size, customers };
    if (size > 0) top += size + GAP;
  }
  return places;
}

function ends(segment, place, x, isLeft) {
  const textAt = isLeft ? x - 6 : x + BAR + 6;
  const middle = place.top + place.size / 2;
  const anchor = isLeft ? "end" : "start";
  return [
    svg("rect", { x, y: place.top, width: BAR, height: Math.max(place.size, 2), rx: 3, fill: COLOURS[segment] }),
    svg("text", { x: textAt, y: middle + 4, "text-anchor": anchor, fill: "#e8edf7", "font-size": 12 }, `${segment} ${count(place.customers)}`),
  ];
}
