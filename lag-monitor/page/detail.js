// All of one group on one topic: the chart, the partitions, the members, and what to do.

import { badge } from "./cards.js";
import { chart, legend, sample } from "./chart.js";
import { byId, h, keep, mark, say } from "./dom.js";
import * as history from "./history.js";
import { count, rate, rule, scenario, span, trend } from "./words.js";

/** A table that keeps its rows. The first cell of a row is its heading. `cells(item)` has a text for each column. */
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
      update: (now) => cells(now).forEach((text, n) => say(n === 0 ? first : rest[n - 1], text)),
    };
  };
  return { node, update: (items) => keep(body, items, key, make) };
}

const partitionCells = ({ number, at }) => [
  number,
  at.lag === null ? "–" : `${at.at_least ? "at least " : ""}${count(at.lag)}`,
  at.oldest_unread_seconds === null ? "–" : span(at.oldest_unread_seconds),
  count(at.committed_offset),
  count(at.end_offset),
  at.owner?.client_id ?? "nobody",
  notes(at),
];

function notes(at) {
  const told = [
    [at.reason, at.reason],
    [at.beyond_stable, `${count(at.beyond_stable)} behind an open transaction`],
    [at.aborted_records, `${count(at.aborted_records)} aborted`],
    [at.lost, `${count(at.lost)} deleted unread`],
  ];
  return told.filter(([there]) => there).map(([, words]) => words).join("; ");
}

const memberCells = ({ client_id, host, owns }) => {
  const topics = Object.entries(owns).map(([topic, numbers]) => `${topic}: ${numbers.join(", ")}`);
  return [client_id, host, topics.join(" · ") || "nothing: it stands by"];
};

/** A command, and a button that copies it. */
function recommendation() {
  const [priority, action, reason] = [h("span", { class: "priority" }), h("b"), h("span")];
  const [command, told] = [h("code"), h("span", { class: "told", role: "status" })];
  const copy = h("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      say(told, "copied");
    } catch {
      getSelection().selectAllChildren(command);
      say(told, "marked: copy it with Ctrl-C");
    }
  });
  const line = h("div", { class: "command" }, command, copy, told);
  const node = h("li", {}, h("p", {}, priority, " ", action, ": ", reason), line);
  const update = (one) => {
    say(priority, one.priority);
    mark(priority, "data-priority", one.priority);
    say(action, one.action);
    say(reason, one.reason);
    line.hidden = one.command === null;
    if (command.textContent !== (one.command ?? "")) say(told, "");
    say(command, one.command ?? "");
    mark(copy, "aria-label", `Copy: ${one.command}`);
  };
  return { node, update };
}

/** The section. `update(standing, members, clock)`. */
export function detail() {
  const [title, state, sentence, evidence] = [h("h2", { id: "detail-title" }), badge(), h("p", { class: "sentence" }), h("p", { class: "evidence" })];
  const [picture, lines] = [chart("large"), legend()];
  const partitions = table("Partitions", ["Partition", "Lag", "Oldest unread", "Committed", "End", "Owner", "Notes"], partitionCells, ({ number }) => number);
  const members = table("Members of the group, and what they own", ["Member", "Host", "Owns"], memberCells, ({ member_id }) => member_id);
  const nobody = h("p", { class: "hint" }, "The group has no members.");
  const [todo, nothing] = [h("ul", { class: "todo" }), h("p", { class: "hint" }, "Nothing needs to be done.")];
  const learn = h("a", {}, "");
  const learning = h("p", { class: "hint" }, "To learn about it by doing: the scenario ", learn, ".");
  const less = h("p", { class: "hint" }, "There are too many partitions to tell all of it here: see /lag and /groups.");
  const node = byId("detail");
  node.append(
    h("div", { class: "row spread" }, title, state.node), sentence, evidence, less, picture.node, lines.node,
    partitions.node, members.node, nobody, h("h3", {}, "What to do"), nothing, todo, learning,
  );
  return (now, group, clock) => {
    node.hidden = false;
    say(title, `${now.group_id} on ${now.topic}`);
    state.update(now.status);
    say(sentence, inWords(now, group));
    say(evidence, now.evidence);
    less.hidden = now.partitions !== null;
    picture.draw({ moments: history.of(now), ...clock });
    const numbers = Object.entries(now.partitions ?? {}).map(([number, at]) => ({ number, at, icon: sample(Number(number)) }));
    lines.draw(Object.fromEntries(numbers.map(({ number, at }) => [number, at.lag])));
    partitions.update(numbers);
    members.update(group?.members ?? []);
    members.node.hidden = !group?.members.length;
    nobody.hidden = !group || group.members.length > 0;
    keep(todo, now.recommendations ?? [], ({ action }) => action, recommendation);
    nothing.hidden = now.recommendations?.length !== 0;
    const about = scenario(now.rule);
    learning.hidden = about === null;
    say(learn, about ?? "");
    mark(learn, "href", about === null ? null : `/scenarios/${about}`);
  };
}

function inWords(now, group) {
  const lag = now.total_lag === null ? "It is not known how many records wait" : `${count(now.total_lag)} records wait`;
  const state = group ? ` The group is ${group.state}, with ${group.member_count} ${group.member_count === 1 ? "member" : "members"}.` : "";
  const known = group && group.consumed_per_second !== null;
  const rates = known ? ` It reads ${rate(group.consumed_per_second)} records a second, and ${rate(group.produced_per_second)} come in.` : "";
  return `${lag}; ${rule(now.rule)}. ${trend(now).words}.${state}${rates}`;
}
