// What the members of each service's group are told. A change is merged into what they were told before, as `./sandbox consumer`
// does: somebody else may have told them something meanwhile.

import { call } from "./calls.js";
import { byId, h, mark, say } from "./dom.js";
import { count } from "./words.js";

const SERVICES = ["order-service", "payment-service", "inventory-service"];

/** Where the sliders stop. What was set elsewhere may lie between two; the words beside the slider are exact. */
const TIMES = [0, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];
const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/** What holds without a word from anybody. */
const TIME = 0;
const SIZE = 500;

async function ask(service, method, body) {
  return (await call(method, `/services/${service}/controls`, body)).controls;
}

const nearest = (stops, value) => stops.reduce((best, stop, n) => (Math.abs(stop - value) < Math.abs(stops[best] - value) ? n : best), 0);

/** A slider over these stops. `words(value)` says a value; `change(value)` is called when somebody has moved it. */
function slider(id, label, stops, words, change) {
  const value = h("output", { for: id });
  const input = h("input", { id, type: "range", min: 0, max: stops.length - 1, step: 1 });
  const show = (number) => {
    say(value, words(number));
    mark(input, "aria-valuetext", words(number));
  };
  input.addEventListener("input", () => show(stops[input.valueAsNumber]));
  input.addEventListener("change", () => change(stops[input.valueAsNumber]));
  const update = (number) => {
    input.value = nearest(stops, number);
    show(number);
  };
  return { node: h("div", { class: "slider" }, h("label", { for: id }, label), value, input), update };
}

function service(name) {
  const told = h("p", { class: "told", role: "status" });
  // One after the other: each change builds on the one before.
  let turn = Promise.resolve();
  let waiting = 0;
  const act = (does, wrong = "Not done") => {
    waiting += 1;
    turn = turn.then(async () => {
      try {
        const controls = await does();
        waiting -= 1;
        // What is being moved now must not jump back.
        if (waiting === 0) show(controls);
      } catch (error) {
        waiting -= 1;
        say(told, `${wrong}: ${error.message}`);
      }
    });
    return turn;
  };
  const tell = (change) =>
    act(async () => {
      const before = (await ask(name, "GET")) ?? {};
      return ask(name, "PUT", change(before));
    });
  const paused = (before) => (before.paused ? { paused: true } : {});
  const time = slider(`${name}-time`, "Work for each batch", TIMES, (ms) => `${count(ms)} ms`, (ms) =>
    // Without a batch size a time has its usual meaning: each message for itself; and none, batches again.
    tell((before) => ({ processing_time_ms: ms, ...paused(before) })));
  const size = slider(`${name}-size`, "Records in a batch, at most", SIZES, count, (most) =>
    tell((before) => ({ processing_time_ms: before.processing_time_ms, batch_max: most, ...paused(before) })));
  const button = (words, onclick) => h("button", { type: "button", onclick, "aria-label": `${words} ${name}` }, words);
  const buttons = h(
    "div",
    { class: "row" },
    button("Pause", () => tell((before) => ({ ...before, paused: true }))),
    button("Resume", () => tell((before) => ({ ...before, paused: false }))),
    button("Clear", () => act(() => ask(name, "DELETE"))),
  );
  const state = h("span", { class: "state" });
  const show = (controls) => {
    time.update(controls?.processing_time_ms ?? TIME);
    size.update(controls?.batch_max ?? SIZE);
    mark(node, "data-paused", controls?.paused ? "true" : null);
    say(state, controls?.paused ? "‖ paused" : controls ? "told by its group" : "as it was started");
    say(told, "");
  };
  const node = h("fieldset", {}, h("legend", {}, name, " ", state), time.node, size.node, buttons, told);
  // A look at what others did must not undo what is being done here.
  const refresh = () => waiting === 0 && !node.contains(document.activeElement) && read();
  const read = () => act(() => ask(name, "GET"), "What it was told is not known");
  show(null);
  return { node, refresh, first: read };
}

/** The controls of all services; what comes back reads them again. */
export function start() {
  const all = SERVICES.map(service);
  byId("controls").append(...all.map(({ node }) => node));
  let first = true;
  return () => {
    all.forEach((one) => (first ? one.first() : one.refresh()));
    first = false;
  };
}
