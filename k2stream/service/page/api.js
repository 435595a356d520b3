// Requests to the service; a refusal is an Error with what the problem document says.

import { ask, headers, key } from "./access.js";

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the service answered ${status}`);
    this.status = status;
  }
}

/** Read JSON of a route, given as path segments and query parameters; the key is asked for where one is needed. */
export async function get(segments, parameters = {}, signal = undefined) {
  const path = segments.map(encodeURIComponent).join("/");
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  const sent = key();
  const answer = await fetch(`v1/${path}${query}`, { signal, headers: { Accept: "application/json", ...headers() } });
  const body = await answer.json().catch(() => ({}));
  if (answer.status === 401 && (sent !== key() || (await ask()))) return get(segments, parameters, signal);
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}

/** The symbol as a path segment: BTC/USDT -> BTC-USDT. */
export const named = (symbol) => symbol.replace("/", "-");
