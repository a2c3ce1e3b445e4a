// Campaigns: audiences at the platform, what campaigns cost and brought, budgets that were changed.

import { get } from "../api.js";
import { axis, ChartCard, COLOURS, dayAxis, DASHES } from "../charts.js";
import { announce, h } from "../dom.js";
import { count, day, decimal, money, percent, time } from "../format.js";
import { csvButton, table } from "../tables.js";

const REFRESH_MS = 15_000;
const NO_FIGURES = "No campaign figures are known: import a CSV with `clv ads import-performance FILE`.";
const STATES = { wanted: "not delivered yet", too_small: "too small", ready: "as wanted", sending: "being sent", replacing: "being replaced", waiting: "waiting", asks: "asks for leave", refused: "refused", failed: "failed" };
const SEGMENTS = ["High-CLV", "Growth-Potential", "Low-CLV"];

export class Campaigns {
  constructor(state) {
    this.state = state;
    this.audiences = card("audiences", "Audiences");
    this.changes = card("budget-changes", "Budget changes");
    this.list = card("campaigns", "Campaigns");
    this.cards = Object.fromEntries(["roas", "cac-against-target", "spend-by-week"].map((name) => [name, new ChartCard(name, { wide: name === "spend-by-week", empty: NO_FIGURES })]));
    this.element = h("div", { class: "grid" }, this.audiences, this.cards.roas.element, this.cards["cac-against-target"].element,
      this.cards["spend-by-week"].element, this.list, this.changes);
    this.refresh();
    this.timer = setInterval(() => this.state.isPaused || this.refresh(), REFRESH_MS);
  }

  leave() {
    clearInterval(this.timer);
    Object.values(this.cards).forEach((each) => each.destroy());
  }

  async refresh() {
    const failed = (element, title) => (problem) => element.replaceChildren(h("h2", {}, title), h("p", { class: "problem" }, problem.message));
    await Promise.all([
      get("/api/meta-ads/audiences").then((found) => this.audiences.replaceChildren(...audiences(found)), failed(this.audiences, "Audiences")),
      get("/api/meta-ads/campaigns").then((found) => {
        this.cards.roas.show(roas(found));
        this.cards["cac-against-target"].show(costs(found));
        this.cards["spend-by-week"].show(weeks(found));
        this.list.replaceChildren(...campaigns(found));
      }, (problem) => {
        Object.values(this.cards).forEach((each) => each.fail(problem));
        failed(this.list, "Campaigns")(problem);
      }),
      get("/api/meta-ads/budget-changes").then((found) => this.changes.replaceChildren(...this.budget(found)), failed(this.changes, "Budget changes")),
    ]);
  }

  budget(found) {
    const amounts = (split) => Object.entries(split).map(([segment, amount]) => `${segment} ${money(amount)}`).join(", ") || "–";
    const columns = [
      { name: "When", value: (row) => row.at, show: (row) => time(row.at) },
      { name: "By", value: (row) => row.by },
      { name: "State", value: (row) => row.status, show: (row) => row.status.replaceAll("_", " ") },
      { name: "Before, a day", value: (row) => amounts(row.amounts_before) },
      { name: "After, a day", value: (row) => amounts(row.amounts_after) },
      { name: "Detail", value: (row) => row.detail },
      { name: "Back", value: () => "", show: (row) => (row.status === "applied" ? this.button("Set back", `/api/meta-ads/budget-changes/${row.change_id}/rollback`, `change ${row.change_id.slice(0, 8)}`) : "") },
    ];
    const isDone = found.items.some((row) => row.proposal_id === found.newest_proposal_id && !["failed", "rolled_back"].includes(row.status));
    const says = !found.newest_proposal_id ? "There is no proposal yet: the first comes once customers have segments."
      : isDone ? "The newest proposal was approved." : found.refusal ? `The newest proposal would not be carried out: ${found.refusal}.` : "The newest proposal waits for approval.";
    const canApprove = found.newest_proposal_id && !found.refusal && !isDone;
    return [
      h("h2", {}, "Budget changes"),
      h("p", { class: "unit" }, "Proposals are the trainer's; nothing is spent before somebody approves one"),
      h("div", { class: "row" }, h("span", {}, says), canApprove ? this.button("Approve it", `/api/meta-ads/proposals/${found.newest_proposal_id}/apply`, "the newest proposal") : null),
      found.items.length ? table("Budget changes", columns, found.items) : "",
    ];
  }

