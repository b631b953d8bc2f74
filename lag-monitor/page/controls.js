// The settings for all members of each service's group. A change is merged into the settings that the group has at that moment, as
// `./sandbox consumer` does, since another user may have changed them.

import { callApi } from "./api.js";
import { byId, h, setAttr, setText } from "./dom.js";
import { formatCount } from "./format.js";

const SERVICES = ["order-service", "payment-service", "inventory-service"];

/** The positions of the sliders. A value between two positions moves the slider to the nearest; the text beside it is exact. */
const TIMES_MS = [0, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];
const BATCH_SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

const DEFAULT_TIME_MS = 0;
const DEFAULT_BATCH_SIZE = 500;

async function callControls(service, method, body) {
  return (await callApi(method, `/services/${service}/controls`, body)).controls;
}

const nearest = (positions, value) => positions.reduce((best, position, n) => (Math.abs(position - value) < Math.abs(positions[best] - value) ? n : best), 0);

/** A slider over these positions. `format(value)` is the text beside it; `change(value)` is called when the user has moved it. */
function slider(id, label, positions, format, change) {
  const value = h("output", { for: id });
  const input = h("input", { id, type: "range", min: 0, max: positions.length - 1, step: 1 });
  const show = (number) => {
    setText(value, format(number));
    setAttr(input, "aria-valuetext", format(number));
  };
  input.addEventListener("input", () => show(positions[input.valueAsNumber]));
  input.addEventListener("change", () => change(positions[input.valueAsNumber]));
  const update = (number) => {
    input.value = nearest(positions, number);
    show(number);
  };
  return { node: h("div", { class: "slider" }, h("label", { for: id }, label), value, input), update };
}

/**
 * A queue of requests. One request runs at a time, since each change builds on the settings before it. `onSuccess` receives the
 * result of the last request only, so that a control that the user has moved meanwhile does not jump back.
 */
function requestQueue(onSuccess, onError) {
  let tail = Promise.resolve();
  let pending = 0;
  const add = (request, failure = "Not changed") => {
    pending += 1;
    tail = tail.then(async () => {
      try {
        const controls = await request();
        pending -= 1;
        if (pending === 0) onSuccess(controls);
      } catch (error) {
        pending -= 1;
        onError(`${failure}: ${error.message}`);
      }
    });
    return tail;
  };
  return { add, isIdle: () => pending === 0 };
}

function serviceControls(name) {
  const result = h("p", { class: "result", role: "status" });
  const queue = requestQueue((controls) => show(controls), (text) => setText(result, text));
  const merge = (change) =>
    queue.add(async () => {
      const before = (await callControls(name, "GET")) ?? {};
      return callControls(name, "PUT", change(before));
    });
  // What a slider keeps. A resume is not repeated: it would also resume the members that stopped at the poison limit.
  const others = ({ processing_time_ms, batch_max, paused, ...faults }) => (paused ? { ...faults, paused } : faults);
  const time = slider(`${name}-time`, "Processing time of each batch", TIMES_MS, (ms) => `${formatCount(ms)} ms`, (ms) =>
    // Without a batch size the monitor sets the one that belongs to the time: 1, or the default if the time is 0.
    merge((before) => ({ ...others(before), processing_time_ms: ms })));
  const size = slider(`${name}-size`, "Maximum batch size, records", BATCH_SIZES, formatCount, (most) =>
    merge((before) => ({ ...others(before), processing_time_ms: before.processing_time_ms, batch_max: most })));
  const button = (text, onclick) => h("button", { type: "button", onclick, "aria-label": `${text} ${name}` }, text);
  const buttons = h(
    "div",
    { class: "row" },
    button("Pause", () => merge((before) => ({ ...before, paused: true }))),
    button("Resume", () => merge((before) => ({ ...before, paused: false }))),
    button("Clear", () => queue.add(() => callControls(name, "DELETE"))),
  );
  const state = h("span", { class: "state" });
  const show = (controls) => {
    time.update(controls?.processing_time_ms ?? DEFAULT_TIME_MS);
    size.update(controls?.batch_max ?? DEFAULT_BATCH_SIZE);
    setAttr(node, "data-paused", controls?.paused ? "true" : null);
    setText(state, controls?.paused ? "‖ paused" : controls ? "set for the group" : "no group settings");
    setText(result, "");
  };
  const node = h("fieldset", {}, h("legend", {}, name, " ", state), time.node, size.node, buttons, result);
  const read = () => queue.add(() => callControls(name, "GET"), "The group settings cannot be read");
  // A refresh must not overwrite what the user is changing.
  const refresh = () => queue.isIdle() && !node.contains(document.activeElement) && read();
  show(null);
  return { node, read, refresh };
}

/** Adds the controls of all services to the page. The returned function reads the settings again. */
export function start() {
  const all = SERVICES.map(serviceControls);
  byId("controls").append(...all.map(({ node }) => node));
  let isFirst = true;
  return () => {
    all.forEach((one) => (isFirst ? one.read() : one.refresh()));
    isFirst = false;
  };
}
