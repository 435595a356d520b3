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

/** A rate, with at most three significant digits. */
export function rate(number) {
  if (number === null || number === undefined) return "–";
  return number >= 100 ? grouped(Math.round(number)) : Number(number.toPrecision(3)).toString();
}

/** A duration in ms as text in a fitting unit. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms < HOUR) return `${(ms / MINUTE).toFixed(1)} min`;
  return `${(ms / HOUR).toFixed(1)} h`;
}

/** A decimal text with at least so many fraction digits: "83.5" with 2 -> "83.50". */
export function padded(text, digits) {
  const lacking = digits - (text.split(".")[1] ?? "").length;
  return lacking > 0 ? `${text}${text.includes(".") ? "" : "."}${"0".repeat(lacking)}` : text;
}

const formats = new Map();

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
