// The burst: asked of the monitor, which asks load-generator.

import { call } from "./calls.js";
import { byId, say } from "./dom.js";
import { count, rate } from "./words.js";

async function burst(orders, told) {
  say(told, `Making ${count(orders)} orders …`);
  const { successful, total, duration_seconds: seconds, messages_per_second: speed } = await call("POST", "/burst", { count: orders });
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
      say(told, `No burst: ${error.message}`);
    }
    underWay = false;
  });
}
