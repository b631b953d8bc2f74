// A chart: the partitions of a pair as lines. A line ends where nothing was read, and begins again where something was.

import { h, keep, mark, say, svg } from "./dom.js";
import { WINDOW } from "./history.js";
import { clock, count } from "./words.js";

/** Lines with a look of their own; those beyond look alike, and the table tells them apart. */
const LOOKS = 8;

/** Room for the figures at the axes, pixels. */
const ROOM = { large: { left: 46, right: 8, top: 10, bottom: 22 }, small: { left: 2, right: 2, top: 4, bottom: 3 } };

/** A chart that draws itself anew when its width changes. `draw({moments, now, interval})`. */
export function chart(size) {
  const room = ROOM[size];
  const height = size === "large" ? 220 : 64;
  const [blind, grid, lines] = ["blind", "grid", "lines"].map((name) => svg("g", { class: name }));
  const node = svg("svg", { class: `chart ${size}`, role: "img", height }, blind, grid, lines);
  let last = null;
  let current = null;
  const line = (number) => {
    const path = svg("path", { class: look(number) });
    return { node: path, update: () => mark(path, "d", current.path(number)) };
  };
  const draw = (given) => {
    last = given;
    const width = node.clientWidth || 300;
    mark(node, "viewBox", `0 0 ${width} ${height}`);
    const plot = new Plot(given, room, width, height);
    current = plot;
    keep(lines, plot.numbers, String, line);
    blind.replaceChildren(...plot.gaps().map(([x, wide]) => svg("rect", { x, y: room.top, width: wide, height: plot.bottom - room.top })));
    if (size === "large") grid.replaceChildren(...axes(plot));
    else grid.replaceChildren(svg("line", { x1: 0, x2: width, y1: plot.bottom, y2: plot.bottom }));
    mark(node, "aria-label", plot.summary());
  };
  new ResizeObserver(() => last && draw(last)).observe(node);
  return { node, draw };
}

/** Which look a partition's line has: the same in chart, legend and table. */
export const look = (number) => `look-${number < LOOKS ? number : "more"}`;

/** A short piece of a partition's line. */
export const sample = (number) =>
  svg("svg", { class: "sample", viewBox: "0 0 28 8", width: 28, height: 8, "aria-hidden": "true" }, svg("path", { class: look(number), d: "M0 4H28" }));

/** The legend of a chart: which line is which partition, and how many records wait there now. */
export function legend() {
  const node = h("ul", { class: "legend", "aria-label": "Lines of the chart" });
  const make = (number) => {
    const value = h("b");
    return {
      node: h("li", {}, sample(Number(number)), ` partition ${number} `, value),
      update: () => say(value, count(lags[number])),
    };
  };
  let lags = {};
  const draw = (now) => {
    lags = now;
    keep(node, Object.keys(now), String, make);
  };
  return { node, draw };
}

/** Where on the picture something is. */
class Plot {
  constructor({ moments, now, interval }, room, width, height) {
    Object.assign(this, { room, width, now, bottom: height - room.bottom });
    this.from = now - WINDOW;
    this.moments = moments.filter(({ at }) => at >= this.from && at <= now);
    this.longest = interval * 2500;
    this.numbers = [...new Set(this.moments.flatMap(({ partitions }) => Object.keys(partitions)))].map(Number).sort((a, b) => a - b);
    this.most = Math.max(1, ...this.moments.flatMap(({ partitions }) => Object.values(partitions)));
    this.top = nice(this.most);
  }

  x(at) {
    const { left, right } = this.room;
    return left + ((at - this.from) / WINDOW) * (this.width - left - right);
  }

  y(lag) {
    return this.bottom - (lag / this.top) * (this.bottom - this.room.top);
  }

  path(number) {
    let [path, before] = ["", null];
    for (const { at, partitions } of this.moments) {
      const lag = partitions[number] ?? null;
      if (lag === null) before = null;
      else {
        const goesOn = before !== null && at - before <= this.longest;
        path += `${goesOn ? "L" : "M"}${this.x(at).toFixed(1)} ${this.y(lag).toFixed(1)}`;
        before = at;
      }
    }
    // A single point would be invisible; with a round end a line of no length is a dot.
    return path.replace(/M(\S+ \S+)(?=M|$)/g, "M$1h0");
  }

  /** From when to when nothing was read, between the first reading and now: left edge and width. */
  gaps() {
    const times = this.moments.map(({ at }) => at).concat(this.now);
    const pairs = times.slice(1).map((at, n) => [times[n], at]);
    const gaps = pairs.filter(([before, at]) => at - before > this.longest);
    return gaps.map(([before, at]) => [this.x(before), this.x(at) - this.x(before)]);
  }

  summary() {
    if (this.moments.length === 0) return "Records waiting by partition: nothing read yet";
    const last = this.moments.at(-1).partitions;
    const told = this.numbers.slice(0, 12).map((number) => {
      const known = this.moments.map(({ partitions }) => partitions[number]).filter((lag) => typeof lag === "number");
      const range = known.length ? `, between ${count(Math.min(...known))} and ${count(Math.max(...known))}` : "";
      return `partition ${number} ${typeof last[number] === "number" ? count(last[number]) : "not known"}${range}`;
    });
    const gaps = this.gaps().length;
    const blind = gaps ? `; ${gaps} ${gaps === 1 ? "time" : "times"} without a reading` : "";
    return `Records waiting by partition, now and over the last five minutes: ${told.join("; ")}${blind}`;
  }
}

/** The next of 1, 2, 5, 10, 20, 50 … */
function nice(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= most);
}

function axes(plot) {
  const { room, width, bottom, top, now } = plot;
  const steps = top < 4 ? top : top % 4 === 0 || top === 1 ? 4 : 5;
  const all = [];
  for (let n = 0; n <= steps; n += 1) {
    const value = (top / steps) * n;
    const y = plot.y(value);
    all.push(svg("line", { x1: room.left, x2: width - room.right, y1: y, y2: y }));
    all.push(svg("text", { x: room.left - 6, y: y + 4, "text-anchor": "end" }, count(value)));
  }
  const times = [[0, "start"], [0.5, "middle"], [1, "end"]];
  for (const [part, anchor] of times) {
    const at = now - WINDOW * (1 - part);
    all.push(svg("text", { x: plot.x(at), y: bottom + 16, "text-anchor": anchor }, clock(at)));
  }
  return all;
}
