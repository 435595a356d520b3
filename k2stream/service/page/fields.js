// A record as a list of names and texts: what nothing means depends on the field.

import { make } from "./dom.js";
import { exact } from "./format.js";

const title = (name) => name.replaceAll("_", " ");
const isTime = (name) => /(^|_)(time|since|until|at)$/.test(name);

/** Fields that say something only where there is something. */
const OPTIONAL = new Set(["feed_reason", "reason", "fields", "ours", "theirs", "parts"]);
const UNTOLD = "unknown: the exchange's ids do not tell";
/** What null means, where it is not that a field has no value. */
const NOTHING = {
  live: "none", fetched: "none", kline_check: "not compared yet", feed: "unknown", feed_healthy: "unknown",
  first_id: UNTOLD, last_id: UNTOLD, missing: UNTOLD, missing_before: UNTOLD, filled: UNTOLD,
};

const isEmpty = (value) => value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);

/** The text of a value that has no parts; times are in ms or µs since 1970. */
export function textOf(name, value, zone) {
  if (Array.isArray(value)) return "none";
  if (isEmpty(value)) return NOTHING[name] ?? "–";
  return isTime(name) && typeof value === "number" ? exact(value, zone) : String(value);
}

function valueOf(name, value, zone) {
  if (isEmpty(value) || typeof value !== "object") return textOf(name, value, zone);
  if (!Array.isArray(value)) return fields(value, zone);
  return make("ol", {}, ...value.map((each) => make("li", {}, valueOf("", each, zone))));
}

/** The fields of a record; those that do not apply to it are left out. */
export function fields(record, zone) {
  const shown = Object.entries(record).filter(([name, value]) => !(OPTIONAL.has(name) && isEmpty(value)));
  const pairs = shown.flatMap(([name, value]) => [make("dt", {}, title(name)), make("dd", {}, valueOf(name, value, zone))]);
  return make("dl", {}, ...pairs);
}
