// The losses of records that nobody has acknowledged, with a button for each group on a topic.

import { callApi } from "./api.js";
import { byId, h, reconcile, setText } from "./dom.js";
import { formatLoss, formatTime } from "./format.js";
import { keyOf } from "./history.js";

/** Most partitions that are named for one group on a topic. */
const MAX_PARTITIONS = 12;

/** Draws the losses of an event `state`, which has at most 200; `count` is the number of all. */
export function draw(losses, count) {
  const byPair = new Map();
  for (const loss of losses) byPair.set(keyOf(loss), [...(byPair.get(keyOf(loss)) ?? []), loss]);
  byId("losses").hidden = losses.length === 0;
  const more = count - losses.length;
  setText(byId("losses-more"), more > 0 ? `${more} more partitions have lost records: /losses lists them.` : "");
  reconcile(byId("losses-list"), [...byPair.values()], ([first]) => keyOf(first), line);
}

function line([first]) {
  const { group_id, topic } = first;
  const text = h("span");
  const label = `Acknowledge the loss of ${group_id} on ${topic}`;
  const button = h("button", { type: "button", "aria-label": label, onclick: () => acknowledge(group_id, topic) }, "Acknowledge");
  return { node: h("li", {}, text, " ", button), update: (now) => setText(text, sentence(now)) };
}

function sentence(losses) {
  const { group_id, topic, found_at } = losses[0];
  const partitions = losses.slice(0, MAX_PARTITIONS).map((loss) => `partition ${loss.partition}: ${formatLoss(loss)} records of offsets ${loss.first_offset} to ${loss.last_offset}`);
  const more = losses.length > MAX_PARTITIONS ? `; and ${losses.length - MAX_PARTITIONS} more partitions` : "";
  const may = losses.some(({ certain }) => certain) ? "" : " The group may have read some of them.";
  return `${group_id} on ${topic}, found at ${formatTime(found_at)}: ${partitions.join("; ")}${more}.${may}`;
}

async function acknowledge(group, topic) {
  const query = new URLSearchParams({ group, topic });
  try {
    await callApi("POST", `/losses/acknowledge?${query}`);
    setText(byId("losses-result"), "");
  } catch (error) {
    setText(byId("losses-result"), `Not acknowledged: ${error.message}`);
  }
}
