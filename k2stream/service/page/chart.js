// Draws candles, volume, taker delta, overlays and marks. Coordinates are numbers; texts stay those of the service.

import {
  CandlestickSeries, CrosshairMode, HistogramSeries, LineSeries, createChart, createSeriesMarkers, createTextWatermark,
} from "./vendor/lightweight-charts.mjs";
import { grouped, time as timeText } from "./format.js";

const NEAR = 60; // candles left of the view before older ones are loaded
const IN_VIEW = 120, MARGIN = 4; // candles in the first view, and room at its right
const OVERLAYS = ["#b07cc6", "#d08a3c", "#4a9bb5", "#8c8c3a"];

const color = (name) => {
  // The chart draws on a canvas, which knows no light-dark(): let the browser resolve it.
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};
const faint = (value, share) => value.replace("rgb(", "rgba(").replace(")", `, ${share})`);
const seconds = (ms) => ms / 1000;
/** The label of the axis at a time in s; `kind` 0 is where a year begins, 1 a month, 2 a day. */
const tick = (at, kind, zone) => {
  const [date, clock] = timeText(at * 1000, zone).split(" ");
  return kind <= 2 ? (kind === 0 ? date.slice(0, 4) : date.slice(5)) : clock.slice(0, 5);
};

export class Chart {
  #overlays = new Map(); // name -> series
  #precision = 2;
  #zone = "";
  #held = null; // the candle that keys point at, until the pointer moves

