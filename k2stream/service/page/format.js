// Text of numbers and times. Prices stay the exact text that the service sent.

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE;

/** Group the whole part of a decimal text: "1234567.80" -> "1,234,567.80". */
export function grouped(text) {
  const [whole, fraction] = String(text).split(".");
  const marked = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? marked : `${marked}.${fraction}`;
}

/** Decimals that a price is shown with: those it came with. */
export function digits(text) {
  return (String(text).split(".")[1] ?? "").length;
}

/** A rate; all have one decimal, so that those of a column align. */
export function rate(number) {
  return number === null || number === undefined ? "–" : grouped(number.toFixed(1));
}

/** A decimal text of basis points; all have two decimals. */
export function basisPoints(text) {
  return text === null ? "–" : `${grouped(padded(rounded(text, 2), 2))} bp`;
}

/** A duration in ms as text in a fitting unit. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms < HOUR) return `${(ms / MINUTE).toFixed(1)} min`;
  return `${(ms / HOUR).toFixed(1)} h`;
}

const FEED = {
  began: "partial: the feed began within it",
  before: "from before the feed began",
  lost: "the feed was down or lost trades",
};

/** What a candle is at a time in ms: open, over but in grace, or final; and what its feed lacked. */
export function stateOf(candle, now) {
  const state = candle.final ? "final" : candle.close_time < now ? "in grace" : "open";
  return candle.feed_reason ? `${state}, ${FEED[candle.feed_reason]}` : state;
}

/** Of how much less than a day something is; empty for a day. */
export function within(ms) {
  if (ms >= 23 * HOUR) return ""; // a day of full hours
  return ms < HOUR ? `in ${Math.floor(ms / MINUTE) || "< 1"} min` : `in ${Math.floor(ms / HOUR)} h`;
}

/** A decimal text with at least so many fraction digits: "83.5" with 2 -> "83.50". */
export function padded(text, digits) {
  const lacking = digits - (text.split(".")[1] ?? "").length;
  return lacking > 0 ? `${text}${text.includes(".") ? "" : "."}${"0".repeat(lacking)}` : text;
}

const formats = new Map();

/** A decimal text rounded half-even to so many fraction digits, from its own digits: "2.675" with 2 -> "2.68". */
export function rounded(text, digits) {
  const [, sign, whole, fraction = ""] = text.match(/^(-?)(\d+)(?:\.(\d+))?$/) ?? [];
  if (whole === undefined || fraction.length <= digits) return text;
  const rest = fraction.slice(digits), half = "5".padEnd(rest.length, "0");
  let kept = BigInt(whole + fraction.slice(0, digits));
  if (rest > half || (rest === half && kept % 2n)) kept += 1n;
  const all = String(kept).padStart(digits + 1, "0");
  return `${sign}${all.slice(0, all.length - digits)}${digits ? `.${all.slice(-digits)}` : ""}`;
}

/** Whether the browser knows a time zone of this name. */
export function isZone(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

/** A time in ms since 1970, in a time zone, with as much as a timeframe needs. */
export function time(ms, zone, withDate = true) {
  const key = `${zone} ${withDate}`;
  if (!formats.has(key)) {
    const date = withDate ? { year: "numeric", month: "2-digit", day: "2-digit" } : {};
    const options = { ...date, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: zone };
    formats.set(key, new Intl.DateTimeFormat("sv-SE", options));
  }
  return formats.get(key).format(ms);
}

/** A time in ms or µs since 1970 with its fraction: µs always, ms where there are any. */
export function exact(at, zone) {
  const micros = at > 1e14;
  const part = micros ? at % 1e6 : at % SECOND;
  const fraction = micros ? `.${String(part).padStart(6, "0")}` : part ? `.${String(part).padStart(3, "0")}` : "";
  return time(Math.floor(micros ? at / 1000 : at), zone) + fraction;
}
