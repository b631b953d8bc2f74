// The burst: asked of the monitor, which asks load-generator.

import { byId, say } from "./dom.js";
import { count, problem, rate } from "./words.js";

async function burst(orders, told) {
  say(told, `Making ${count(orders)} orders …`);
  const response = await fetch("/burst", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ count: orders }),
  });
  if (!response.ok) {
    say(told, `No burst: ${await problem(response)}`);
    return;
  }
  const { successful, total, duration_seconds: seconds, messages_per_second: speed } = await response.json();
  say(told, `${count(successful)} of ${count(total)} orders made in ${seconds.toFixed(1)} s, ${rate(speed)} a second.`);
}

/** The form. */
export function start() {
  const told = byId("burst-told");
  let underWay = false;
  byId("burst").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (underWay) return;
    underWay = true;
    try {
      await burst(byId("burst-count").valueAsNumber, told);
    } catch (error) {
      say(told, `No burst: the monitor cannot be reached (${error.message}).`);
    }
    underWay = false;
  });
}
