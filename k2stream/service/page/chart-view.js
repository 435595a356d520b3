// The chart: candles of the selected symbol, live, with overlays, marks and the certificate of a candle.

import { get, named } from "./api.js";
import { Candles } from "./candles.js";
import { openCertificate } from "./certificate.js";
import { Chart } from "./chart.js";
import { $, make, options } from "./dom.js";
import { grouped, isZone, padded, rounded, stateOf, time as timeText } from "./format.js";
import { change, read, replace, unmet } from "./selection.js";

const TIMEFRAMES = ["1m", "3m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1M"];
const TIMEFRAME = /^[1-9]\d*[mhdwM]$/;
const LOCAL = Intl.DateTimeFormat().resolvedOptions().timeZone;
const ZONES = [...new Set(["UTC", LOCAL, "America/New_York", "Europe/London", "Asia/Tokyo"])];
const MARKS_EVERY = 15_000, RETRY = 1500;
const CONSOLIDATED = "all";
const FINER = 2; // digits that a mean price has beyond those of prices

export class ChartView {
  #candles = null;
  #others = new Map(); // overlay name -> Candles
  #ends = []; // what ends the subscriptions
  #pending = new Map(); // revisions to draw with the next frame
  #shown = "";
  #gaps = [];
  #late = [];
  #chosen = []; // overlays
  #marks = 0;
  #told = ""; // the notice
  #instead = ""; // what the address asked for that there is not

