// Models: error over time, calibration, drift, importance, who answers and why.

import { get } from "../api.js";
import { axis, ChartCard, COLOURS, dayAxis, DASHES } from "../charts.js";
import { h } from "../dom.js";
import { count, day, decimal, money, percent } from "../format.js";
import { csvButton, table } from "../tables.js";

const REFRESH_MS = 20_000;
const NAMES = ["clv", "btyd", "glm", "online", "ensemble", "naive"];
const SAYS = { clv: "given out", btyd: "BTYD", glm: "regression", online: "online (River)", ensemble: "ensemble (RF + GB)", naive: "naive yardstick", blend: "blend" };
const GROUPS = { history: "how often they bought", silence: "how long ago they bought", value: "what a purchase is worth", refunds: "what came back", email: "e-mail", acquisition: "where they came from", category: "what they buy" };

export class Models {
  constructor(state) {
    this.state = state;
    this.cards = Object.fromEntries(["error-over-time", "calibration", "feature-importance"].map((name) => [name, new ChartCard(name, { wide: name === "error-over-time" })]));
    this.champion = h("section", { class: "card", "aria-labelledby": "champion-title" }, h("h2", { id: "champion-title" }, "Who answers"), h("p", { class: "state" }, "Loading…"));
    this.errors = h("section", { class: "card wide" }, h("h2", {}, "Errors"), h("p", { class: "state" }, "Loading…"));
    this.drift = h("section", { class: "card" }, h("h2", {}, "Drift"), h("p", { class: "state" }, "Loading…"));
    this.switches = h("section", { class: "card wide" }, h("h2", {}, "Switches"), h("p", { class: "state" }, "Loading…"));
    this.element = h("div", { class: "grid" }, this.champion, this.cards.calibration.element, this.cards["error-over-time"].element,
      this.errors, this.cards["feature-importance"].element, this.drift, this.switches);
    this.refresh();
    this.timer = setInterval(() => this.state.isPaused || this.refresh(), REFRESH_MS);
  }

  leave() {
    clearInterval(this.timer);
    Object.values(this.cards).forEach((card) => card.destroy());
  }

  async refresh() {
    try {
      this.show(await get("/api/metrics"));
    } catch (problem) {
      Object.values(this.cards).forEach((card) => card.fail(problem));
      this.champion.replaceChildren(h("h2", { id: "champion-title" }, "Who answers"), h("p", { class: "problem" }, problem.message));
    }
  }

  show(found) {
    this.champion.replaceChildren(h("h2", { id: "champion-title" }, found.champion ? `The ${SAYS[found.champion.name] ?? found.champion.name} answers` : "The prior answers"), ...champion(found));
    this.cards.calibration.show(calibration(found));
    this.cards["error-over-time"].show(errorOverTime(found));
    this.cards["feature-importance"].show(importance(found));
    this.errors.replaceChildren(...errors(found));
    this.drift.replaceChildren(...drift(found));
    this.switches.replaceChildren(...switches(found));
  }
}

function champion(found) {
  if (!found.champion) return [h("p", { class: "note" }, "Nothing has been learned yet: scores come from a prior, with low confidence.")];
  const weights = Object.entries(found.champion.weights).sort((a, b) => b[1] - a[1]);
  const facts = [
    ["Version", found.champion.version],
    ["Learned through", day(found.champion.learned_through_at)],
    ["Examples learned", count(found.examples_learned)],
    ["Last card", day(found.last_training_at)],
    ["Pinned", found.champion.pinned ? "yes, by a person" : "no: the error decides"],
  ];
  return [
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    weights.length ? h("p", { class: "note" }, `Its parts: ${weights.map(([name, weight]) => `${SAYS[name] ?? name} ${percent(weight)}`).join(", ")}.`) : "",
  ];
}

function calibration(found) {
  const rows = found.calibration;
  if (!rows.length) return null;
  const predicted = rows.reduce((sum, row) => sum + row.predicted, 0);
  const realised = rows.reduce((sum, row) => sum + row.realised, 0);
  const off = realised > 0 ? predicted / realised - 1 : 0;
  return {
    title: Math.abs(off) < 0.02 ? "What was predicted is what came" : `Predictions were ${percent(Math.abs(off), 1)} ${off > 0 ? "above" : "below"} what came`,
    unit: "Mean predicted and realised value by tenth of predictions, of the examples that matured last",
    columns: [
      { name: "Tenth", number: true, value: (row) => row.decile },
      { name: "Predicted", number: true, value: (row) => row.predicted, show: (row) => money(row.predicted) },
      { name: "Realised", number: true, value: (row) => row.realised, show: (row) => money(row.realised) },
    ],
    rows,
    config: {
      type: "bar",
      data: {
        labels: rows.map((row) => row.decile),
        datasets: [
          { label: "Predicted", data: rows.map((row) => row.predicted), backgroundColor: "rgba(108, 197, 245, 0.75)" },
          { label: "Realised", data: rows.map((row) => row.realised), backgroundColor: "rgba(242, 177, 52, 0.75)" },
        ],
      },
      options: { scales: { x: axis("tenth of customers, the most valuable first"), y: axis("", { beginAtZero: true, ticks: { callback: (value) => money(value, { short: true }) } }) } },
    },
  };
}

