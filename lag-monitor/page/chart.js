// A chart with a line for the lag of each partition. A line has a gap where polls are missing or the lag is unknown.

import { h, reconcile, setAttr, setText, svg } from "./dom.js";
import { WINDOW } from "./history.js";
import { formatCount, formatTime } from "./format.js";

/** Distinct line styles. All further partitions share one style; the table distinguishes them. */
const STYLES = 8;

/** Space for the labels of the axes, pixels. */
const MARGIN = { large: { left: 46, right: 8, top: 10, bottom: 22 }, small: { left: 2, right: 2, top: 4, bottom: 3 } };

/**
 * A chart that redraws when its width changes. `draw({samples, now, interval})`: `now` is the right edge in milliseconds, `interval`
 * the seconds between polls.
 */
export function chart(size) {
  const margin = MARGIN[size];
  const height = size === "large" ? 220 : 64;
  const [gaps, grid, lines] = ["gaps", "grid", "lines"].map((name) => svg("g", { class: name }));
  const node = svg("svg", { class: `chart ${size}`, role: "img", height }, gaps, grid, lines);
  let last = null;
  let current = null;
  const line = (number) => {
    const path = svg("path", { class: lineStyle(number) });
    return { node: path, update: () => setAttr(path, "d", current.path(number)) };
  };
  const draw = (given) => {
    last = given;
    const width = node.clientWidth || 300;
    setAttr(node, "viewBox", `0 0 ${width} ${height}`);
    const plot = new Plot(given, margin, width, height);
    current = plot;
    reconcile(lines, plot.numbers, String, line);
    gaps.replaceChildren(...plot.gaps().map(([x, gap]) => svg("rect", { x, y: margin.top, width: gap, height: plot.bottom - margin.top })));
    if (size === "large") grid.replaceChildren(...axes(plot));
    else grid.replaceChildren(svg("line", { x1: 0, x2: width, y1: plot.bottom, y2: plot.bottom }));
    setAttr(node, "aria-label", plot.summary());
  };
  new ResizeObserver(() => last && draw(last)).observe(node);
  return { node, draw };
}

/** The CSS class of a partition's line, the same in chart, legend and table. */
const lineStyle = (number) => `line-style-${number < STYLES ? number : "more"}`;

/** A short line in a partition's style. */
export const lineSample = (number) =>
  svg("svg", { class: "line-sample", viewBox: "0 0 28 8", width: 28, height: 8, "aria-hidden": "true" }, svg("path", { class: lineStyle(number), d: "M0 4H28" }));

/** The legend of a chart: the style and the current lag of each partition, as text. */
export function legend() {
  const node = h("ul", { class: "legend", "aria-label": "Lines of the chart" });
  const make = (number) => {
    const value = h("b");
    return {
      node: h("li", {}, lineSample(Number(number)), ` partition ${number} `, value),
      update: () => setText(value, lags[number]),
    };
  };
  let lags = {};
  const draw = (now) => {
    lags = now;
    reconcile(node, Object.keys(now), String, make);
  };
  return { node, draw };
}

/** Maps times and lags to pixels. */
class Plot {
  constructor({ samples, now, interval }, margin, width, height) {
    Object.assign(this, { margin, width, now, bottom: height - margin.bottom });
    this.from = now - WINDOW;
    this.samples = samples.filter(({ at }) => at >= this.from && at <= now);
    this.maxDistance = interval * 2500;
    this.numbers = [...new Set(this.samples.flatMap(({ partitions }) => Object.keys(partitions)))].map(Number).sort((a, b) => a - b);
    const highest = Math.max(1, ...this.samples.flatMap(({ partitions }) => Object.values(partitions)));
    this.top = niceCeiling(highest);
  }

  x(at) {
    const { left, right } = this.margin;
    return left + ((at - this.from) / WINDOW) * (this.width - left - right);
  }

  y(lag) {
    return this.bottom - (lag / this.top) * (this.bottom - this.margin.top);
  }

  path(number) {
    let [path, before] = ["", null];
    for (const { at, partitions } of this.samples) {
      const lag = partitions[number] ?? null;
      if (lag === null) before = null;
      else {
        const isConnected = before !== null && at - before <= this.maxDistance;
        path += `${isConnected ? "L" : "M"}${this.x(at).toFixed(1)} ${this.y(lag).toFixed(1)}`;
        before = at;
      }
    }
    // A single point would be invisible. With round ends, a line without length is a dot.
    return path.replace(/M(\S+ \S+)(?=M|$)/g, "M$1h0");
  }

  /** Left edge and width of each time without a poll, between the first sample and now. */
  gaps() {
    const times = this.samples.map(({ at }) => at).concat(this.now);
    const pairs = times.slice(1).map((at, n) => [times[n], at]);
    const gaps = pairs.filter(([before, at]) => at - before > this.maxDistance);
    return gaps.map(([before, at]) => [this.x(before), this.x(at) - this.x(before)]);
  }

  summary() {
    if (this.samples.length === 0) return "Lag by partition: no data yet";
    const last = this.samples.at(-1).partitions;
    const partitions = this.numbers.slice(0, 12).map((number) => {
      const lags = this.samples.map((sample) => sample.partitions[number]).filter((lag) => typeof lag === "number");
      const range = lags.length ? `, between ${formatCount(Math.min(...lags))} and ${formatCount(Math.max(...lags))}` : "";
      return `partition ${number} ${typeof last[number] === "number" ? formatCount(last[number]) : "unknown"}${range}`;
    });
    const gaps = this.gaps().length;
    const gapText = gaps ? `; ${gaps} ${gaps === 1 ? "gap" : "gaps"} without a poll` : "";
    return `Lag by partition, now and over the last five minutes: ${partitions.join("; ")}${gapText}`;
  }
}

/** The smallest of 1, 2, 5, 10, 20, 50 … that is not below `highest`. */
function niceCeiling(highest) {
  const power = 10 ** Math.floor(Math.log10(highest));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= highest);
}

function axes(plot) {
  const { margin, width, bottom, top, now } = plot;
  const steps = top < 4 ? top : top % 4 === 0 || top === 1 ? 4 : 5;
  const all = [];
  for (let n = 0; n <= steps; n += 1) {
    const value = (top / steps) * n;
    const y = plot.y(value);
    all.push(svg("line", { x1: margin.left, x2: width - margin.right, y1: y, y2: y }));
    all.push(svg("text", { x: margin.left - 6, y: y + 4, "text-anchor": "end" }, formatCount(value)));
  }
  const times = [[0, "start"], [0.5, "middle"], [1, "end"]];
  for (const [part, anchor] of times) {
    const at = now - WINDOW * (1 - part);
    all.push(svg("text", { x: plot.x(at), y: bottom + 16, "text-anchor": anchor }, formatTime(at)));
  }
  return all;
}
