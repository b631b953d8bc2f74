// The form that sends a burst of orders, through the monitor, to load-generator.

import { callApi } from "./api.js";
import { byId, setText } from "./dom.js";
import { formatCount, formatRate } from "./format.js";

async function send(orders, result) {
  setText(result, `Sending ${formatCount(orders)} orders …`);
  const { successful, total, duration_seconds: seconds, messages_per_second: rate } = await callApi("POST", "/burst", { count: orders });
  setText(result, `${formatCount(successful)} of ${formatCount(total)} orders created in ${seconds.toFixed(1)} s, ${formatRate(rate)} per second.`);
}

/** Connects the form. A second submit during a burst is ignored. */
export function start() {
  const result = byId("burst-result");
  let isSending = false;
  byId("burst").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isSending) return;
    isSending = true;
    try {
      await send(byId("burst-count").valueAsNumber, result);
    } catch (error) {
      setText(result, `Burst failed: ${error.message}`);
    }
    isSending = false;
  });
}
