// Figures as people read them. Nothing here touches the page.

let currency = "USD";

export function setCurrency(code) {
  currency = code;
}

export function money(amount, { short = false } = {}) {
  if (amount === null || amount === undefined) return "–";
  const options = { style: "currency", currency, currencyDisplay: "narrowSymbol" };
  if (short && Math.abs(amount) >= 10_000) {
    return new Intl.NumberFormat("en", { ...options, notation: "compact", maximumFractionDigits: 2 }).format(amount);
  }
  return new Intl.NumberFormat("en", options).format(amount);
}

export const count = (n) => (n === null || n === undefined ? "–" : new Intl.NumberFormat("en").format(n));

export function percent(share, digits = 0) {
  if (share === null || share === undefined) return "–";
  return `${(100 * share).toFixed(digits)} %`;
}

export const decimal = (n, digits = 2) => (n === null || n === undefined ? "–" : n.toFixed(digits));

export const signed = (amount) => (amount > 0 ? `+${money(amount)}` : money(amount));

export function day(moment) {
  if (!moment) return "–";
  return new Intl.DateTimeFormat("en", { dateStyle: "medium", timeZone: "UTC" }).format(new Date(moment));
}

export function time(moment) {
  if (!moment) return "–";
  const shown = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
  return `${shown.format(new Date(moment))} UTC`;
}

export function ago(seconds) {
  if (seconds === null || seconds === undefined) return "never";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

export const REASONS = {
  order: "an order",
  refund: "a refund",
  silence: "silence",
  engagement: "e-mail",
  policy_changed: "new cut-offs",
  model_changed: "a new model",
};

const RANK = { "High-CLV": 3, "Growth-Potential": 2, "Low-CLV": 1 };

export function direction(change) {
  if (!change.from_segment) return "new";
  return RANK[change.to_segment] > RANK[change.from_segment] ? "up" : "down";
}
