// Details of one group on one topic: chart, partitions, members and recommendations.

import { badge } from "./cards.js";
import { chart, legend, lineSample } from "./chart.js";
import { byId, h, reconcile, setAttr, setText } from "./dom.js";
import * as history from "./history.js";
import { formatCount, formatDuration, formatLag, formatLost, formatRate, formatTotalLag, ruleText, scenarioOf, trend } from "./format.js";

/** A table that reuses its rows. `cells(item)` has a text for each column; the first cell is the heading of its row. */
function table(caption, columns, cells, key) {
  const body = h("tbody");
  const head = h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)));
  const node = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, h("table", {}, h("caption", {}, caption), h("thead", {}, head), body));
  const make = (item) => {
    const first = h("span");
    const rest = columns.slice(1).map(() => h("td"));
    const icon = item.icon ?? null;
    return {
      node: h("tr", {}, h("th", { scope: "row" }, icon, icon && " ", first), ...rest),
      update: (now) => cells(now).forEach((text, n) => setText(n === 0 ? first : rest[n - 1], text)),
    };
  };
  return { node, update: (items) => reconcile(body, items, key, make) };
}

const partitionCells = ({ number, partition }) => [
  number,
  formatLag(partition),
  partition.oldest_unread_seconds === null ? "–" : formatDuration(partition.oldest_unread_seconds),
  formatCount(partition.committed_offset),
  formatCount(partition.end_offset),
  partition.owner?.client_id ?? "none",
  notes(partition),
];

function notes(partition) {
  const notes = [
    [partition.reason, partition.reason],
    [partition.beyond_stable, `${formatCount(partition.beyond_stable)} behind an open transaction`],
    [partition.aborted_records, `${formatCount(partition.aborted_records)} aborted`],
    [partition.lost_at_most, `${formatLost(partition)} deleted before they were consumed`],
  ];
  return notes.filter(([applies]) => applies).map(([, text]) => text).join("; ");
}

const owned = (owns) => Object.entries(owns).map(([topic, numbers]) => `${topic}: ${numbers.join(", ")}`).join(" · ");

const memberCells = ({ client_id, host, owns }) => [client_id, host, owned(owns) || "none (idle)"];

const instanceCells = ({ instance, owns, state }) => [instance, owned(owns ?? {}), state];

/** Priority, action and reason, and the command with a button that copies it. */
function recommendation() {
  const [priority, action, reason] = [h("span", { class: "priority" }), h("b"), h("span")];
  const [command, result] = [h("code"), h("span", { class: "result", role: "status" })];
  const copy = h("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      setText(result, "copied");
    } catch {
      getSelection().selectAllChildren(command);
      setText(result, "selected: copy it with Ctrl+C");
    }
  });
  const line = h("div", { class: "command" }, command, copy, result);
  const node = h("li", {}, h("p", {}, priority, " ", action, ": ", reason), line);
  const update = (one) => {
    setText(priority, one.priority);
    setAttr(priority, "data-priority", one.priority);
    setText(action, one.action);
    setText(reason, one.reason);
    line.hidden = one.command === null;
    if (command.textContent !== (one.command ?? "")) setText(result, "");
    setText(command, one.command ?? "");
    setAttr(copy, "aria-label", `Copy: ${one.command}`);
  };
  return { node, update };
}

/** One of the further findings. */
function finding({ evidence }) {
  return { node: h("li", {}, evidence), update: () => {} };
}

/** Builds the section. The returned function `(groupTopic, group, clock)` draws it. */
export function detail() {
  const [title, state, sentence, evidence] = [h("h2", { id: "detail-title" }), badge(), h("p", { class: "sentence" }), h("p", { class: "evidence" })];
  const [lines, lineLegend] = [chart("large"), legend()];
  const partitions = table("Partitions", ["Partition", "Lag", "Oldest unread", "Committed offset", "End offset", "Owner", "Notes"], partitionCells, ({ number }) => number);
  const members = table("Members of the group and their partitions", ["Member", "Host", "Partitions"], memberCells, ({ member_id }) => member_id);
  const instances = table("Instances, and what they say about themselves", ["Instance", "Partitions", "State"], instanceCells, ({ instance }) => instance);
  const findings = h("ul", { class: "findings" });
  const noMembers = h("p", { class: "hint" }, "The group has no members.");
  const [recommendations, nothingToDo] = [h("ul", { class: "recommendations" }), h("p", { class: "hint" }, "Nothing needs to be done.")];
  const scenarioLink = h("a", {}, "");
  const scenario = h("p", { class: "hint" }, "The scenario ", scenarioLink, " explains this with an example.");
  const tooMany = h("p", { class: "hint" }, "There are too many partitions to show details here: see /lag and /groups.");
  const node = byId("detail");
  node.append(
    h("div", { class: "row spread" }, title, state.node), sentence, evidence, findings, tooMany, lines.node, lineLegend.node,
    partitions.node, instances.node, members.node, noMembers, h("h3", {}, "What to do"), nothingToDo, recommendations, scenario,
  );
  return (now, group, clock) => {
    node.hidden = false;
    setText(title, `${now.group_id} on ${now.topic}`);
    state.update(now.status);
    setText(sentence, description(now, group));
    setText(evidence, now.evidence);
    reconcile(findings, now.findings.slice(1), ({ evidence }) => evidence, finding);
    findings.hidden = now.findings.length < 2;
    tooMany.hidden = now.partitions !== null;
    lines.draw({ samples: history.samplesOf(now), ...clock });
    const rows = Object.entries(now.partitions ?? {}).map(([number, partition]) => ({ number, partition, icon: lineSample(Number(number)) }));
    lineLegend.draw(Object.fromEntries(rows.map(({ number, partition }) => [number, formatLag(partition)])));
    partitions.update(rows);
    instances.update(group?.instances ?? []);
    instances.node.hidden = !group?.instances.length;
    members.update(group?.members ?? []);
    members.node.hidden = !group?.members.length;
    noMembers.hidden = !group || group.members.length > 0;
    reconcile(recommendations, now.recommendations ?? [], ({ action }) => action, recommendation);
    nothingToDo.hidden = now.recommendations?.length !== 0;
    const name = scenarioOf(now.rule);
    scenario.hidden = name === null;
    setText(scenarioLink, name ?? "");
    setAttr(scenarioLink, "href", name === null ? null : `/scenarios/${name}`);
  };
}

function description(now, group) {
  const lag = now.total_lag_at_most === null ? "The lag is unknown" : `The lag is ${formatTotalLag(now)} ${now.total_lag === 1 ? "record" : "records"}`;
  const state = group ? ` The group is ${group.state}, with ${group.member_count} ${group.member_count === 1 ? "member" : "members"}.` : "";
  const hasRates = group && group.consumed_per_second !== null;
  const rates = hasRates ? ` It consumes ${formatRate(group.consumed_per_second)} records per second; ${formatRate(group.produced_per_second)} are produced.` : "";
  return `${lag}; ${ruleText(now.rule)}. Trend: ${trend(now).text}.${state}${rates}`;
}
