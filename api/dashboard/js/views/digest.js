// The week in one page, to read or print: what moved, who rose, who is slipping away, what to do.

import { get } from "../api.js";
import { openDrawer } from "../drawer.js";
import { badge, h } from "../dom.js";
import { count, day, direction, money, percent, REASONS, signed } from "../format.js";
import { csvButton, table } from "../tables.js";

const SHOWN = 10;
const SILENT_DAYS = 42;

export class Digest {
  constructor(state) {
    this.state = state;
    this.body = h("div", { class: "digest" }, h("p", { class: "state", role: "status" }, "Loading…"));
    this.element = h("article", { class: "card wide" }, this.body);
    this.load();
  }

  async load() {
    try {
      const [segments, distributions, feed] = await Promise.all([
        get("/api/segments", { days: 7 }),
        get("/api/distributions"),
        get("/api/segments/changes", { limit: 200 }),
      ]);
      const silentSince = segments.movement_to ? new Date(Date.parse(segments.movement_to) - SILENT_DAYS * 86_400_000).toISOString() : "";
      const silent = await get("/api/customers", { segment: "High-CLV", last_order_to: silentSince, limit: SHOWN });
      this.show(segments, distributions, feed.items, silent.items);
    } catch (problem) {
      this.body.replaceChildren(h("p", { class: "problem", role: "alert" }, problem.message));
    }
  }

  show(segments, distributions, changes, silent) {
    if (!segments.movement_to) {
      this.body.replaceChildren(h("h2", {}, "The week"), h("p", { class: "state" }, "There are no data yet."));
      return;
    }
    const inWeek = (each) => each.day >= segments.movement_from && each.day <= segments.movement_to;
    const week = distributions.days.filter(inWeek);
    const before = distributions.days.filter((each) => each.day < segments.movement_from).slice(-7);
    const sum = (days, name) => days.reduce((total, each) => total + each[name], 0);
    const value = week.at(-1)?.total_clv ?? before.at(-1)?.total_clv ?? 0;
    const valueBefore = before.at(-1)?.total_clv ?? 0;
    const risen = changes.filter((change) => direction(change) === "up" && change.to_segment === "High-CLV" && change.as_of.slice(0, 10) >= segments.movement_from);
    const best = [...risen].sort((a, b) => b.clv_after - a.clv_after).slice(0, SHOWN);
    this.body.replaceChildren(
      h("header", { class: "row" }, h("h2", {}, `The week to ${day(`${segments.movement_to}T00:00:00Z`)}`), h("button", { type: "button", class: "quiet", onclick: () => print() }, "Print")),
      h("section", {}, h("h3", {}, "What moved"), h("ul", {},
        h("li", {}, `Revenue ${money(sum(week, "revenue"))} from ${count(sum(week, "orders"))} orders, after ${money(sum(before, "revenue"))} the week before.`),
        h("li", {}, `${count(sum(week, "new_customers"))} new customers.`),
        h("li", {}, `Predicted value of all customers ${money(value)}: ${signed(value - valueBefore)} in the week.`),
        ...segments.movement.filter((move) => move.from_segment).sort((a, b) => b.changes - a.changes).slice(0, 4).map((move) =>
          h("li", {}, `${count(move.changes)} customers went from ${move.from_segment} to ${move.to_segment}, ${main(move)}.`)))),
      h("section", {}, h("h3", {}, best.length ? "Who rose to High-CLV" : "Nobody rose to High-CLV this week"), best.length ? table("Customers who rose to High-CLV", RISEN, best) : null),
      h("section", {}, h("h3", {}, "Who is slipping away"), h("p", { class: "unit" }, "The most valuable High-CLV customers who have bought nothing for six weeks"), silent.length ? table("Valuable customers who have been silent for six weeks", SILENT, silent) : h("p", { class: "state" }, "Nobody."),
        silent.length ? csvButton("slipping-away", SILENT, () => silent) : null),
      h("section", {}, h("h3", {}, "What to do"), h("ul", {}, advice(segments, silent).map((text) => h("li", {}, text)))));
  }
}

const customer = (row) => h("button", { type: "button", class: "link", onclick: () => openDrawer(row.customer_id) }, row.customer_id);

const RISEN = [
  { name: "Customer", value: (row) => row.customer_id, show: customer },
  { name: "From", value: (row) => row.from_segment, show: (row) => badge(row.from_segment) },
  { name: "CLV", number: true, value: (row) => row.clv_after, show: (row) => `${money(row.clv_before)} → ${money(row.clv_after)}` },
  { name: "After", value: (row) => REASONS[row.reason] },
  { name: "When", value: (row) => row.as_of, show: (row) => day(row.as_of) },
];

const SILENT = [
  { name: "Customer", value: (row) => row.customer_id, show: customer },
  { name: "Last order", value: (row) => row.last_order_at, show: (row) => day(row.last_order_at) },
  { name: "CLV", number: true, value: (row) => row.clv, show: (row) => money(row.clv) },
  { name: "Brought so far", number: true, value: (row) => row.revenue, show: (row) => money(row.revenue) },
  { name: "Orders", number: true, value: (row) => row.order_count, show: (row) => count(row.order_count) },
];

function main(move) {
  const [reason, n] = Object.entries(move.reasons).sort((a, b) => b[1] - a[1])[0];
  return n === move.changes ? `after ${REASONS[reason]}` : `mostly after ${REASONS[reason]}`;
}

function advice(segments, silent) {
  const [high, growth, low] = segments.segments;
  const says = [];
  if (silent.length) says.push(`Write to the ${count(silent.length)} High-CLV customers above before silence takes them out of the segment; together they are worth ${money(silent.reduce((sum, row) => sum + row.clv, 0))}.`);
  if (high.customers) says.push(`Pay up to ${money(high.cac_target)} for a customer like the High-CLV ones, ${money(growth.cac_target)} for Growth-Potential, ${money(low.cac_target)} for Low-CLV.`);
  const lost = segments.movement.find((move) => move.from_segment === "High-CLV" && move.to_segment !== "High-CLV");
  if (lost && lost.changes > 0.05 * high.customers) says.push(`${percent(lost.changes / high.customers, 1)} of the High-CLV customers left the segment within the week: look at what changed for them.`);
  if (!says.length) says.push("Nothing stands out.");
  return says;
}
