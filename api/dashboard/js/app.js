// The shell: views by permalink, the live connection, pause, the banner, the key.

import { get, onKeyNeeded, setKey, Stream } from "./api.js";
import { announce, h } from "./dom.js";
import { ago, count, setCurrency, time } from "./format.js";
import { openDrawer } from "./drawer.js";
import { Campaigns } from "./views/campaigns.js";
import { Customers } from "./views/customers.js";
import { Digest } from "./views/digest.js";
import { Models } from "./views/models.js";
import { Operations } from "./views/operations.js";
import { Segments } from "./views/segments.js";
import { Today } from "./views/today.js";

const VIEWS = { today: Today, customers: Customers, segments: Segments, campaigns: Campaigns, models: Models, operations: Operations, digest: Digest };
const LABELS = { today: "Today", customers: "Customers", segments: "Segments", campaigns: "Campaigns", models: "Models", operations: "Operations", digest: "Digest" };
const FEED_LENGTH = 60;

// What views share. `feed` is newest first; `isPaused` holds live parts still.
export const state = { summary: null, feed: [], isPaused: false, connection: "connecting", waiting: 0 };

const main = document.getElementById("main");
let view = null;
let shown = "";

function place() {
  const [name, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { name: Object.hasOwn(VIEWS, name) ? name : "today", parameters: new URLSearchParams(query ?? "") };
}

function go() {
  const { name, parameters } = place();
  for (const link of document.querySelectorAll("#tabs a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${LABELS[name]} – customer lifetime value`;
  if (shown !== name) {
    view?.leave?.();
    shown = name;
    view = new VIEWS[name](state, parameters);
    main.replaceChildren(h("h1", { class: "unseen" }, LABELS[name]), view.element);
    scrollTo(0, 0);
  } else {
    view.restore?.(parameters);
  }
  const customer = parameters.get("customer");
  if (customer) openDrawer(customer);
}

function tabs() {
  const list = document.getElementById("tabs");
  Object.entries(LABELS).forEach(([name, label]) => {
    list.append(h("li", {}, h("a", { href: `#/${name}`, "data-view": name }, label)));
  });
}

function banner() {
  const element = document.getElementById("banner");
  const found = state.summary;
  const says = [];
  if (state.connection === "lost") says.push("The connection is lost: figures stay as they were, it goes on by itself.");
  if (found?.is_replay) says.push("Replayed orders: the dates are the log's, not today's.");
  if (found?.is_stale) says.push(`Nothing was stored for ${ago(found.freshness_seconds)}: what you see may be old.`);
  if (found && found.customers > 0 && found.segments.every((each) => each.customers === 0)) {
    says.push("No segments yet: the first cut-offs come once customers have been seen for a while.");
  }
  element.textContent = says.join(" ");
  element.hidden = says.length === 0;
  const isQuiet = found?.is_replay && says.length === 1;
  element.classList.toggle("quiet", Boolean(isQuiet));
  if (found) {
    const age = found.freshness_seconds === null ? "never" : `${ago(found.freshness_seconds)} ago`;
    document.getElementById("asof").textContent =
      `As of ${time(found.as_of)} in event time; last stored ${age}. ${count(found.horizon_days)}-day horizon, ${found.currency}. Model: ${found.champion}.`;
  }
}

function connection(kind) {
  state.connection = kind;
  const pill = document.getElementById("connection");
  pill.textContent = { live: "Live", lost: "Reconnecting…", connecting: "Connecting…" }[kind];
  pill.className = `pill ${kind}`;
  banner();
}

function take(name, data) {
  if (name === "summary") {
    state.summary = data;
    setCurrency(data.currency);
    banner();
    if (!state.isPaused) view?.onSummary?.(data);
  } else if (name === "segment-change") {
    if (state.feed.some((each) => each.event_id === data.event_id)) return;
    state.feed.unshift(data);
    state.feed.length = Math.min(state.feed.length, FEED_LENGTH);
    if (state.isPaused) {
      state.waiting += 1;
      pauseLabel();
    } else view?.onChange?.(data);
  }
}

function pauseLabel() {
  const button = document.getElementById("pause");
  button.setAttribute("aria-pressed", String(state.isPaused));
  button.textContent = state.isPaused ? `Go on${state.waiting ? ` (${state.waiting} new)` : ""}` : "Pause";
}

function pause() {
  state.isPaused = !state.isPaused;
  state.waiting = 0;
  pauseLabel();
  announce(state.isPaused ? "Live figures are paused" : "Live figures go on");
  if (!state.isPaused) {
    if (state.summary) view?.onSummary?.(state.summary);
    view?.onChange?.();
  }
}

function keys(event) {
  const isTyping = event.target.closest("input, select, textarea") !== null;
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const name = Object.keys(VIEWS)[Number(event.key) - 1];
  if (name) location.hash = `#/${name}`;
  else if (event.key.toLowerCase() === "p") pause();
  else if (event.key === "/") {
    event.preventDefault();
    if (shown === "customers") view.focusSearch();
    else location.hash = "#/customers?focus=1";
  }
}

let asking = null;

function askForKey() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("login");
    const input = document.getElementById("key");
    document.getElementById("login-problem").textContent = sessionStorage.getItem("clv-api-key") ? "That key was refused." : "";
    dialog.onclose = () => {
      setKey(input.value.trim());
      input.value = "";
      asking = null;
      resolve(true);
    };
    dialog.showModal();
  });
  return asking;
}

async function start() {
  tabs();
  onKeyNeeded(askForKey);
  document.getElementById("pause").addEventListener("click", pause);
  addEventListener("hashchange", go);
  addEventListener("keydown", keys);
  const begun = Promise.allSettled([get("/api/dashboard/summary"), get("/api/segments/changes", { limit: FEED_LENGTH })]);
  go();
  const [summary, feed] = await begun;
  if (feed.status === "fulfilled") state.feed = feed.value.items;
  if (summary.status === "fulfilled") take("summary", summary.value);
  else announce(summary.reason.message);
  view?.onChange?.();
  new Stream({ cursor: summary.value?.feed_cursor, onEvent: take, onState: connection });
  setInterval(banner, 5_000);
}

// A module runs once the page is parsed, after the deferred script before it.
start();
