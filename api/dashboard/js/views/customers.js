// Customers: searched, filtered, ordered, page by page; each opens in the drawer.

import { get } from "../api.js";
import { openDrawer } from "../drawer.js";
import { announce, badge, h } from "../dom.js";
import { count, day, money, percent } from "../format.js";
import { remember } from "../place.js";
import { csvButton, table } from "../tables.js";

const SORTS = { clv: "CLV", revenue: "Revenue", last_order_at: "Last order", customer_id: "Customer" };
const PAGE = 50;
const MOST_EXPORTED = 20_000;

const COLUMNS = [
  {
    name: "Customer",
    value: (row) => row.customer_id,
    show: (row) => h("button", { type: "button", class: "link", onclick: (event) => { event.stopPropagation(); openDrawer(row.customer_id); } }, row.customer_id),
  },
  { name: "Segment", value: (row) => row.segment ?? "", show: (row) => badge(row.segment) },
  { name: "CLV", number: true, value: (row) => row.clv, show: (row) => money(row.clv) },
  { name: "From", number: true, value: (row) => row.clv_lower, show: (row) => money(row.clv_lower) },
  { name: "To", number: true, value: (row) => row.clv_upper, show: (row) => money(row.clv_upper) },
  { name: "Confidence", value: (row) => row.confidence },
  { name: "May cost", number: true, value: (row) => row.recommended_cac, show: (row) => money(row.recommended_cac) },
  { name: "Has left", number: true, value: (row) => row.churn_probability, show: (row) => percent(row.churn_probability) },
  { name: "Orders", number: true, value: (row) => row.order_count, show: (row) => count(row.order_count) },
  { name: "Revenue", number: true, value: (row) => row.revenue, show: (row) => money(row.revenue) },
  { name: "Last order", value: (row) => row.last_order_at, show: (row) => day(row.last_order_at) },
];

export class Customers {
  constructor(state, parameters) {
    this.pages = [null];
    this.form = this.makeForm();
    this.body = h("div", { id: "customers", "aria-live": "polite" }, h("p", { class: "state" }, "Loading…"));
    this.element = h("div", {}, h("section", { class: "card wide list" }, h("h2", {}, "Customers"), this.form, this.body));
    this.restore(parameters);
    if (parameters.get("focus")) queueMicrotask(() => this.focusSearch());
  }

  makeForm() {
    const option = (value, text) => h("option", { value }, text);
    const field = (name, label, input) => h("div", { class: "field" }, h("label", { for: `filter-${name}` }, label), input);
    this.fields = {
      search: h("input", { id: "filter-search", type: "search", maxlength: "256", placeholder: "Beginning of an id", autocomplete: "off" }),
      segment: h("select", { id: "filter-segment" }, option("", "All"), ["High-CLV", "Growth-Potential", "Low-CLV"].map((name) => option(name, name)), option("none", "None yet")),
      min_clv: h("input", { id: "filter-min_clv", type: "number", min: "0", step: "0.01", inputmode: "decimal" }),
      max_clv: h("input", { id: "filter-max_clv", type: "number", min: "0", step: "0.01", inputmode: "decimal" }),
      last_order_from: h("input", { id: "filter-last_order_from", type: "date" }),
      last_order_to: h("input", { id: "filter-last_order_to", type: "date" }),
      sort: h("select", { id: "filter-sort" }, Object.entries(SORTS).map(([value, text]) => option(value, text))),
      order: h("select", { id: "filter-order" }, option("desc", "Highest first"), option("asc", "Lowest first")),
    };
    const labels = { search: "Search", segment: "Segment", min_clv: "CLV from", max_clv: "CLV to", last_order_from: "Last order from", last_order_to: "Last order to", sort: "Order by", order: "Direction" };
    const form = h("form", { class: "filters", role: "search" }, Object.entries(this.fields).map(([name, input]) => field(name, labels[name], input)));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.begin(), 250);
    });
    return form;
  }

  focusSearch() {
    this.fields.search.focus();
  }

  restore(parameters) {
    for (const [name, input] of Object.entries(this.fields)) {
      const given = parameters.get(name);
      if (given !== null) input.value = given;
    }
    this.begin();
  }

  wanted() {
    const found = Object.fromEntries(Object.entries(this.fields).map(([name, input]) => [name, input.value.trim()]));
    if (found.last_order_from) found.last_order_from += "T00:00:00Z";
    if (found.last_order_to) found.last_order_to += "T23:59:59Z";
    return found;
  }

  begin() {
    this.pages = [null];
    const kept = Object.fromEntries(Object.entries(this.fields).map(([name, input]) => [name, input.value.trim()]));
    if (kept.sort === "clv") delete kept.sort;
    if (kept.order === "desc") delete kept.order;
    const customer = new URLSearchParams(location.hash.split("?")[1] ?? "").get("customer");
    remember("customers", { ...kept, customer });
    this.load();
  }

  async load() {
    this.aborter?.abort();
    this.aborter = new AbortController();
    try {
      const found = await get("/api/customers", { ...this.wanted(), limit: PAGE, cursor: this.pages.at(-1) }, { signal: this.aborter.signal });
      this.show(found);
    } catch (problem) {
      if (problem.name !== "AbortError") this.body.replaceChildren(h("p", { class: "problem", role: "alert" }, problem.message));
    }
  }

  show(found) {
    if (!found.items.length) {
      this.body.replaceChildren(h("p", { class: "state" }, "No customer is like this: widen the filters."));
      return;
    }
    const number = this.pages.length;
    const back = h("button", { type: "button", disabled: number === 1, onclick: () => { this.pages.pop(); this.load(); } }, "Previous");
    const on = h("button", { type: "button", disabled: !found.next, onclick: () => { this.pages.push(found.next); this.load(); } }, "Next");
    this.body.replaceChildren(
      table("Customers", COLUMNS, found.items, { onRow: (row) => openDrawer(row.customer_id) }),
      h("nav", { class: "pages", "aria-label": "Pages" }, back, h("span", {}, `Page ${number}`), on, csvButton("customers", COLUMNS, () => this.everything())));
    announce(`Page ${number}, ${found.items.length} customers`);
  }

  // For the file: all that the filters leave, not this page alone.
  async everything() {
    const rows = [];
    let cursor = null;
    do {
      const found = await get("/api/customers", { ...this.wanted(), limit: 200, cursor });
      rows.push(...found.items);
      cursor = found.next;
      announce(`${count(rows.length)} customers fetched`);
    } while (cursor && rows.length < MOST_EXPORTED);
    return rows;
  }
}
