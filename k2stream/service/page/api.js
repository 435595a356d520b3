// Requests to the service; a refusal is an Error with what the problem document says.

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the service answered ${status}`);
    this.status = status;
  }
}

/** Read JSON of a route, given as path segments and query parameters. */
export async function get(segments, parameters = {}, signal = undefined) {
  const path = segments.map(encodeURIComponent).join("/");
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  const answer = await fetch(`v1/${path}${query}`, { signal, headers: { Accept: "application/json" } });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}

/** The symbol as a path segment: BTC/USDT -> BTC-USDT. */
export const named = (symbol) => symbol.replace("/", "-");