function errorOverTime(found) {
  const rows = found.error_over_time;
  if (rows.length < 2) return null;
  const names = NAMES.filter((name) => rows.some((row) => name in row.deviance));
  const last = rows.at(-1).deviance;
  const gain = last.clv && last.naive ? 1 - last.clv / last.naive : 0;
  return {
    title: gain > 0 ? `The error is ${percent(gain)} below the naive yardstick's` : "Error by model over time",
    unit: "Mean Tweedie deviance of the examples learned between two model cards; lower is better",
    columns: [
      { name: "Through", value: (row) => row.through, show: (row) => day(row.through) },
      { name: "Examples", number: true, value: (row) => row.examples, show: (row) => count(row.examples) },
      ...names.map((name) => ({ name: SAYS[name], number: true, value: (row) => row.deviance[name] ?? null, show: (row) => decimal(row.deviance[name]) })),
    ],
    rows,
    config: {
      type: "line",
      data: {
        datasets: names.map((name, place) => ({
          label: SAYS[name],
          data: rows.filter((row) => name in row.deviance).map((row) => ({ x: Date.parse(row.through), y: row.deviance[name] })),
          borderColor: COLOURS[name],
          borderDash: name === "clv" ? [] : DASHES[place % DASHES.length],
          borderWidth: name === "clv" ? 3 : 1.5,
          pointRadius: 0,
        })),
      },
      options: { parsing: false, scales: { x: dayAxis(), y: axis("deviance") } },
    },
  };
}

function importance(found) {
  const rows = found.feature_importance;
  if (!rows.length) return null;
  return {
    title: `The score leans most on ${GROUPS[rows[0].group] ?? rows[0].group}`,
    unit: "By how much the error rises when this is shuffled between customers, in per cent",
    columns: [
      { name: "What", value: (row) => GROUPS[row.group] ?? row.group },
      { name: "Rise", number: true, value: (row) => row.rise, show: (row) => percent(row.rise, 1) },
    ],
    rows,
    config: {
      type: "bar",
      data: { labels: rows.map((row) => GROUPS[row.group] ?? row.group), datasets: [{ label: "Rise of the error", data: rows.map((row) => 100 * row.rise), backgroundColor: "rgba(63, 208, 165, 0.75)" }] },
      options: { indexAxis: "y", scales: { x: axis("%"), y: axis("") } },
    },
  };
}

function errors(found) {
  if (!found.models.length) return [h("h2", {}, "Errors"), h("p", { class: "state" }, "No label has matured yet: the first do a horizon after the first order.")];
  const columns = [
    { name: "Model", value: (row) => SAYS[row.name] ?? row.name },
    { name: "Role", value: (row) => row.role },
    { name: "Examples", number: true, value: (row) => row.examples, show: (row) => count(row.examples) },
    { name: "Deviance", number: true, value: (row) => row.deviance, show: (row) => decimal(row.deviance) },
    { name: "MAE", number: true, value: (row) => row.mae, show: (row) => money(row.mae) },
    { name: "RMSE", number: true, value: (row) => row.rmse, show: (row) => money(row.rmse) },
    { name: "R²", number: true, value: (row) => row.r2, show: (row) => decimal(row.r2) },
    { name: "Gini", number: true, value: (row) => row.gini, show: (row) => decimal(row.gini) },
    { name: "Said / came", number: true, value: (row) => row.ratio, show: (row) => decimal(row.ratio) },
    { name: "Lately vs BTYD", number: true, value: (row) => row.relative_to_btyd, show: (row) => decimal(row.relative_to_btyd, 3) },
  ];
  const best = [...found.models].sort((a, b) => a.deviance - b.deviance)[0];
  return [
    h("h2", {}, `On the latest ${count(Math.max(...found.models.map((row) => row.examples)))} examples the ${SAYS[best.name] ?? best.name} model erred least`),
    h("p", { class: "unit" }, `Each predicted before its value was known; matured by ${day(found.data_as_of)}`),
    table("Errors by model", columns, found.models),
    h("div", { class: "under" }, h("span"), h("div", { class: "actions" }, csvButton("model-errors", columns, () => found.models))),
  ];
}

function drift(found) {
  const columns = [
    { name: "When", value: (row) => row.at, show: (row) => day(row.at) },
    { name: "Detector", value: (row) => row.detector },
    { name: "Before", number: true, value: (row) => row.before, show: (row) => decimal(row.before) },
    { name: "After", number: true, value: (row) => row.after, show: (row) => decimal(row.after) },
  ];
  const title = found.drift.length ? `${count(found.drift.length)} alarms; each brings the next training forward` : "Nothing has drifted";
  return [h("h2", {}, title), h("p", { class: "unit" }, "Page-Hinkley on errors, order values and newcomers"), found.drift.length ? table("Drift alarms", columns, [...found.drift].reverse()) : ""];
}

function switches(found) {
  const columns = [
    { name: "When", value: (row) => row.at, show: (row) => day(row.at) },
    { name: "Version", value: (row) => row.version },
    { name: "Cause", value: (row) => row.cause },
    { name: "Before", value: (row) => SAYS[row.before] ?? row.before },
    { name: "After", value: (row) => SAYS[row.after] ?? row.after },
    { name: "Errors vs BTYD", value: (row) => Object.entries(row.relative_errors).map(([name, error]) => `${SAYS[name] ?? name} ${error === null ? "–" : error.toFixed(3)}`).join(", ") },
    { name: "Examples", number: true, value: (row) => row.examples, show: (row) => count(row.examples) },
  ];
  return [h("h2", {}, found.switches.length ? "Who answered, since when, on what evidence" : "No switch yet"), found.switches.length ? table("Switches of who answers", columns, [...found.switches].reverse()) : ""];
}
