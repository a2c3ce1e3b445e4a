// The first view: key figures that move, the feed of segment changes, the budget.

import { get } from "../api.js";
import { axis, ChartCard, clockAxis, COLOURS } from "../charts.js";
import { openDrawer } from "../drawer.js";
import { badge, h } from "../dom.js";
import { count, day, decimal, direction, money, percent, REASONS } from "../format.js";
import { table } from "../tables.js";

const REFRESH_MS = 10_000;
const SHOWN_CHANGES = 12;

export class Today {
  constructor(state) {
    this.state = state;
    this.kpis = new Kpis();
    this.feed = new Feed(state);
    this.budget = new Budget();
    this.activity = new ChartCard("orders-per-minute", { empty: "No order came in the last quarter of an hour." });
    this.revenue = new ChartCard("revenue-by-week", { wide: true });
    this.element = h("div", { class: "grid" },
      this.kpis.element, this.feed.element, this.budget.element, this.activity.element, this.revenue.element);
    if (state.summary) this.onSummary(state.summary);
    this.feed.render();
    this.refresh();
    this.timer = setInterval(() => this.state.isPaused || this.refresh(), REFRESH_MS);
  }

  leave() {
    clearInterval(this.timer);
    this.activity.destroy();
    this.revenue.destroy();
  }

  onSummary(summary) {
    this.kpis.show(summary);
    this.budget.onSummary(summary);
  }

  onChange() {
    this.feed.render();
  }

  async refresh() {
    await Promise.all([
      get("/api/dashboard/activity", { minutes: 15 }).then((found) => this.activity.show(activityChart(found)), (problem) => this.activity.fail(problem)),
      get("/api/distributions").then((found) => this.revenue.show(revenueChart(found)), (problem) => this.revenue.fail(problem)),
    ]);
  }
}

class Kpis {
  constructor() {
    this.cards = {};
    const card = (name, label) => {
      const value = h("p", { class: "value" }, "–");
      const note = h("p", { class: "note" }, " ");
      this.cards[name] = { value, note };
      return h("div", { class: "kpi", id: `kpi-${name}` }, h("h2", {}, label), value, note);
    };
    this.element = h("section", { class: "kpis", "aria-label": "Key figures" },
      card("customers", "Customers"), card("revenue", "Revenue"), card("total", "Predicted value"), card("mean", "Mean CLV"),
      card("high", "High-value share"), card("rate", "Orders a minute"), card("moves", "Segment moves, 24 h"));
  }

  set(name, value, note) {
    const card = this.cards[name];
    if (card.value.textContent !== value && card.value.textContent !== "–") {
      card.value.classList.remove("moved");
      void card.value.offsetWidth; // begins the animation anew
      card.value.classList.add("moved");
    }
    card.value.textContent = value;
    card.note.textContent = note;
  }

  show(found) {
    this.set("customers", count(found.customers), `${count(found.orders)} orders`);
    this.set("revenue", money(found.revenue, { short: true }), `${money(found.refunded, { short: true })} refunded`);
    this.set("total", money(found.total_clv, { short: true }), `${money(found.total_clv_lower, { short: true })} to ${money(found.total_clv_upper, { short: true })}, next ${found.horizon_days} days`);
    this.set("mean", money(found.mean_clv), `${money(found.mean_clv_lower)} to ${money(found.mean_clv_upper)}`);
    this.set("high", percent(found.high_value_share, 1), `hold ${percent(found.segments[0].value_share)} of the value`);
    this.set("rate", count(Math.round(found.orders_per_minute)), "over the last full minute");
    this.set("moves", count(found.segment_changes_24h), "in event time");
  }
}

class Feed {
  constructor(state) {
    this.state = state;
    this.list = h("ol", { class: "feed", id: "feed" });
    this.element = h("section", { class: "card tall", "aria-labelledby": "feed-title" },
      h("h2", { id: "feed-title" }, "Customers who changed segment"), h("p", { class: "unit" }, "Newest first, with what moved them"), this.list);
  }

  render() {
    const changes = this.state.feed.slice(0, SHOWN_CHANGES);
    if (!changes.length) {
      this.list.replaceChildren(h("li", { class: "state" }, "No customer has changed segment yet."));
      return;
    }
    this.list.replaceChildren(...changes.map((change) => this.entry(change)));
  }

  entry(change) {
    const sign = { up: "▲", down: "▼", new: "●" }[direction(change)];
    const says = { up: "rose to", down: "fell to", new: "came into" }[direction(change)];
    return h("li", { class: direction(change), "data-event": change.event_id },
      h("span", { class: "sign", "aria-hidden": "true" }, sign),
      h("button", { type: "button", class: "link", onclick: () => openDrawer(change.customer_id) }, change.customer_id),
      h("span", {}, `${says} `), badge(change.to_segment),
      h("span", { class: "because" }, `${change.clv_before === null || direction(change) === "new" ? "" : `${money(change.clv_before)} → `}${money(change.clv_after)} after ${REASONS[change.reason]}, ${day(change.as_of)}`));
  }
}

class Budget {
  constructor() {
    this.slider = h("input", { type: "range", id: "budget-slider", min: "0", max: "100000", step: "100", value: "10000", "aria-label": "Total budget" });
    this.number = h("input", { type: "number", id: "budget-number", min: "0", step: "0.01", value: "10000", inputmode: "decimal" });
    this.body = h("div", { id: "budget-body", "aria-live": "polite" });
    this.element = h("section", { class: "card", "aria-labelledby": "budget-title" },
      h("h2", { id: "budget-title" }, "Where the next budget goes"),
      h("p", { class: "unit" }, "A proposal: nothing is spent by it"),
      h("div", { class: "row" }, h("label", { for: "budget-number" }, "Total"), this.number, this.slider), this.body);
    this.slider.addEventListener("input", () => this.ask(this.slider.value, this.number));
    this.number.addEventListener("input", () => this.ask(this.number.value, this.slider));
    this.load();
  }

