// Segments: sizes, concentration, movement, cohorts, sources and campaigns.

import { get } from "../api.js";
import { axis, ChartCard, COLOURS, DASHES, SERIES } from "../charts.js";
import { h } from "../dom.js";
import { count, money, percent } from "../format.js";
import { Flow } from "../flow.js";

const REFRESH_MS = 15_000;
const SHOWN_COHORTS = 6;
const EMPTY = {
  "clv-by-source": "No order says where its customer came from: give `acquisition.source` in order events.",
  "clv-by-campaign": "No order names a campaign: give `acquisition.campaign_type` in order events.",
};

export class Segments {
  constructor(state, parameters) {
    this.state = state;
    this.days = parameters.get("days") ?? "28";
    this.cards = Object.fromEntries(["segment-sizes", "value-concentration", "cohort-curves", "clv-by-source", "clv-by-campaign", "cac-against-clv"].map((name) => [name, new ChartCard(name, { empty: EMPTY[name] })]));
    this.flow = new Flow((days) => { this.days = days; this.refresh(); }, this.days);
    this.element = h("div", { class: "grid" }, this.cards["segment-sizes"].element, this.cards["value-concentration"].element, this.flow.element,
      this.cards["cohort-curves"].element, this.cards["cac-against-clv"].element, this.cards["clv-by-source"].element, this.cards["clv-by-campaign"].element);
    this.refresh();
    this.timer = setInterval(() => this.state.isPaused || this.refresh(), REFRESH_MS);
  }

  leave() {
    clearInterval(this.timer);
    Object.values(this.cards).forEach((card) => card.destroy());
  }

  async refresh() {
    const fail = (names) => (problem) => names.forEach((name) => this.cards[name].fail(problem));
    await Promise.all([
      get("/api/segments", { days: this.days }).then((found) => {
        this.cards["segment-sizes"].show(sizes(found));
        this.cards["cac-against-clv"].show(acquisition(found));
        this.flow.show(found);
      }, (problem) => { fail(["segment-sizes", "cac-against-clv"])(problem); this.flow.fail(problem); }),
      get("/api/distributions").then((found) => {
        this.cards["value-concentration"].show(concentration(found));
        this.cards["cohort-curves"].show(cohorts(found));
        this.cards["clv-by-source"].show(named(found.sources, "source"));
        this.cards["clv-by-campaign"].show(named(found.campaigns, "campaign"));
      }, fail(["value-concentration", "cohort-curves", "clv-by-source", "clv-by-campaign"])),
    ]);
  }
}

function sizes(found) {
  const rows = found.segments;
  if (!rows.some((row) => row.customers)) return null;
  return {
    title: `${percent(rows[0].share)} of customers are High-CLV and hold ${percent(rows[0].value_share)} of the value`,
    unit: "Share of customers and of predicted value, in per cent",
    columns: [
      { name: "Segment", value: (row) => row.segment },
      { name: "Customers", number: true, value: (row) => row.customers, show: (row) => count(row.customers) },
      { name: "Of customers", number: true, value: (row) => row.share, show: (row) => percent(row.share, 1) },
      { name: "Total CLV", number: true, value: (row) => row.total_clv, show: (row) => money(row.total_clv) },
      { name: "Of value", number: true, value: (row) => row.value_share, show: (row) => percent(row.value_share, 1) },
      { name: "Mean CLV", number: true, value: (row) => row.mean_clv, show: (row) => money(row.mean_clv) },
    ],
    rows,
    config: {
      type: "bar",
      data: {
        labels: rows.map((row) => row.segment),
        datasets: [
          { label: "Of customers", data: rows.map((row) => 100 * row.share), backgroundColor: "rgba(169, 180, 200, 0.7)" },
          { label: "Of value", data: rows.map((row) => 100 * row.value_share), backgroundColor: rows.map((row) => COLOURS[row.segment]) },
        ],
      },
      options: { scales: { x: axis(""), y: axis("%", { beginAtZero: true, max: 100 }) } },
    },
  };
}

function concentration(found) {
  if (found.lorenz.length < 2) return null;
  const points = found.lorenz.map((point) => ({ x: 100 * point.customer_share, y: 100 * point.value_share }));
  return {
    title: `The most valuable tenth of customers holds ${percent(found.top_decile_share)} of the value`,
    unit: "Cumulative share of predicted value, most valuable customers first, in per cent",
    columns: [
      { name: "Customers", number: true, value: (row) => row.customer_share, show: (row) => percent(row.customer_share, 1) },
      { name: "Value", number: true, value: (row) => row.value_share, show: (row) => percent(row.value_share, 1) },
    ],
    rows: [0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1].map((share) => found.lorenz.find((point) => point.customer_share >= share - 1e-9)).filter(Boolean),
    config: {
      type: "line",
      data: {
        datasets: [
          { label: "Value held", data: points, borderColor: COLOURS["High-CLV"], backgroundColor: "rgba(108, 197, 245, 0.14)", fill: true, pointRadius: 0, borderWidth: 2 },
          { label: "If all were worth the same", data: [{ x: 0, y: 0 }, { x: 100, y: 100 }], borderColor: COLOURS["Low-CLV"], borderDash: [5, 4], pointRadius: 0, borderWidth: 1.5 },
        ],
      },
      options: { parsing: false, scales: { x: axis("% of customers", { type: "linear", min: 0, max: 100 }), y: axis("% of value", { min: 0, max: 100 }) } },
    },
  };
}

