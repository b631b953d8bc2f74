// The alerts: what changed, newest first.

import { call } from "./calls.js";
import { badge } from "./cards.js";
import { byId, h, keep, mark, say } from "./dom.js";
import { clock } from "./words.js";

const SHOWN = 8;

async function ask(method) {
  const told = byId("alerts-told");
  try {
    const { alerts } = await call(method, method === "GET" ? `/alerts?limit=${SHOWN}` : "/alerts");
    keep(byId("alerts"), alerts, (alert) => alert.timestamp + alert.message, line);
    say(told, alerts.length === 0 ? "No alerts: nothing has changed for the worse." : "");
  } catch (error) {
    say(told, `The alerts cannot be told now: ${error.message}`);
  }
}

function line(alert) {
  const state = badge();
  const time = h("time", { datetime: alert.timestamp }, clock(alert.timestamp));
  const node = h("li", {}, time, " ", state.node, " ", h("span", {}, alert.message));
  return {
    node,
    update: (now) => {
      state.update(now.level);
      mark(node, "data-status", now.level);
    },
  };
}

/** Reads them again. */
export const refresh = () => ask("GET");

/** The button that has them forgotten. */
export function start() {
  byId("clear-alerts").addEventListener("click", () => ask("DELETE"));
}