  /** `onOlder` is called when older candles come into view, `onPoint` with the open time under the pointer. */
  constructor(element, { onOlder, onPoint, onOpen }) {
    this.chart = createChart(element, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      timeScale: { timeVisible: true, secondsVisible: false },
    });
    this.zone = "UTC";
    this.unhealthy = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "unhealthy", lastValueVisible: false, priceLineVisible: false,
      autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 1 } }),
    });
    this.candles = this.chart.addSeries(CandlestickSeries, { priceFormat: this.#format() });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false,
    });
    this.delta = this.chart.addSeries(HistogramSeries, {
      priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false,
    }, 1);
    this.chart.priceScale("unhealthy").applyOptions({ scaleMargins: { top: 0, bottom: 0 } });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.chart.panes()[1].setStretchFactor(0.18);
    this.name = createTextWatermark(this.chart.panes()[1], { horzAlign: "center", vertAlign: "top", lines: [] });
    this.markers = createSeriesMarkers(this.candles, []);
    this.dress();
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => range && range.from < NEAR && onOlder());
    this.chart.subscribeCrosshairMove(({ time, sourceEvent }) => {
      if (sourceEvent) this.#held = null;
      if (!this.#held) onPoint(time === undefined ? null : time * 1000); // else the view has moved below it
    });
    this.chart.subscribeClick(({ time }) => time !== undefined && onOpen(time * 1000));
  }

  /** The time zone of the axis and the crosshair. */
  set zone(zone) {
    if (zone === this.#zone) return;
    this.#zone = zone;
    this.chart.applyOptions({ // the chart keeps its labels until it gets options
      localization: { timeFormatter: (at) => timeText(at * 1000, zone) },
      timeScale: { tickMarkFormatter: (at, kind) => tick(at, kind, zone) },
    });
  }

  /** Take the colours of the theme. */
  dress() {
    const [text, line, ground] = ["--dim", "--line", "--ground"].map(color);
    this.dim = text;
    this.up = color("--up");
    this.down = color("--down");
    this.tones = { gap: this.down, filled: color("--accent"), late: color("--warn"), revised: color("--warn") };
    this.chart.applyOptions({
      layout: { background: { color: ground }, textColor: text, attributionLogo: true, panes: { separatorColor: line } },
      grid: { vertLines: { color: line }, horzLines: { color: line } },
      rightPriceScale: { borderColor: line },
      timeScale: { borderColor: line },
    });
    this.name.applyOptions({ lines: [{ text: "taker delta: bought − sold", color: text, fontSize: 11 }] });
    const tones = { upColor: this.up, downColor: this.down, wickUpColor: this.up, wickDownColor: this.down };
    this.candles.applyOptions({ ...tones, borderVisible: false });
  }

  /** Show prices with so many fraction digits. */
  precise(precision) {
    if (precision === this.#precision) return;
    this.#precision = precision;
    for (const series of [this.candles, ...this.#overlays.values()]) series.applyOptions({ priceFormat: this.#format() });
  }

  /** Draw a list of candles, ascending; the view stays where it is. */
  show(candles) {
    this.candles.setData(candles.map((each) => this.#bar(each)));
    this.volume.setData(candles.map((each) => this.#volume(each)));
    this.delta.setData(candles.map((each) => this.#delta(each)));
    this.unhealthy.setData(candles.filter((each) => each.feed_reason).map((each) => this.#span(each)));
  }

  /** Draw one revision. */
  update(candle, newest) {
    const old = candle.open_time < newest;
    this.candles.update(this.#bar(candle), old);
    this.volume.update(this.#volume(candle), old);
    this.delta.update(this.#delta(candle), old);
    if (candle.feed_reason && !old) this.unhealthy.update(this.#span(candle));
    if (this.#held) this.#cross();
  }

  /** Show marks, each {time, kind, text}, of the candles. */
  mark(marks) {
    const shapes = { gap: "square", filled: "square", late: "circle", revised: "arrowUp" };
    this.markers.setMarkers(
      marks
        .map(({ time, kind, text }) => ({
          time: seconds(time), position: kind === "revised" ? "belowBar" : "aboveBar", shape: shapes[kind],
          color: this.tones[kind], text,
        }))
        .sort((first, second) => first.time - second.time),
    );
  }

  /** Remove the line of an overlay. */
  clear(name) {
    const series = this.#overlays.get(name);
    if (series) this.chart.removeSeries(series);
    this.#overlays.delete(name);
  }

  /** Draw another exchange's closes as a line; it may have none yet. */
  overlay(name, candles) {
    let series = this.#overlays.get(name);
    if (!series) {
      const tone = OVERLAYS[this.#overlays.size % OVERLAYS.length];
      series = this.chart.addSeries(LineSeries, {
        color: tone, lineWidth: 1, title: name, priceLineVisible: false, lastValueVisible: true, priceFormat: this.#format(),
      });
      this.#overlays.set(name, series);
    }
    series.setData(candles.map((each) => ({ time: seconds(each.open_time), value: Number(each.close) })));
  }

  /** Draw one close of an overlay, if it is the newest. */
  extend(name, candle) {
    const series = this.#overlays.get(name);
    const last = series?.data().at(-1);
    if (series && (!last || last.time <= seconds(candle.open_time)))
      series.update({ time: seconds(candle.open_time), value: Number(candle.close) });
  }

  /** Put the crosshair on a candle, and move the view so that it is seen. */
  point(candle) {
    const scale = this.chart.timeScale(), range = scale.getVisibleLogicalRange();
    const at = scale.timeToIndex(seconds(candle.open_time));
    if (range && at !== null && (at < range.from || at > range.to))
      this.move(at < range.from ? at - range.from - MARGIN : at - range.to + MARGIN);
    this.#held = candle;
    this.#cross();
  }

  /** Take the crosshair away. */
  unpoint() {
    this.#held = null;
    this.chart.clearCrosshairPosition();
  }

  /** Move the view by candles, or zoom it by a factor. */
  move(candles, zoom = 1) {
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range) return;
    const half = ((range.to - range.from) / 2) * zoom, middle = (range.from + range.to) / 2 + candles;
    scale.setVisibleLogicalRange({ from: middle - half, to: middle + half });
  }

  /** Show the newest candles at the right; few of them are as wide as many would be. */
  newest() {
    const count = this.candles.data().length;
    const from = count - Math.min(Math.max(count, IN_VIEW / 2), IN_VIEW);
    this.chart.timeScale().setVisibleLogicalRange({ from, to: count + MARGIN });
  }

  #cross() {
    this.chart.setCrosshairPosition(Number(this.#held.close), seconds(this.#held.open_time), this.candles);
  }

  #format() {
    const precision = this.#precision;
    return { type: "custom", minMove: 10 ** -precision, formatter: (price) => grouped(price.toFixed(precision)) };
  }

  #bar(candle) {
    const [open, high, low, close] = [candle.open, candle.high, candle.low, candle.close].map(Number);
    return { time: seconds(candle.open_time), open, high, low, close };
  }

  #volume(candle) {
    const tone = Number(candle.close) >= Number(candle.open) ? this.up : this.down;
    return { time: seconds(candle.open_time), value: Number(candle.volume), color: faint(tone, 0.35) };
  }

  #delta(candle) {
    const value = 2 * Number(candle.taker_buy_volume) - Number(candle.volume);
    return { time: seconds(candle.open_time), value, color: faint(value >= 0 ? this.up : this.down, 0.7) };
  }

  #span(candle) {
    const tone = candle.feed_reason === "lost" ? this.down : this.dim;
    return { time: seconds(candle.open_time), value: 1, color: faint(tone, 0.16) };
  }
}