function cohorts(found) {
  const rows = found.cohorts.filter((cohort) => cohort.curve.length > 1);
  if (!rows.length) return null;
  const step = Math.max(1, Math.ceil(rows.length / SHOWN_COHORTS));
  const shown = rows.filter((_, place) => place % step === 0).slice(0, SHOWN_COHORTS);
  const at = (cohort, month) => cohort.curve[Math.min(month, cohort.curve.length - 1)].net_per_customer;
  const growth = shown.map((cohort) => (at(cohort, 0) > 0 ? at(cohort, 6) / at(cohort, 0) : 0)).filter((ratio) => ratio > 0);
  const mean = growth.length ? growth.reduce((sum, ratio) => sum + ratio, 0) / growth.length : 0;
  return {
    title: mean ? `After six months a customer has brought ${mean.toFixed(1)} times the first month's revenue` : "What cohorts have brought",
    unit: "Cumulative net revenue a customer, by months since the first order",
    columns: [
      { name: "Cohort", value: (row) => row.cohort },
      { name: "Customers", number: true, value: (row) => row.customers, show: (row) => count(row.customers) },
      ...[0, 1, 3, 6, 12].map((month) => ({
        name: `Month ${month}`, number: true,
        value: (row) => row.curve[month]?.net_per_customer ?? null,
        show: (row) => (row.curve[month] ? money(row.curve[month].net_per_customer) : "–"),
      })),
    ],
    rows: found.cohorts,
    config: {
      type: "line",
      data: {
        datasets: shown.map((cohort, place) => ({
          label: cohort.cohort,
          data: cohort.curve.map((point) => ({ x: point.month, y: point.net_per_customer })),
          borderColor: SERIES[place % SERIES.length],
          borderDash: DASHES[place % DASHES.length],
          pointRadius: 0,
          borderWidth: 2,
        })),
      },
      options: { parsing: false, scales: { x: axis("months since the first order", { type: "linear", ticks: { precision: 0 } }), y: axis("a customer", { beginAtZero: true, ticks: { callback: (value) => money(value, { short: true }) } }) } },
    },
  };
}

function named(rows, what) {
  const known = rows.filter((row) => row.name && row.customers);
  if (!known.length) return null;
  const best = [...known].sort((a, b) => b.mean_clv - a.mean_clv)[0];
  return {
    title: `Customers from ${best.name} are worth most: ${money(best.mean_clv)} each`,
    unit: `Mean CLV by acquisition ${what}`,
    columns: [
      { name: what === "source" ? "Source" : "Campaign", value: (row) => row.name || "unknown" },
      { name: "Customers", number: true, value: (row) => row.customers, show: (row) => count(row.customers) },
      { name: "Mean CLV", number: true, value: (row) => row.mean_clv, show: (row) => money(row.mean_clv) },
      { name: "Total CLV", number: true, value: (row) => row.total_clv, show: (row) => money(row.total_clv) },
      { name: "High-CLV", number: true, value: (row) => row.high_value_share, show: (row) => percent(row.high_value_share) },
      { name: "Revenue", number: true, value: (row) => row.revenue, show: (row) => money(row.revenue) },
    ],
    rows,
    config: {
      type: "bar",
      data: { labels: rows.map((row) => row.name || "unknown"), datasets: [{ label: "Mean CLV", data: rows.map((row) => row.mean_clv), backgroundColor: rows.map((_, place) => SERIES[place % SERIES.length]) }] },
      options: { indexAxis: "y", scales: { x: axis("", { beginAtZero: true, ticks: { callback: (value) => money(value, { short: true }) } }), y: axis("") } },
    },
  };
}

function acquisition(found) {
  const rows = found.segments.filter((row) => row.customers);
  if (!rows.length) return null;
  // Value comes evenly over the horizon, as far as anybody knows: what a customer may cost is back after its share of it.
  const payback = (row) => (row.mean_clv > 0 ? (found.horizon_days * row.cac_target) / row.mean_clv : null);
  return {
    title: `A High-CLV customer may cost ${money(found.segments[0].cac_target)} and pays it back in ${Math.round(payback(found.segments[0]) ?? 0)} days`,
    unit: `Mean CLV over ${found.horizon_days} days against what acquiring a customer may cost (30 %); payback if value comes evenly`,
    columns: [
      { name: "Segment", value: (row) => row.segment },
      { name: "Mean CLV", number: true, value: (row) => row.mean_clv, show: (row) => money(row.mean_clv) },
      { name: "May cost", number: true, value: (row) => row.cac_target, show: (row) => money(row.cac_target) },
      { name: "CLV to cost", number: true, value: (row) => (row.cac_target ? row.mean_clv / row.cac_target : null), show: (row) => (row.cac_target ? (row.mean_clv / row.cac_target).toFixed(2) : "–") },
      { name: "Payback, days", number: true, value: payback, show: (row) => (payback(row) === null ? "–" : Math.round(payback(row))) },
    ],
    rows,
    config: {
      type: "bar",
      data: {
        labels: rows.map((row) => row.segment),
        datasets: [
          { label: "Mean CLV", data: rows.map((row) => row.mean_clv), backgroundColor: rows.map((row) => COLOURS[row.segment]) },
          { label: "May cost", data: rows.map((row) => row.cac_target), backgroundColor: "rgba(242, 177, 52, 0.75)" },
        ],
      },
      options: { scales: { x: axis(""), y: axis("", { beginAtZero: true, ticks: { callback: (value) => money(value, { short: true }) } }) } },
    },
  };
}
