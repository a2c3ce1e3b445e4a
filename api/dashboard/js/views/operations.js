// Operations: roles, lag, freshness, dead letters and their replay.

import { get } from "../api.js";
import { axis, ChartCard, clockAxis, COLOURS } from "../charts.js";
import { announce, h } from "../dom.js";
import { ago, count, decimal, time } from "../format.js";
import { csvButton, table } from "../tables.js";

const REFRESH_MS = 5_000;

export class Operations {
  constructor(state) {
    this.state = state;
    this.health = h("section", { class: "card", id: "health", "aria-live": "polite" }, h("h2", {}, "Health"), h("p", { class: "state" }, "Loading…"));
    this.roles = h("section", { class: "card" }, h("h2", {}, "Roles"), h("p", { class: "state" }, "Loading…"));
    this.throughput = new ChartCard("throughput", { wide: true });
    this.letters = new Letters();
    this.element = h("div", { class: "grid" }, this.health, this.roles, this.throughput.element, this.letters.element);
    this.refresh();
    this.timer = setInterval(() => this.state.isPaused || this.refresh(), REFRESH_MS);
  }

  leave() {
    clearInterval(this.timer);
    this.throughput.destroy();
  }

  onSummary(summary) {
    this.summary = summary;
  }

  async refresh() {
    await Promise.all([
      get("/api/health").then((found) => this.show(found), (problem) => this.health.replaceChildren(h("h2", {}, "Down"), h("p", { class: "problem" }, problem.message))),
      get("/api/dashboard/activity", { minutes: 60 }).then((found) => this.throughput.show(throughput(found)), (problem) => this.throughput.fail(problem)),
      this.letters.refresh(),
    ]);
  }

  show(found) {
    const summary = this.state.summary;
    const facts = [
      ["Orders to apply", count(found.lag.orders)],
      ["Outputs to store", count(found.lag.outputs)],
      ["Event-days to learn", count(found.lag.days_to_learn)],
      ["Last stored", summary && summary.freshness_seconds !== null ? `${ago(summary.freshness_seconds)} ago` : "never"],
      ["Model", found.model_age.version || "the prior"],
      ["Model behind event time", found.model_age.event_days_behind === null ? "–" : `${decimal(found.model_age.event_days_behind, 1)} days`],
    ];
    this.health.replaceChildren(
      h("h2", {}, found.status === "ok" ? "Everything runs" : found.problems.join("; ")),
      h("p", { class: `unit status ${found.status}` }, `Status: ${found.status}`),
      h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
    const columns = [
      { name: "Role", value: (row) => row.role },
      { name: "Process", value: (row) => row.instance },
      { name: "State", value: (row) => (row.is_alive ? "alive" : "gone"), show: (row) => h("span", { class: row.is_alive ? "alive" : "gone" }, row.is_alive ? "● alive" : "○ gone") },
      { name: "Seen", value: (row) => row.seconds_since_seen, show: (row) => `${ago(row.seconds_since_seen)} ago` },
      { name: "Up", value: (row) => row.uptime_seconds, show: (row) => ago(row.uptime_seconds) },
      { name: "Says", value: (row) => Object.entries(row.figures).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(", ") },
    ];
    const alive = found.roles.filter((role) => role.is_alive).length;
    this.roles.replaceChildren(h("h2", {}, found.roles.length ? `${count(alive)} of ${count(found.roles.length)} processes are alive` : "No process has reported"),
      found.roles.length ? table("Roles", columns, found.roles) : h("p", { class: "state" }, "Start them with `clv up`."));
  }
}

class Letters {
  constructor() {
    this.reason = h("select", { id: "letter-reason", onchange: () => this.refresh() }, h("option", { value: "" }, "All reasons"));
    this.body = h("div", {}, h("p", { class: "state" }, "Loading…"));
    this.title = h("h2", {}, "Dead letters");
    this.element = h("section", { class: "card wide", id: "dead-letters" }, this.title, h("p", { class: "unit" }, "Records that could not be applied; content is masked"),
      h("div", { class: "row" }, h("label", { for: "letter-reason" }, "Reason"), this.reason), this.body);
  }

