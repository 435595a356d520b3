// The pipeline: what each stage does, how far it is behind, and how long trades take.

import { get } from "./api.js";
import { $, Table, notices } from "./dom.js";
import { duration, grouped, rate, time as timeText } from "./format.js";
import { Poll } from "./poll.js";

const EVERY = 2000, KEPT = 300; // 10 minutes of rates
const SHOWN = 60; // seconds that the picture shows at least

/** How old the last write is; of a tier that commits now and then, what it waits for. */
function behind({ commit_seconds: every, seconds_behind: seconds, lag, written }) {
  if (every === null || seconds > every) return duration(seconds * 1000);
  if (!lag) return "no";
  return written === null ? `commits every ${duration(every * 1000).replace(".0 ", " ")}` : `no: next commit within ${duration((every - seconds) * 1000)}`;
}

export class PipelineView {
  #times = [];
  #rates = [];

  constructor() {
    const number = (value) => (value === null ? "–" : grouped(value));
    this.stages = new Table($("stages"), [
      ["Stage", (row) => row.name],
      ["Records", (row) => number(row.records)],
      ["Per second", (row) => rate(row.records_per_second)],
      ["Lag, records", (row) => number(row.lag)],
      ["p50", (row) => duration(row.latency_p50)],
      ["p99", (row) => duration(row.latency_p99)],
      ["Errors", (row) => number(row.errors)],
    ]);
    this.sinks = new Table($("sinks"), [
      ["Table", (row) => row.table],
      ["Tier", (row) => row.tier, "text"],
      ["Rows", (row) => number(row.rows)],
      ["Per second", (row) => rate(row.rows_per_second)],
      ["Lag, records", (row) => number(row.lag)],
      ["Written", (row) => (row.written === null ? "–" : `${duration(Date.now() - row.written)} ago`)],
      ["Behind", behind, "text"],
      ["Errors", (row) => number(row.errors)],
    ]);
    this.workers = new Table($("workers"), [
      ["Worker", (row) => row.name],
      ["State", (row) => row.state, "text"],
      ["Message", (row) => row.message ?? "", "text"],
    ]);
    this.agreement = new Table($("agreement"), [
      ["Exchange", (row) => row.exchange],
      ["Timeframe", (row) => row.timeframe, "text"],
      ["Checked", (row) => number(row.checked)],
      ["Equal", (row) => number(row.equal)],
      ["Different", (row) => number(row.different)],
      ["Not comparable", (row) => number(row.not_comparable)],
    ]);
    this.poll = new Poll(() => get(["status"]), (found) => this.#take(found), notices($("pipeline-notice")), EVERY);
  }

  show() {
    this.active = true;
    this.poll.start();
  }

  hide() {
    this.active = false;
    this.poll.stop();
  }

  #take({ stages, sinks, workers }) {
    this.stages.show(stages.map((row) => [row.name, row]));
    this.sinks.show(sinks.map((row) => [row.table, row]));
    this.workers.show(workers.map((row) => [row.name, row]));
    this.#times.push(Date.now() / 1000);
    this.#rates.push(stages[0]?.records_per_second ?? null);
    if (this.#times.length > KEPT) (this.#times.shift(), this.#rates.shift());
    this.#plot();
  }

  /** The first and last second of the picture; uPlot's own would be years around a single point. */
  #span() {
    const last = this.#times.at(-1) ?? SHOWN;
    return [Math.min(this.#times[0] ?? 0, last - SHOWN), last];
  }

  #plot() {
    const element = $("rates");
    const style = getComputedStyle(document.body);
    if (!this.plot) {
      const axis = { stroke: () => getComputedStyle(document.body).color, grid: { stroke: "#8884" }, ticks: { show: false } };
      this.plot = new globalThis.uPlot(
        {
          width: element.clientWidth, height: element.clientHeight, legend: { show: false }, cursor: { show: false },
          scales: { x: { range: () => this.#span() }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
          series: [{}, { label: "trades/s", stroke: style.getPropertyValue("color"), width: 1.5 }],
          tzDate: (at) => globalThis.uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
          axes: [{ ...axis, space: 80, values: (_, times) => times.map((at) => timeText(at * 1000, "UTC", false)) }, { ...axis, size: 50 }],
        },
        [this.#times, this.#rates],
        element,
      );
      new ResizeObserver(() => this.plot.setSize({ width: element.clientWidth, height: element.clientHeight })).observe(element);
    }
    this.plot.setData([this.#times, this.#rates]);
  }
}