  button(label, path, what) {
    const button = h("button", { type: "button", class: "quiet", onclick: async () => {
      button.disabled = true;
      try {
        await get(path, {}, { method: "POST" });
        announce(`${label}: ${what}, within seconds`);
        await this.refresh();
      } catch (problem) {
        button.disabled = false;
        button.after(h("span", { class: "problem" }, problem.message));
      }
    } }, label, h("span", { class: "unseen" }, ` ${what}`));
    return button;
  }
}

const card = (id, title) => h("section", { class: "card wide", id }, h("h2", {}, title), h("p", { class: "state" }, "Loading…"));

function audiences(found) {
  const rejected = (row) => Object.values(row.rejected).reduce((sum, n) => sum + n, 0);
  const columns = [
    { name: "Audience", value: (row) => row.name },
    { name: "For", value: (row) => row.strategy },
    { name: "Lookalike", value: (row) => row.lookalike ?? "–" },
    { name: "Belong", number: true, value: (row) => row.size, show: (row) => count(row.size) },
    { name: "There", number: true, value: (row) => row.present, show: (row) => count(row.present) },
    { name: "Not told", number: true, value: rejected, show: (row) => count(rejected(row)) },
    { name: "State", value: (row) => row.status, show: (row) => (row.waiting_until ? `waiting until ${time(row.waiting_until)}` : STATES[row.status] ?? row.status) },
    { name: "Why", value: (row) => [row.detail, ...Object.entries(row.rejected).map(([why, n]) => `${n} ${why}`)].filter(Boolean).join("; ") },
    { name: "As wanted", value: (row) => row.synced_at, show: (row) => (row.synced_at ? time(row.synced_at) : "–") },
  ];
  const ready = found.items.filter((row) => row.status === "ready").length;
  const title = ready ? `${count(ready)} of ${count(found.items.length)} audiences are as the scores want them` : "No audience has been delivered yet";
  const where = found.platform === "file" ? "CSV files in the data directory; `CLV_ADS_PLATFORM=meta` delivers to an ad account" : `At ${found.platform}`;
  return [h("h2", {}, title), h("p", { class: "unit" }, found.note || where), table("Audiences", columns, found.items),
    h("div", { class: "under" }, h("span"), h("div", { class: "actions" }, csvButton("audiences", columns, () => found.items)))];
}

const known = (rows) => SEGMENTS.map((segment) => rows.find((row) => row.segment === segment)).filter(Boolean);

function roas(found) {
  const rows = known(found.segments).filter((row) => row.roas !== null);
  if (!rows.length) return null;
  const best = [...rows].sort((a, b) => b.roas - a.roas)[0];
  return {
    title: `${best.segment} brings most for its money: ${decimal(best.roas)} for each unit spent`,
    unit: "ROAS: value by the platform's count over spend",
    columns: [
      { name: "Segment", value: (row) => row.segment },
      { name: "Spend", number: true, value: (row) => row.spend, show: (row) => money(row.spend) },
      { name: "Value", number: true, value: (row) => row.value, show: (row) => money(row.value) },
      { name: "ROAS", number: true, value: (row) => row.roas, show: (row) => decimal(row.roas) },
    ],
    rows,
    config: {
      type: "bar",
      data: { labels: rows.map((row) => row.segment), datasets: [{ label: "ROAS", data: rows.map((row) => row.roas), backgroundColor: rows.map((row) => COLOURS[row.segment]) }] },
      options: { scales: { x: axis(""), y: axis("value for each unit", { beginAtZero: true }) } },
    },
  };
}