  ask(value, other) {
    this.isTouched = true;
    other.value = value;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(value), 150);
  }

  onSummary(summary) {
    const kept = JSON.stringify(summary.segments.map((segment) => [segment.customers, segment.mean_clv]));
    if (this.kept !== undefined && this.kept !== kept) this.load(this.number.value);
    this.kept = kept;
  }

  async load(total) {
    this.aborter?.abort();
    this.aborter = new AbortController();
    try {
      const found = await get("/api/meta-ads/budget-allocation", { total_budget: total }, { signal: this.aborter.signal });
      if (total === undefined && !this.isTouched) this.slider.value = this.number.value = String(found.total_budget);
      this.show(found);
    } catch (problem) {
      if (problem.name !== "AbortError") this.body.replaceChildren(h("p", { class: "problem" }, problem.message));
    }
  }

  show(found) {
    const columns = [
      { name: "Segment", value: (row) => row.segment, show: (row) => badge(row.segment) },
      { name: "Amount", number: true, value: (row) => row.amount, show: (row) => money(row.amount) },
      { name: "Share", number: true, value: (row) => row.share, show: (row) => percent(row.share) },
      { name: "A customer may cost", number: true, value: (row) => row.cac_target, show: (row) => money(row.cac_target) },
      { name: "Buys", number: true, value: (row) => row.expected_new_customers, show: (row) => `≈ ${count(row.expected_new_customers)}` },
    ];
    const warnings = found.warnings.map((text) => h("p", { class: "note" }, text));
    this.body.replaceChildren(
      h("div", { class: "split", role: "img", "aria-label": found.allocations.map((each) => `${each.segment} ${percent(each.share)}`).join(", ") },
        found.allocations.map(part)),
      table("Budget by segment", columns, found.allocations),
      h("p", { class: "note" }, `${found.method}. A customer may cost 30 % of the mean CLV of the segment.`), ...warnings);
  }
}

function part(allocation) {
  const element = h("span", { class: `part ${kind(allocation.segment)}` });
  element.style.flexGrow = String(allocation.share);
  return element;
}

const kind = (segment) => ({ "High-CLV": "high", "Growth-Potential": "growth", "Low-CLV": "low" })[segment];

function activityChart(found) {
  if (!found.length) return null;
  const rates = found.map((each) => ({ x: Date.parse(each.at), y: each.orders * 6, moves: each.segment_changes * 6 }));
  const top = Math.max(...rates.map((each) => each.y));
  return {
    title: `Up to ${count(top)} orders a minute in the last quarter of an hour`,
    unit: "Orders a minute, in stretches of ten seconds by the clock",
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
          { label: "Orders", data: rates.map(({ x, y }) => ({ x, y })), borderColor: COLOURS["High-CLV"], backgroundColor: "rgba(108, 197, 245, 0.16)", fill: true, pointRadius: 0, borderWidth: 2 },
          { label: "Segment changes", data: rates.map(({ x, moves }) => ({ x, y: moves })), borderColor: COLOURS["Growth-Potential"], borderDash: [5, 4], pointRadius: 0, borderWidth: 2 },
        ],
      },
      options: {
        parsing: false,
        scales: {
          x: clockAxis(),
          y: axis("a minute", { beginAtZero: true }),
        },
      },
    },
  };
}

function revenueChart(found) {
  if (found.days.length < 2) return null;
  const weeks = new Map();
  for (const each of found.days) {
    const at = Date.parse(each.day);
    const monday = at - ((new Date(at).getUTCDay() + 6) % 7) * 86_400_000;
    const week = weeks.get(monday) ?? { at: monday, revenue: 0, orders: 0, new_customers: 0, total_clv: 0 };
    week.revenue += each.revenue;
    week.orders += each.orders;
    week.new_customers += each.new_customers;
    week.total_clv = each.total_clv;
    weeks.set(monday, week);
  }
  const rows = [...weeks.values()].slice(-60);
  const last = rows.at(-1);
  const past = rows.at(-5);
  const change = past && past.total_clv > 0 ? (last.total_clv - past.total_clv) / past.total_clv : 0;
  const says = Math.abs(change) < 0.01 ? "is where it was" : `${change > 0 ? "rose" : "fell"} by ${percent(Math.abs(change))}`;
  return {
    title: `Predicted value ${says} in four weeks`,
    unit: "Revenue by week and total CLV at its end, in event time",
    columns: [
      { name: "Week of", value: (row) => new Date(row.at).toISOString().slice(0, 10) },
      { name: "Revenue", number: true, value: (row) => Number(decimal(row.revenue)), show: (row) => money(row.revenue) },
      { name: "Orders", number: true, value: (row) => row.orders },
      { name: "New customers", number: true, value: (row) => row.new_customers },
      { name: "Total CLV", number: true, value: (row) => row.total_clv, show: (row) => money(row.total_clv) },
    ],
    rows,
    config: {
      type: "bar",
      data: {
        labels: rows.map((row) => new Date(row.at).toISOString().slice(0, 10)),
        datasets: [
          { type: "line", label: "Total CLV", data: rows.map((row) => row.total_clv), borderColor: COLOURS["Growth-Potential"], pointRadius: 0, borderWidth: 2 },
          { label: "Revenue", data: rows.map((row) => row.revenue), backgroundColor: "rgba(108, 197, 245, 0.55)" },
        ],
      },
      options: { scales: { x: axis(""), y: axis("", { beginAtZero: true, ticks: { callback: (value) => money(value, { short: true }) } }) } },
    },
  };
}