  async refresh() {
    try {
      this.show(await get("/api/dead-letters", { reason: this.reason.value, limit: 50 }));
    } catch (problem) {
      this.body.replaceChildren(h("p", { class: "problem" }, problem.message));
    }
  }

  show(found) {
    const reasons = Object.entries(found.by_reason);
    const total = reasons.reduce((sum, [, n]) => sum + n, 0);
    this.title.textContent = total ? `${count(total)} records could not be applied` : "Every record could be applied";
    const known = [...this.reason.options].map((option) => option.value);
    for (const [reason] of reasons) if (!known.includes(reason)) this.reason.append(h("option", { value: reason }, reason.replaceAll("_", " ")));
    if (!found.items.length) {
      this.body.replaceChildren(h("p", { class: "state" }, "There are none."));
      return;
    }
    const columns = [
      { name: "Where", value: (row) => row.id },
      { name: "Reason", value: (row) => row.reason },
      { name: "Detail", value: (row) => row.detail },
      { name: "Bytes", number: true, value: (row) => row.bytes, show: (row) => count(row.bytes) },
      { name: "Stored", value: (row) => row.stored_at, show: (row) => time(row.stored_at) },
      { name: "Again", value: (row) => row.replay, show: (row) => this.again(row) },
    ];
    this.body.replaceChildren(table("Dead letters", columns, found.items), h("div", { class: "under" }, h("span"), h("div", { class: "actions" }, csvButton("dead-letters", columns, () => found.items))));
  }

  again(row) {
    if (row.replay === "requested") return "on its way";
    const button = h("button", { type: "button", class: "quiet", onclick: () => this.replay(row, button) }, row.replay === "sent" ? "Sent; again" : "Send again", h("span", { class: "unseen" }, ` ${row.id}`));
    return button;
  }

  async replay(row, button) {
    button.disabled = true;
    try {
      await get(`/api/dead-letters/${encodeURIComponent(row.topic)}/${row.partition}/${row.offset}/replay`, {}, { method: "POST" });
      announce(`${row.id} will be sent again`);
      await this.refresh();
    } catch (problem) {
      button.disabled = false;
      button.after(h("span", { class: "problem" }, problem.message));
    }
  }
}

function throughput(found) {
  if (!found.length) return null;
  const dead = found.reduce((sum, each) => sum + each.dead_letters, 0);
  const scores = found.reduce((sum, each) => sum + each.scores, 0);
  const series = (name) => found.map((each) => ({ x: Date.parse(each.at), y: each[name] / 10 }));
  return {
    title: `${count(scores)} scores and ${count(dead)} dead letters were stored in the last hour`,
    unit: "A second, in stretches of ten seconds by the clock",
    columns: [
      { name: "At", value: (row) => row.at },
      { name: "Orders", number: true, value: (row) => row.orders },
      { name: "Scores", number: true, value: (row) => row.scores },
      { name: "Segment changes", number: true, value: (row) => row.segment_changes },
      { name: "Dead letters", number: true, value: (row) => row.dead_letters },
    ],
    rows: found,
    config: {
      type: "line",
      data: {
        datasets: [
          { label: "Scores", data: series("scores"), borderColor: COLOURS.clv, borderWidth: 2, pointRadius: 0 },
          { label: "Orders", data: series("orders"), borderColor: COLOURS.btyd, borderDash: [6, 3], borderWidth: 2, pointRadius: 0 },
          { label: "Dead letters", data: series("dead_letters"), borderColor: COLOURS.online, borderDash: [2, 3], borderWidth: 2, pointRadius: 0 },
        ],
      },
      options: { parsing: false, scales: { x: clockAxis(), y: axis("a second", { beginAtZero: true }) } },
    },
  };
}

