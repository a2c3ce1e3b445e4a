// Asking the API: the key of this tab, problems in words, and the stream with its place.

const KEY = "clv-api-key";
let askForKey = async () => false;

export function onKeyNeeded(ask) {
  askForKey = ask;
}

export const setKey = (key) => sessionStorage.setItem(KEY, key);

function headers(extra = {}) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...extra, Authorization: `Bearer ${key}` } : extra;
}

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function get(path, parameters = {}, { method = "GET", signal } = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given).toString();
  let answer;
  try {
    answer = await fetch(query ? `${path}?${query}` : path, { method, headers: headers(), signal });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new ApiError(0, "The API does not answer.");
  }
  if (answer.status === 401 && (await askForKey())) return get(path, parameters, { method, signal });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new ApiError(answer.status, problem.detail ? `${problem.title}: ${problem.detail}` : `The API answered ${answer.status}.`);
  }
  return answer.json();
}

// Reads the stream for as long as the page lives. Goes on from the last id after any break, so that nothing is lost
// and nothing comes twice. EventSource cannot send a key; otherwise this is what it does.
export class Stream {
  constructor({ onEvent, onState, cursor }) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.lastId = cursor;
    this.waits = 1_000;
    this.run();
  }

  async run() {
    for (;;) {
      try {
        await this.read();
      } catch {
        // Whatever broke the connection, the next one goes on from the last id.
      }
      this.onState("lost");
      await new Promise((resolve) => setTimeout(resolve, this.waits));
      this.waits = Math.min(this.waits * 2, 10_000);
    }
  }

  async read() {
    const place = this.lastId ? { "Last-Event-ID": this.lastId } : {};
    const answer = await fetch("/api/stream", { headers: headers({ Accept: "text/event-stream", ...place }) });
    if (!answer.ok) throw new ApiError(answer.status, "stream refused");
    this.onState("live");
    this.waits = 1_000;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let pending = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      pending += value;
      const blocks = pending.split("\n\n");
      pending = blocks.pop();
      blocks.forEach((block) => this.take(block));
    }
  }

  take(block) {
    const fields = {};
    for (const line of block.split("\n")) {
      const place = line.indexOf(": ");
      if (place > 0) fields[line.slice(0, place)] = line.slice(place + 2);
    }
    if (!fields.data) return;
    if (fields.id) this.lastId = fields.id;
    this.onEvent(fields.event, JSON.parse(fields.data));
  }
}
