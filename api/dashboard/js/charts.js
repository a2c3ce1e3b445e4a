// Charts with what every chart owes its reader: a title that says the finding, units, a name for those who cannot see
// it, the data as a table, and a way out as picture or CSV.

import { h, save } from "./dom.js";
import { csvButton, table } from "./tables.js";

// Okabe and Ito's colours, lightened for a dark ground: told apart by eyes of every kind.
export const COLOURS = {
  "High-CLV": "#6cc5f5",
  "Growth-Potential": "#f2b134",
  "Low-CLV": "#a9b4c8",
  none: "#7d889c",
  clv: "#6cc5f5",
  btyd: "#f2b134",
  glm: "#3fd0a5",
  online: "#e58fc0",
  ensemble: "#f0e66a",
  blend: "#6cc5f5",
  naive: "#a9b4c8",
};
export const SERIES = ["#6cc5f5", "#f2b134", "#3fd0a5", "#e58fc0", "#f0e66a", "#f08a4b", "#a9b4c8"];
export const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [4, 4], [1, 2], [10, 4]];
const INK = "#c9d2e3";
const LINE = "rgba(201, 210, 227, 0.14)";

const calm = matchMedia("(prefers-reduced-motion: reduce)");

export function axis(title, { ticks = {}, ...extra } = {}) {
  return {
    title: { display: Boolean(title), text: title, color: INK },
    ticks: { color: INK, maxRotation: 0, autoSkipPadding: 18, ...ticks },
    grid: { color: LINE },
    border: { color: LINE },
    ...extra,
  };
}

// An axis of moments, as epoch milliseconds: no adapter for dates is needed, and none is loaded.
const moments = (from, to) => axis("", {
  type: "linear",
  bounds: "data",
  ticks: { callback: (value) => new Date(value).toISOString().slice(from, to), includeBounds: false },
});
export const dayAxis = () => moments(0, 10);
export const clockAxis = () => moments(11, 16);

// One card. `data` = { title, unit, label, config, columns, rows, note }; null when there is nothing to show yet.
export class ChartCard {
  constructor(name, { wide = false, heading = "h2", empty = "There are no data for this yet." } = {}) {
    this.name = name;
    this.empty = empty;
    this.title = h(heading, {}, "…");
    this.unit = h("p", { class: "unit" });
    this.canvas = h("canvas", { role: "img", "aria-label": "loading" });
    this.plot = h("div", { class: "plot" }, this.canvas);
    this.state = h("p", { class: "state", role: "status" }, "Loading…");
    this.details = h("details", {}, h("summary", {}, "Data"));
    this.actions = h("div", { class: "actions" });
    this.element = h("figure", { class: wide ? "card wide" : "card", id: `chart-${name}` },
      h("figcaption", {}, this.title, this.unit), this.state, this.plot, h("div", { class: "under" }, this.details, this.actions));
    this.plot.hidden = true;
    this.details.hidden = true;
  }

  say(text) {
    this.state.textContent = text;
    this.state.hidden = false;
  }

  show(data) {
    if (!data) {
      const words = this.name.replaceAll("-", " ").replace("clv", "CLV").replace("cac", "CAC");
      this.title.textContent = words[0].toUpperCase() + words.slice(1);
      this.unit.textContent = "";
      this.say(this.empty);
      this.actions.replaceChildren();
      this.plot.hidden = true;
      this.details.hidden = true;
      return;
    }
    this.state.hidden = true;
    this.plot.hidden = false;
    this.details.hidden = false;
    this.title.textContent = data.title;
    this.unit.textContent = data.unit;
    this.canvas.setAttribute("aria-label", `${data.title}. ${data.label ?? data.unit}`);
    const isOpen = this.details.open;
    this.details.replaceChildren(h("summary", {}, "Data"), table(data.title, data.columns, data.rows));
    this.details.open = isOpen;
    this.actions.replaceChildren(csvButton(this.name, data.columns, () => data.rows), this.pngButton());
    this.draw(data.config);
  }

  draw(config) {
    const options = {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      normalized: true,
      interaction: { mode: "nearest", intersect: false },
      ...config.options,
      plugins: {
        legend: { display: config.data.datasets.length > 1, labels: { color: INK, usePointStyle: true, pointStyle: config.type === "line" ? "line" : "rectRounded", pointStyleWidth: config.type === "line" ? 34 : 14 } },
        tooltip: { backgroundColor: "#0c1222", borderColor: LINE, borderWidth: 1 },
        ...config.options?.plugins,
      },
    };
    if (this.chart && this.chart.config.type === config.type) {
      this.chart.data = config.data;
      this.chart.options = options;
      this.chart.update("none");
      return;
    }
    this.chart?.destroy();
    this.chart = new window.Chart(this.canvas, { type: config.type, data: config.data, options });
  }

  pngButton() {
    return h("button", { type: "button", class: "quiet", onclick: () => this.png() }, "PNG", h("span", { class: "unseen" }, ` of ${this.name}`));
  }

  png() {
    const copy = document.createElement("canvas");
    copy.width = this.canvas.width;
    copy.height = this.canvas.height;
    const paper = copy.getContext("2d");
    paper.fillStyle = "#0c1222";
    paper.fillRect(0, 0, copy.width, copy.height);
    paper.drawImage(this.canvas, 0, 0);
    copy.toBlob((blob) => save(`${this.name}.png`, blob), "image/png");
  }

  fail(problem) {
    if (this.chart && !this.plot.hidden) this.say(`Not up to date: ${problem.message}`);
    else {
      this.title.textContent = "This could not be loaded";
      this.say(problem.message);
    }
  }

  destroy() {
    this.chart?.destroy();
  }
}

export const isCalm = () => calm.matches;
