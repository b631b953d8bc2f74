// The list of alerts, newest first.

import { callApi } from "./api.js";
import { badge } from "./cards.js";
import { byId, h, reconcile, setAttr, setText } from "./dom.js";
import { formatTime } from "./format.js";

const LIMIT = 8;

async function load(method) {
  const result = byId("alerts-result");
  try {
    const { alerts } = await callApi(method, method === "GET" ? `/alerts?limit=${LIMIT}` : "/alerts");
    reconcile(byId("alerts"), alerts, (alert) => alert.timestamp + alert.message, line);
    setText(result, alerts.length === 0 ? "No alerts." : "");
  } catch (error) {
    setText(result, `The alerts cannot be loaded: ${error.message}`);
  }
}

function line(alert) {
  const level = badge();
  const time = h("time", { datetime: alert.timestamp }, formatTime(alert.timestamp));
  const end = h("span", { class: "hint" });
  const node = h("li", {}, time, " ", level.node, " ", h("span", {}, alert.message), " ", end);
  return {
    node,
    update: (now) => {
      level.update(now.level);
      setAttr(node, "data-status", now.level);
      // An alert with the level ok only reports an end.
      const isEnded = now.ended_at !== null && now.level !== "ok";
      setAttr(node, "data-ended", isEnded ? "true" : null);
      setText(end, isEnded ? `(until ${formatTime(now.ended_at)})` : "");
    },
  };
}

/** Loads the alerts again. */
export const refresh = () => load("GET");

/** Connects the button that clears the alerts. */
export function start() {
  byId("clear-alerts").addEventListener("click", () => load("DELETE"));
}
