// Where the reader is, as a permalink.

// Changes the permalink without a new entry in the browser's history.
export function remember(name, parameters) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value)).toString();
  history.replaceState(null, "", `#/${name}${query ? `?${query}` : ""}`);
}
