// Exchanges: connections, delay, and gaps with what was filled.

import { get } from "./api.js";
import { $, Table, notices } from "./dom.js";
import { duration, grouped, rate, time as timeText } from "./format.js";
import { Poll } from "./poll.js";

const EVERY = 3000, GAPS = 200;

export class ExchangesView {
  constructor() {
    const number = (value) => (value === null ? "–" : grouped(value));
    this.table = new Table($("connections"), [
      ["Exchange", (row) => row.exchange],
      ["Connected", (row) => (row.connected === null ? "unknown" : row.connected ? "yes" : `no: ${row.detail}`), "text"],
      ["Since (UTC)", (row) => (row.since === null ? "–" : timeText(row.since, "UTC")), "wide"],
      ["Symbols", (row) => number(row.symbols)],
      ["Trades/s", (row) => rate(row.trades_per_second)],
      ["Delay", (row) => duration(row.event_lag_ms)],
      ["Reconnects", (row) => number(row.reconnects)],
      ["Down in 24 h", (row) => duration(row.down_seconds * 1000)],
      ["Gaps in 24 h", (row) => number(row.gaps)],
      ["Gaps still to fetch", (row) => number(row.open_gaps)],
    ]);
    this.gaps = new Table($("gaps"), [
      ["Seen (UTC)", (row) => timeText(row.time, "UTC")],
      ["Exchange", (row) => row.exchange, "text"],
      ["Symbol", (row) => row.symbol ?? (row.native_symbol || "all"), "text"],
      ["Kind", (row) => row.kind.replace("_", " "), "text"],
      ["Missing", (row) => (row.first_missing === null ? "–" : number(row.last_missing - row.first_missing + 1))],
      ["Fetched", (row) => (row.filled === null ? "not yet" : number(row.filled))],
      ["Detail", (row) => row.detail, "text wide"],
    ]);
    const read = async () => ({ ...(await get(["exchanges"])), ...(await get(["gaps"], { limit: GAPS })) });
    this.poll = new Poll(read, (found) => this.#take(found), notices($("exchanges-notice")), EVERY);
  }

  show() {
    this.active = true;
    this.poll.start();
  }

  hide() {
    this.active = false;
    this.poll.stop();
  }

  #take({ exchanges, gaps }) {
    this.table.show(exchanges.map((row) => [row.exchange, row]));
    this.gaps.show(gaps.map((row) => [`${row.exchange} ${row.native_symbol} ${row.time} ${row.first_missing} ${row.kind}`, row]));
  }
}
