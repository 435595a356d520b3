// The candles of one symbol and timeframe: history by pages, then live, each window once in its highest revision.

import { get, named } from "./api.js";
import { digits } from "./format.js";

const PAGE = 500;

export class Candles {
  byTime = new Map();
  #times = []; // open times
  #ordered = true;
  missing = [];
  digits = 0; // the most that a price has: all are shown with as many
  #exhausted = false;
  #loading = null;
  #abort = new AbortController();

  constructor(exchange, symbol, timeframe, zone) {
    Object.assign(this, { exchange, symbol, timeframe, zone });
  }

  /** Open times, ascending. */
  get times() {
    if (!this.#ordered) this.#times.sort((first, second) => first - second);
    this.#ordered = true;
    return this.#times;
  }

  /** Candles by open time, ascending. */
  get all() {
    return this.times.map((time) => this.byTime.get(time));
  }

  /** The newest candle; undefined without any. */
  get last() {
    return this.byTime.get(this.times.at(-1));
  }

  /** Read the newest page, or the one before the oldest candle; true when it brought something. */
  older() {
    this.#loading ??= this.#page().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #page() {
    if (this.#exhausted) return false;
    const end = this.times[0];
    const parameters = { limit: PAGE, end, tz: this.zone };
    const path = ["ohlcv", this.exchange, named(this.symbol), this.timeframe];
    const answer = await get(path, parameters, this.#abort.signal);
    answer.candles.forEach((candle) => this.take(candle));
    this.missing = answer.missing;
    this.#exhausted = answer.candles.length === 0 && answer.missing.length === 0;
    return answer.candles.length > 0;
  }

  /** Take a revision; false when the same or a newer one is known. */
  take(candle) {
    const known = this.byTime.get(candle.open_time);
    if (known && known.revision >= candle.revision) return false;
    if (!known) {
      this.#ordered &&= !this.#times.length || candle.open_time > this.#times.at(-1);
      this.#times.push(candle.open_time);
    }
    for (const price of [candle.open, candle.high, candle.low, candle.close]) this.digits = Math.max(this.digits, digits(price));
    const revised = known?.revised || Boolean(known?.final);
    this.byTime.set(candle.open_time, { ...candle, revised });
    return true;
  }

  /** End requests that are under way. */
  close() {
    this.#abort.abort();
  }
}
