// All symbols: price, change, rate, spread, recent closes and feed health.

import { get } from "./api.js";
import { $, Table, make, notices } from "./dom.js";
import { basisPoints, grouped, padded, rate, within } from "./format.js";
import { Poll } from "./poll.js";
import { sparkline } from "./sparkline.js";

const EVERY = 2000;
const HOUR = 3_600_000; // that a sparkline shows
const health = (row) => (row.feed_healthy === null ? "unknown" : row.feed_healthy ? "healthy" : "down");

export class SymbolsView {
  #sparks = new Map(); // key -> {canvas, closes by open time}
  #rows = [];
  #nodes = new Map();

  constructor(stream) {
    this.stream = stream;
    const link = (row) => `#chart?${new URLSearchParams({ exchange: row.exchange, symbol: row.symbol })}`;
    const signed = (row) => make("span", { class: row.change_percent.startsWith("-") ? "down" : "up" }, `${row.change_percent} %`);
    const span = (row) => make("span", { class: "dim span", title: "There are no 24 hours of trades yet." }, ` ${within(row.span_ms)}`);
    const changed = (row) => make("span", {}, signed(row), within(row.span_ms) ? span(row) : "");
    const feed = (row) => make("span", { class: row.feed_healthy === false ? "down" : "", title: row.unavailable }, health(row));
    this.table = new Table($("symbols"), [
      ["Symbol", (row) => row.symbol],
      ["Exchange", (row) => row.exchange, "text"],
      ["Last price", (row) => (row.last_price === null ? "–" : grouped(padded(row.last_price, row.price_digits)))],
      ["24 h", (row) => (row.change_percent === null ? "–" : this.#kept(row, "change", `${row.change_percent} ${within(row.span_ms)}`, changed))],
      ["Trades/s", (row) => rate(row.trades_per_second)],
      ["Spread between exchanges", (row) => basisPoints(row.spread_bps), "wide"],
      ["Last hour", (row) => this.#spark(row).canvas, "wide"],
      ["Feed", (row) => this.#kept(row, "feed", health(row), feed), "text"],
    ], link);
    $("filter").addEventListener("input", () => this.#draw());
    this.poll = new Poll(() => get(["symbols"]), ({ symbols }) => this.#take(symbols), notices($("symbols-notice")), EVERY);
  }

  show() {
    this.active = true;
    this.poll.start();
    this.end ??= this.stream.subscribe(
      { channel: "candles", exchange: "*", symbol: "*", timeframe: "1m" },
      (message) => this.#close(`${message.exchange} ${message.symbol}`, message.candle),
    );
  }

  hide() {
    this.active = false;
    this.poll.stop();
    this.end?.();
    this.end = undefined;
  }

  #take(rows) {
    this.#rows = rows;
    this.#draw();
  }

  #draw() {
    const wanted = $("filter").value.trim().toUpperCase();
    const shown = this.#rows.filter((row) => `${row.exchange} ${row.symbol}`.toUpperCase().includes(wanted));
    this.table.show(shown.map((row) => [`${row.exchange} ${row.symbol}`, row]));
  }

  /** The same node as before while its value is the same. */
  #kept(row, name, value, build) {
    const key = `${row.exchange} ${row.symbol} ${name}`;
    const known = this.#nodes.get(key);
    if (known?.value === value) return known.node;
    const node = build(row);
    this.#nodes.set(key, { value, node });
    return node;
  }

  #spark(row) {
    const key = `${row.exchange} ${row.symbol}`;
    let spark = this.#sparks.get(key);
    if (!spark) {
      const canvas = make("canvas", { class: "spark", role: "img", "aria-label": `closes of the last hour of ${key}` });
      spark = { canvas, closes: new Map() };
      this.#sparks.set(key, spark);
    }
    for (const [at, close] of row.sparkline) if (!spark.closes.has(at)) spark.closes.set(at, Number(close));
    this.#draws(spark);
    return spark;
  }

  #close(key, candle) {
    const spark = this.#sparks.get(key);
    if (!spark) return;
    spark.closes.set(candle.open_time, Number(candle.close));
    this.#draws(spark);
  }

  /** Draw a line with the next frame. */
  #draws(spark) {
    if (!this.dirty)
      requestAnimationFrame(() => {
        this.dirty.forEach((each) => this.#line(each));
        this.dirty = null;
      });
    (this.dirty ??= new Set()).add(spark);
  }

  #line({ canvas, closes }) {
    const since = Date.now() - HOUR;
    const points = [...closes].filter(([at]) => at >= since).sort(([first], [second]) => first - second);
    sparkline(canvas, points.map(([at, close]) => [(at - since) / HOUR, close]));
  }
}