  constructor(stream) {
    this.stream = stream;
    this.instruments = [];
    this.chart = new Chart($("chart"), {
      onOlder: () => this.#older(),
      onPoint: (at) => this.#legend(at),
      onOpen: (at) => this.open(at),
    });
    $("selection").addEventListener("change", ({ target }) => this.#changed(target));
    setInterval(() => this.active && this.#loadMarks(), MARKS_EVERY);
  }

  /** Show the selection of the address. */
  show() {
    this.active = true;
    const wanted = read();
    const exchanges = [...new Set(this.instruments.map((each) => each.exchange))];
    if (!exchanges.length) return;
    const exchange = options($("exchange"), exchanges, wanted.exchange);
    const symbols = this.instruments.filter((each) => each.exchange === exchange).map((each) => each.symbol);
    const symbol = options($("symbol"), symbols, symbols.find((each) => named(each) === named(wanted.symbol)));
    const more = (known, name, valid) => [...new Set([...known, ...(valid ? [wanted[name]] : [])])];
    const timeframe = options($("timeframe"), more(TIMEFRAMES, "timeframe", TIMEFRAME.test(wanted.timeframe)), wanted.timeframe);
    const zone = options($("zone"), more(ZONES, "zone", isZone(wanted.zone)), wanted.zone);
    this.#instead = unmet(wanted, { exchange, symbol, timeframe, zone });
    if (this.#instead) replace({ exchange, symbol, timeframe, zone });
    this.#offerOverlays(exchange, symbol, wanted.overlays.split(",").filter(Boolean));
    const now = [exchange, symbol, timeframe, zone].join(" ");
    if (now !== this.#shown) {
      this.#shown = now;
      this.#start(exchange, symbol, timeframe, zone);
    } else this.#notice(this.#told);
    this.#showOverlays(wanted.overlays.split(",").filter(Boolean));
  }

  hide() {
    this.active = false;
  }

  dress() {
    this.chart.dress();
    if (this.#candles) this.#redraw();
  }

  /** Open the certificate of the candle at an open time; of the one under the pointer, or the newest, without. */
  open(at = this.pointed) {
    const candle = this.#candles?.byTime.get(at) ?? this.#candles?.last;
    if (candle) openCertificate(this.#candles, candle);
  }

  /** Point at the candle before (-1) or after (1) the one that is pointed at, or the newest. */
  point(by) {
    if (!this.#candles?.last) return;
    const { times, byTime } = this.#candles;
    const from = byTime.has(this.pointed) ? times.indexOf(this.pointed) : times.length - 1;
    const at = times[Math.min(Math.max(from + by, 0), times.length - 1)];
    this.chart.point(byTime.get(at));
    this.#legend(at);
  }

  /** Show the newest candles, and point at none. */
  newest() {
    this.#unpoint();
    this.chart.newest();
  }

  /** Select the next (1) or previous (-1) symbol of the exchange. */
  step(by) {
    const select = $("symbol");
    if (!select.length) return; // the instruments are not known yet
    const at = (select.selectedIndex + by + select.length) % select.length;
    change({ symbol: select.options[at].value, exchange: $("exchange").value });
  }

  #changed(target) {
    if (target.name === "overlay") {
      const chosen = [...$("overlays").querySelectorAll("input:checked")].map((each) => each.value);
      change({ overlays: chosen.join(",") });
    } else if (target.name === "exchange") {
      const canonical = this.#base(read().symbol || $("symbol").value);
      const same = this.instruments.find((each) => each.exchange === target.value && this.#base(each.symbol) === canonical);
      change({ exchange: target.value, symbol: same?.symbol ?? "", overlays: "" });
    } else change({ [target.name]: target.value, exchange: $("exchange").value });
  }

  /** Symbols of one base and of quotes that are worth the same are comparable: BTC/USD and BTC/USDT. */
  #base(symbol) {
    return symbol.replace(/USD[TC]$/, "USD");
  }

  #offerOverlays(exchange, symbol, chosen) {
    const others = this.instruments.filter(
      (each) => each.exchange !== exchange && this.#base(each.symbol) === this.#base(symbol),
    );
    const alike = this.instruments.filter((each) => each.symbol === symbol).length > 1;
    const names = [...others.map((each) => `${each.exchange}:${each.symbol}`), ...(alike ? [`${CONSOLIDATED}:${symbol}`] : [])];
    const boxes = names.map((name) =>
      make("label", {}, make("input", { type: "checkbox", name: "overlay", value: name, checked: chosen.includes(name) }), name),
    );
    if (names.join() !== [...$("overlays").querySelectorAll("input")].map((each) => each.value).join())
      $("overlays").replaceChildren(make("legend", {}, names.length ? "Overlay" : ""), ...boxes);
    for (const box of $("overlays").querySelectorAll("input")) box.checked = chosen.includes(box.value);
  }

  async #start(exchange, symbol, timeframe, zone) {
    this.#stop();
    this.chart.zone = zone;
    const candles = (this.#candles = new Candles(exchange, symbol, timeframe, zone));
    $("title-symbol").textContent = `${exchange} ${symbol}`;
    $("title-price").textContent = "–";
    try {
      await candles.older();
    } catch (error) {
      if (candles !== this.#candles) return;
      this.#notice(error.message);
      this.#clear();
      const again = () => candles === this.#candles && this.#start(exchange, symbol, timeframe, zone);
      if (!(error.status < 500)) setTimeout(again, RETRY); // the worker is away, or recovers its tables
      return;
    }
    if (candles !== this.#candles) return; // another selection came meanwhile
    if (!candles.last) this.#clear();
    this.#redraw();
    this.chart.newest();
    this.#loadMarks();
    const since = candles.last?.open_time;
    const request = { channel: "candles", exchange, symbol: named(symbol), timeframe, tz: zone, since };
    this.#ends.push(this.stream.subscribe(request, ({ candle }) => this.#take(candles, candle), {
      onRefused: (problem) => this.#notice(problem.detail),
    }));
  }

  /** Show no candle: there is none of the selection, or it cannot be read. */
  #clear() {
    this.chart.show([]);
    this.chart.mark([]);
    $("legend").replaceChildren();
    $("chart-summary").textContent = "";
  }

  #unpoint() {
    this.chart.unpoint();
    this.#legend(null);
  }

  #stop() {
    this.#unpoint();
    this.#candles?.close();
    this.#ends.splice(0).forEach((end) => end());
    for (const name of this.#others.keys()) this.chart.clear(name);
    this.#others.clear();
    this.#pending.clear();
    this.#gaps = [];
    this.#late = [];
    this.#notice("");
  }

  #take(candles, candle) {
    if (candles !== this.#candles || !candles.take(candle)) return;
    if (!this.#pending.size) requestAnimationFrame(() => this.#draw());
    this.#pending.set(candle.open_time, candle);
  }

  #draw() {
    if (!this.#pending.size) return; // another selection came meanwhile
    const newest = this.#candles.last.open_time;
    const revised = [...this.#pending.values()].sort((first, second) => first.open_time - second.open_time);
    this.#pending.clear();
    for (const candle of revised) this.chart.update(candle, newest);
    if (revised.some((each) => this.#candles.byTime.get(each.open_time).revised)) this.#showMarks();
    this.#legend(this.pointed);
  }

  #redraw() {
    this.chart.show(this.#candles.all);
    this.#showMarks();
    this.#legend(this.pointed);
    const away = this.#candles.missing.map((each) => `${each.tier} is unavailable: ${each.reason}`);
    this.#notice(away.join("; "));
  }

  async #older() {
    const candles = this.#candles;
    if (!candles?.byTime.size) return;
    try {
      if ((await candles.older()) && candles === this.#candles) this.#redraw();
    } catch (error) {
      if (candles === this.#candles) this.#notice(error.message);
    }
  }

  async #showOverlays(chosen) {
    this.#chosen = chosen;
    for (const name of this.#others.keys()) if (!chosen.includes(name)) this.#dropOverlay(name);
    const { timeframe, zone } = this.#candles ?? {};
    for (const name of chosen.filter((each) => !this.#others.has(each))) {
      const [exchange, symbol] = name.split(":");
      const candles = new Candles(exchange, symbol, timeframe, zone);
      this.#others.set(name, candles);
      try {
        await candles.older();
      } catch (error) {
        if (this.#others.get(name) !== candles) continue; // another selection came meanwhile
        this.#notice(error.message);
        this.#others.delete(name);
        if (!(error.status < 500)) setTimeout(() => this.#showOverlays(this.#chosen), RETRY);
        continue;
      }
      if (this.#others.get(name) !== candles) continue;
      this.chart.overlay(name, candles.all);
      const request = { channel: "candles", exchange, symbol: named(symbol), timeframe, tz: zone };
      candles.end = this.stream.subscribe(request, ({ candle }) => candles.take(candle) && this.chart.extend(name, candle));
      this.#ends.push(candles.end);
    }
  }

  #dropOverlay(name) {
    this.#others.get(name)?.end?.();
    this.#others.delete(name);
    this.chart.clear(name);
  }

  async #loadMarks() {
    const candles = this.#candles;
    if (!candles?.byTime.size) return;
    const start = candles.times[0];
    try {
      const { gaps } = await get(["gaps"], { exchange: candles.exchange, symbol: named(candles.symbol), start, limit: 1000 });
      if (candles === this.#candles) this.#gaps = gaps;
      this.#showMarks();
      const { minutes } = await get(["late", candles.exchange, named(candles.symbol)], { start, limit: 1000 });
      if (candles === this.#candles) this.#late = minutes;
      this.#showMarks();
    } catch (error) {
      if (candles === this.#candles && error.status !== 404) this.#notice(error.message);
    }
  }

  #showMarks() {
    const { times } = this.#candles;
    const window = (at) => times.findLast((open) => open <= at);
    const gaps = this.#gaps.map((gap) => ({
      time: window(gap.since), kind: gap.filled === null ? "gap" : "filled", text: String(gap.filled ?? ""),
    }));
    const late = new Map();
    for (const minute of this.#late) {
      const time = window(minute.open_time);
      if (time !== undefined) late.set(time, (late.get(time) ?? 0) + minute.trades);
    }
    const behind = [...late].map(([time, trades]) => ({ time, kind: "late", text: `${trades} late` }));
    const revised = this.#candles.all.filter((each) => each.revised).map((each) => ({ time: each.open_time, kind: "revised", text: "" }));
    const marks = [...gaps.filter((each) => each.time !== undefined), ...behind, ...revised];
    this.#marks = marks.length;
    this.chart.mark(marks);
  }

  #legend(at) {
    this.pointed = at;
    const newest = this.#candles?.last;
    const candle = this.#candles?.byTime.get(at) ?? newest;
    if (!candle) return;
    const digits = this.#digits();
    this.chart.precise(digits);
    const price = (text) => grouped(padded(text, digits));
    $("title-price").textContent = price(newest.close);
    const prices = [["O", candle.open], ["H", candle.high], ["L", candle.low], ["C", candle.close]].map(([name, text]) => [name, price(text)]);
    const mean = grouped(padded(rounded(candle.vwap, digits + FINER), digits + FINER));
    const pairs = [["", timeText(candle.open_time, this.#candles.zone)], ...prices, ["Volume", candle.volume], ["VWAP", mean], ["Trades", candle.trade_count]];
    $("legend").replaceChildren(...pairs.flatMap(([name, value]) => [make("span", {}, `${name} `, make("b", {}, value)), "  "]), stateOf(candle, Date.now()));
    this.#summarize(newest);
  }

  /** The fraction digits that all prices of the symbol are shown with. */
  #digits() {
    const { exchange, symbol, digits } = this.#candles;
    const known = this.instruments.find((each) => each.exchange === exchange && each.symbol === symbol);
    return Math.max(digits, known?.price_digits ?? 0);
  }

  /** What the picture shows, for those who do not see it. */
  #summarize(newest) {
    const { exchange, symbol, timeframe, zone, all } = this.#candles;
    const quiet = all.filter((each, at) => at && each.open_time > all[at - 1].close_time + 1).length;
    const lines = [...this.#others].filter(([, each]) => each.byTime.size).map(([name]) => name);
    const said = [
      `${exchange} ${symbol} ${timeframe}: ${all.length} ${all.length === 1 ? "candle" : "candles"} from ${timeText(all[0].open_time, zone)} to ${timeText(newest.open_time, zone)}`,
      `${quiet} breaks between them`, `close ${padded(newest.close, this.#digits())}`, `${this.#marks} marks`,
      `overlays: ${lines.join(", ") || "none"}`,
    ].join("; ");
    if ($("chart-summary").textContent !== said) $("chart-summary").textContent = said;
  }

  #notice(text) {
    this.#told = text;
    const all = [this.#instead, text].filter(Boolean).join(" ");
    $("notice").textContent = all;
    $("notice").hidden = !all;
  }
}