function costs(found) {
  const rows = known(found.segments).filter((row) => row.cac !== null);
  if (!rows.length) return null;
  const over = rows.filter((row) => row.cac_target !== null && row.cac > row.cac_target);
  return {
    title: over.length === rows.length ? "Every segment costs more than a customer may" : over.length ? `${over.map((row) => row.segment).join(" and ")} cost${over.length > 1 ? "" : "s"} more than a customer may` : "No segment costs more than a customer may",
    unit: "Spend a new customer (CAC) against its target, 30 % of the segment's mean CLV; payback if value comes evenly",
    columns: [
      { name: "Segment", value: (row) => row.segment },
      { name: "New customers", number: true, value: (row) => row.new_customers, show: (row) => count(row.new_customers) },
      { name: "CAC", number: true, value: (row) => row.cac, show: (row) => money(row.cac) },
      { name: "May cost", number: true, value: (row) => row.cac_target, show: (row) => (row.cac_target === null ? "–" : money(row.cac_target)) },
      { name: "CLV to CAC", number: true, value: (row) => row.ltv_to_cac, show: (row) => (row.ltv_to_cac === null ? "–" : decimal(row.ltv_to_cac)) },
      { name: "Payback, months", number: true, value: (row) => row.payback_months, show: (row) => (row.payback_months === null ? "–" : decimal(row.payback_months, 1)) },
    ],
    rows,
    config: {
      type: "bar",
      data: {
        labels: rows.map((row) => row.segment),
        datasets: [
          { label: "Costs", data: rows.map((row) => row.cac), backgroundColor: rows.map((row) => COLOURS[row.segment]) },
          { label: "May cost", data: rows.map((row) => row.cac_target), backgroundColor: "rgba(242, 177, 52, 0.75)" },
        ],
      },
      options: { scales: { x: axis(""), y: axis("", { beginAtZero: true, ticks: { callback: (value) => money(value, { short: true }) } }) } },
    },
  };
}

function weeks(found) {
  const rows = found.weeks.filter((row) => row.days === 7);
  if (rows.length < 2) return null;
  const last = rows.at(-1).week_from;
  const spent = rows.filter((row) => row.week_from === last).reduce((sum, row) => sum + row.spend, 0);
  const series = (segment, field) => rows.filter((row) => row.segment === segment).map((row) => ({ x: Date.parse(row.week_from), y: row[field] }));
  return {
    title: `${money(spent)} was spent in the last whole week`,
    unit: `Spend by week and segment; days after ${day(found.final_until)} may still be corrected`,
    columns: [
      { name: "Week from", value: (row) => row.week_from },
      { name: "Segment", value: (row) => row.segment },
      { name: "Spend", number: true, value: (row) => row.spend, show: (row) => money(row.spend) },
      { name: "Value", number: true, value: (row) => row.value, show: (row) => money(row.value) },
    ],
    rows,
    config: {
      type: "line",
      data: { datasets: SEGMENTS.map((segment, place) => ({ label: segment, data: series(segment, "spend"), borderColor: COLOURS[segment], borderDash: DASHES[place], borderWidth: 2, pointRadius: 2 })) },
      options: { parsing: false, scales: { x: dayAxis(), y: axis("a week", { beginAtZero: true, ticks: { callback: (value) => money(value, { short: true }) } }) } },
    },
  };
}

function campaigns(found) {
  if (!found.campaigns.length) return [h("h2", {}, "Campaigns"), h("p", { class: "state" }, NO_FIGURES)];
  const columns = [
    { name: "Campaign", value: (row) => row.name },
    { name: "Segment", value: (row) => row.segment ?? "unknown" },
    { name: "Spend", number: true, value: (row) => row.spend, show: (row) => money(row.spend) },
    { name: "Purchases", number: true, value: (row) => row.purchases, show: (row) => count(row.purchases) },
    { name: "New customers", number: true, value: (row) => row.new_customers, show: (row) => count(row.new_customers) },
    { name: "Value", number: true, value: (row) => row.value, show: (row) => money(row.value) },
    { name: "ROAS", number: true, value: (row) => row.roas, show: (row) => (row.roas === null ? "–" : decimal(row.roas)) },
    { name: "CAC", number: true, value: (row) => row.cac, show: (row) => (row.cac === null ? "–" : money(row.cac)) },
    { name: "Of what it may cost", number: true, value: (row) => (row.cac && row.cac_target ? row.cac / row.cac_target : null), show: (row) => (row.cac && row.cac_target ? percent(row.cac / row.cac_target) : "–") },
    { name: "From", value: (row) => row.first_day },
    { name: "To", value: (row) => row.last_day },
  ];
  return [h("h2", {}, `${count(found.campaigns.length)} campaigns, the costliest first`), h("p", { class: "unit" }, "By the platform's count"),
    table("Campaigns", columns, found.campaigns), h("div", { class: "under" }, h("span"), h("div", { class: "actions" }, csvButton("campaigns", columns, () => found.campaigns)))];
}
