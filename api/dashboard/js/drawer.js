// One customer, in a drawer over any view: value over time, why, segments, orders.

import { get } from "./api.js";
import { axis, ChartCard, COLOURS, dayAxis } from "./charts.js";
import { badge, h } from "./dom.js";
import { count, day, money, percent, REASONS, signed, time } from "./format.js";
import { table } from "./tables.js";

const dialog = document.getElementById("drawer");
let card = null;
let asked = null;

dialog.addEventListener("close", () => {
  card?.destroy();
  card = null;
  asked = null;
  const [view, query] = location.hash.split("?");
  const parameters = new URLSearchParams(query ?? "");
  parameters.delete("customer");
  const rest = parameters.toString();
  history.replaceState(null, "", rest ? `${view}?${rest}` : view || "#/today");
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

export async function openDrawer(customerId) {
  if (asked === customerId && dialog.open) return;
  asked = customerId;
  link(customerId);
  const close = h("button", { type: "button", class: "close", onclick: () => dialog.close() }, "Close");
  const body = h("div", { class: "body" }, h("p", { class: "state", role: "status" }, "Loading…"));
  dialog.replaceChildren(h("header", {}, h("h2", { id: "drawer-title" }, `Customer ${customerId}`), close), body);
  if (!dialog.open) dialog.showModal();
  const path = `/api/customers/${encodeURIComponent(customerId)}`;
  try {
    const [customer, history] = await Promise.all([get(path), get(`${path}/history`, { limit: 300 })]);
    if (asked !== customerId) return;
    body.replaceChildren(...content(customer, history, path));
  } catch (problem) {
    body.replaceChildren(h("p", { class: "problem", role: "alert" }, problem.message));
  }
}

function link(customerId) {
  const [view, query] = (location.hash || "#/today").split("?");
  const parameters = new URLSearchParams(query ?? "");
  parameters.set("customer", customerId);
  history.replaceState(null, "", `${view}?${parameters}`);
}

function content(customer, history, path) {
  card?.destroy();
  card = new ChartCard("clv-over-time", { wide: true, heading: "h3" });
  const why = h("section", { class: "card", "aria-labelledby": "why-title" }, h("h3", { id: "why-title" }, "Why this value"), h("p", { class: "state" }, "Loading…"));
  get(`${path}/why`).then((found) => why.replaceChildren(...whyContent(found)), (problem) => why.append(h("p", { class: "problem" }, problem.message)));
  queueMicrotask(() => card?.show(valueChart(history)));
  return [facts(customer), card.element, why, moves(history), orders(history)];
}

function facts(customer) {
  const found = [
    ["Segment", badge(customer.segment)],
    [`CLV, next ${customer.horizon_days} days`, `${money(customer.clv)} (${money(customer.clv_lower)} to ${money(customer.clv_upper)})`],
    ["CLV, a year", `${money(customer.clv_year)}, extrapolated`],
    ["Confidence", customer.confidence],
    ["May cost to acquire", money(customer.recommended_cac)],
    ["Has left for good", percent(customer.churn_probability, 1)],
    ["Next order expected", customer.expected_next_order_at ? day(customer.expected_next_order_at) : "not within two years"],
    ["Orders", `${count(customer.order_count)} for ${money(customer.revenue)}, ${money(customer.refunded)} refunded`],
    ["Customer since", `${day(customer.first_order_at)}, last order ${day(customer.last_order_at)}`],
    ["Came by", [customer.acquisition_source, customer.campaign_type].filter(Boolean).join(", ") || "unknown"],
    ["Scored", `as of ${time(customer.as_of)}, after ${REASONS[customer.reason]}`],
  ];
  return h("dl", { class: "facts" }, found.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function valueChart(history) {
  const scores = history.scores;
  if (!scores.length) return null;
  const points = (name) => scores.map((score) => ({ x: Date.parse(score.as_of), y: score[name] }));
  const first = scores[0];
  const last = scores.at(-1);
  const change = last.clv >= first.clv ? "rose" : "fell";
  const band = { pointRadius: 0, borderWidth: 1, borderColor: "rgba(108, 197, 245, 0.45)", borderDash: [3, 3] };
  return {
    title: scores.length > 1 ? `CLV ${change} from ${money(first.clv)} to ${money(last.clv)}` : `CLV is ${money(last.clv)}`,
    unit: "Predicted value with its 90 % interval, by event time",
    columns: [
      { name: "As of", value: (row) => row.as_of, show: (row) => day(row.as_of) },
      { name: "CLV", number: true, value: (row) => row.clv, show: (row) => money(row.clv) },
      { name: "From", number: true, value: (row) => row.clv_lower, show: (row) => money(row.clv_lower) },
      { name: "To", number: true, value: (row) => row.clv_upper, show: (row) => money(row.clv_upper) },
      { name: "Segment", value: (row) => row.segment ?? "" },
      { name: "After", value: (row) => REASONS[row.reason] },
    ],
    rows: [...scores].reverse(),
    config: {
      type: "line",
      data: {
        datasets: [
          { label: "CLV", data: points("clv"), borderColor: COLOURS.clv, borderWidth: 2, pointRadius: scores.length > 60 ? 0 : 3, pointBackgroundColor: COLOURS.clv },
          { label: "Upper end", data: points("clv_upper"), ...band, fill: "+1", backgroundColor: "rgba(108, 197, 245, 0.12)" },
          { label: "Lower end", data: points("clv_lower"), ...band },
        ],
      },
      options: { parsing: false, scales: { x: dayAxis(), y: axis("", { beginAtZero: true, max: roof(scores), ticks: { callback: (value) => money(value, { short: true }) } }) } },
    },
  };
}

// Early intervals can be so wide that nothing else would be seen.
function roof(scores) {
  const ends = scores.map((score) => score.clv_upper).sort((a, b) => a - b);
  const usual = ends[Math.floor(0.9 * (ends.length - 1))];
  const top = Math.max(...scores.map((score) => score.clv));
  const wanted = 1.15 * Math.max(usual, top);
  return ends.at(-1) > wanted ? wanted : undefined;
}

function whyContent(found) {
  const largest = Math.max(...found.contributions.map((part) => Math.abs(part.amount)), 0.01);
  const parts = found.contributions.filter((part) => part.amount !== 0);
  return [
    h("h3", { id: "why-title" }, parts.length ? `Mostly ${parts[0].says}` : "As the typical customer"),
    h("p", { class: "unit" }, `A typical customer is worth ${money(found.base)}; this adds up to ${money(found.clv)}${found.is_current ? "" : ", by newer models than the stored score"}`),
    h("ul", { class: "bars" }, parts.map((part) => bar(part, largest))),
  ];
}

function bar(part, largest) {
  const fill = h("span", { class: part.amount > 0 ? "fill gain" : "fill loss" });
  fill.style.width = `${Math.max((100 * Math.abs(part.amount)) / largest, 1)}%`;
  return h("li", {}, h("span", { class: "says" }, part.says), h("span", { class: "track", "aria-hidden": "true" }, fill), h("span", { class: "amount" }, signed(part.amount)));
}

function moves(history) {
  const columns = [
    { name: "When", value: (row) => row.as_of, show: (row) => day(row.as_of) },
    { name: "From", value: (row) => row.from_segment ?? "", show: (row) => (row.from_segment ? badge(row.from_segment) : "–") },
    { name: "To", value: (row) => row.to_segment, show: (row) => badge(row.to_segment) },
    { name: "After", value: (row) => REASONS[row.reason] },
    { name: "CLV", number: true, value: (row) => row.clv_after, show: (row) => money(row.clv_after) },
  ];
  return h("section", { class: "card" }, h("h3", {}, "Segments"), history.segment_changes.length
    ? table("Segment changes", columns, [...history.segment_changes].reverse())
    : h("p", { class: "state" }, "In no segment yet."));
}

function orders(history) {
  const columns = [
    { name: "When", value: (row) => row.at, show: (row) => day(row.at) },
    { name: "What", value: (row) => row.kind },
    { name: "Amount", number: true, value: (row) => row.amount, show: (row) => (row.kind === "refund" ? `−${money(row.amount)}` : money(row.amount)) },
  ];
  return h("section", { class: "card" }, h("h3", {}, "Orders"), history.orders.length
    ? table("Orders and refunds", columns, [...history.orders].reverse())
    : h("p", { class: "state" }, "Single orders are not remembered any more."));
}
