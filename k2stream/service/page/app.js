// The page: chooses the view of the address, and connects the views to the service.

import { get } from "./api.js";
import { ChartView } from "./chart-view.js";
import { $ } from "./dom.js";
import { ExchangesView } from "./exchanges-view.js";
import { bind } from "./keys.js";
import { PipelineView } from "./pipeline-view.js";
import { change, read } from "./selection.js";
import { Stream } from "./stream.js";
import { SymbolsView } from "./symbols-view.js";
import { theme } from "./theme.js";

const RETRY = 1000, LONGEST_RETRY = 10_000;

const stream = new Stream(connection, ({ simulated }) => ($("simulated").hidden = !simulated));
const views = {
  chart: new ChartView(stream),
  symbols: new SymbolsView(stream),
  pipeline: new PipelineView(),
  exchanges: new ExchangesView(),
};

function connection(state, reason = "") {
  const texts = { live: "live", connecting: "resuming", offline: "offline, trying again" };
  const badge = $("connection");
  if (badge.textContent === texts[state]) return;
  badge.textContent = texts[state];
  badge.title = reason;
  badge.className = `badge ${state === "live" ? "good" : "bad"}`;
}

function show() {
  const wanted = read().view;
  const shown = wanted in views ? wanted : "chart";
  for (const [name, view] of Object.entries(views)) {
    $(`view-${name}`).hidden = name !== shown;
    if (name !== shown && view.active) view.hide();
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  views[shown].show();
}

/** Wait for the instruments: a worker that recovers its tables, or needs a key, answers a little later. */
async function begin(pause = RETRY) {
  try {
    const { symbols, simulated } = await get(["symbols"]);
    $("simulated").hidden = !simulated;
    views.chart.instruments = symbols;
    connection(stream.state);
    stream.connect();
    show();
  } catch (error) {
    connection("offline", error.message);
    setTimeout(() => begin(Math.min(pause * 2, LONGEST_RETRY)), pause);
  }
}

const nextTheme = theme($("theme"), () => views.chart.dress());
const timeframes = ["1m", "5m", "15m", "30m", "1h", "1d"];
const onChart = () => views.chart.active; // elsewhere these keys scroll
bind([
  ...Object.keys(views).map((name) => [name[0], `${name} view`, () => change({ view: name })]),
  ["j", "next symbol", () => views.chart.step(1)],
  ["k", "previous symbol", () => views.chart.step(-1)],
  ...timeframes.map((name, at) => [String(at + 1), `${name} candles`, () => change({ timeframe: name })]),
  ["ArrowLeft", "point at the candle before", () => views.chart.point(-1), onChart],
  ["ArrowRight", "point at the candle after", () => views.chart.point(1), onChart],
  ["Enter", "certificate of the candle that is pointed at, or the newest", () => views.chart.open(), onChart],
  ["<", "20 candles back", () => views.chart.chart.move(-20), onChart],
  [">", "20 candles on", () => views.chart.chart.move(20), onChart],
  ["+", "zoom in", () => views.chart.chart.move(0, 0.8), onChart],
  ["-", "zoom out", () => views.chart.chart.move(0, 1.25), onChart],
  ["End", "the newest candles", () => views.chart.newest(), onChart],
  ["t", "theme", nextTheme],
]);
addEventListener("hashchange", show);
window.k2 = { open: (at) => views.chart.open(at) }; // for a console, and for tests
begin();
