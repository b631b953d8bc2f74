// Connects the parts of the page, and shows how old the data is. Everything about the cluster comes from one event, so all parts show
// the same snapshot.

import * as alerts from "./alerts.js";
import * as burst from "./burst.js";
import { cards } from "./cards.js";
import * as controls from "./controls.js";
import { detail } from "./detail.js";
import { byId, setAttr, setText } from "./dom.js";
import { formatDuration, formatTime, formatTotalLag, ruleText, status, trend } from "./format.js";
import * as history from "./history.js";
import * as losses from "./losses.js";
import { listen } from "./stream.js";

/** A snapshot is current for this many poll intervals, as in the monitor itself. */
const CURRENT_INTERVALS = 3;

/** Alerts and controls can be changed by others, and are loaded again after this time; milliseconds. */
const REFRESH_INTERVAL = 15_000;

/** The data of the last event `state`, and when it arrived. */
let shown = null;
let arrivedAt = 0;

/** "connecting", "live", "kafka-unavailable", "unreachable" (the monitor) or "refused" (no stream); since when; the monitor's explanation. */
let connection = "connecting";
let connectionSince = Date.now();
let connectionDetail = null;

/** The key of the group on a topic that the user has chosen, or null; and of the one that is shown. */
let chosen = null;
let selected = null;

const drawCards = cards(select);
const drawDetail = detail();
const refreshControls = controls.start();

/** Age of the shown snapshot in seconds, by this clock since the event arrived: the monitor's clock may differ. */
const age = () => shown.age_seconds + (Date.now() - arrivedAt) / 1000;

const isStale = () => connection !== "live" || age() > CURRENT_INTERVALS * shown.poll_interval_seconds;

function select(key) {
  chosen = key;
  draw();
  if (byId("detail").getBoundingClientRect().top > innerHeight) {
    const isReduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    byId("detail").scrollIntoView({ behavior: isReduced ? "auto" : "smooth", block: "start" });
  }
}

const badness = (groupTopic) => status(groupTopic.status).rank * 1e15 + (groupTopic.total_lag_at_most ?? 0);

/** The user's choice while it exists. Otherwise the worst, replaced only by one with a worse status. */
function groupTopicToShow(groups, worst) {
  const find = (key) => groups.find((one) => history.keyOf(one) === key);
  const choice = chosen === null ? undefined : find(chosen);
  if (choice) return choice;
  const current = find(selected);
  return current && status(current.status).rank >= status(worst.status).rank ? current : worst;
}

function draw() {
  if (shown === null) return;
  const { groups } = shown;
  const worst = groups.reduce((worst, one) => (worst === null || badness(one) > badness(worst) ? one : worst), null);
  const now = groupTopicToShow(groups, worst);
  selected = now && history.keyOf(now);
  const interval = shown.poll_interval_seconds;
  const polledAt = Date.parse(shown.timestamp);
  // Without new data the charts move on and show a gap; a line that ends at the edge would look current.
  const clock = { interval, now: isStale() ? polledAt + (age() - shown.age_seconds) * 1000 : polledAt };
  drawCards(groups, selected, clock);
  if (now) drawDetail(now, shown.members.find(({ group_id }) => group_id === now.group_id), clock);
  else byId("detail").hidden = true;
  drawSummary(groups, worst);
  drawUnderReplicated(shown.under_replicated, shown.under_replicated_count);
  losses.draw(shown.losses, shown.loss_count);
  setAttr(document.body, "data-timestamp", shown.timestamp);
}

function drawSummary(groups, worst) {
  const node = byId("summary");
  if (worst === null) {
    setAttr(node, "data-status", "unknown");
    setText(node, "No group consumes a topic yet: place an order, or send a burst.");
    return;
  }
  const notOk = groups.filter((one) => status(one.status).rank > 1);
  setAttr(node, "data-status", notOk.length ? worst.status : "ok");
  if (notOk.length === 0) {
    setText(node, `✓ Every group keeps up: the total lag is ${formatTotalLag(sumOf(groups))}.`);
    return;
  }
  const others = notOk.length > 1 ? ` ${notOk.length - 1} more with a warning or worse.` : "";
  const sign = status(worst.status).sign;
  setText(node, `${sign} ${worst.group_id} on ${worst.topic}: ${ruleText(worst.rule)}, lag ${formatTotalLag(worst)}, ${trend(worst).text}.${others}`);
}

/** Names the partitions whose replicas are not all in sync: a broker is down, frozen or behind. */
function drawUnderReplicated(partitions, count) {
  const node = byId("under-replicated");
  node.hidden = count === 0;
  if (count === 0) return;
  const named = partitions.slice(0, 3).map((one) => `${one.partition} (in sync: ${one.in_sync.join(", ")} of ${one.replicas.join(", ")})`);
  const others = count > named.length ? ` and ${count - named.length} more` : "";
  setText(node, `Under-replicated: ${named.join(", ")}${others}. ./sandbox status shows the brokers.`);
}

/** The lag of all groups. It is exact if every lag is. */
function sumOf(groups) {
  const known = groups.filter(({ total_lag_at_most }) => total_lag_at_most !== null);
  const sum = (field) => known.reduce((sum, one) => sum + one[field], 0);
  const [total_lag_at_least, total_lag_at_most] = [sum("total_lag_at_least"), sum("total_lag_at_most")];
  return { total_lag: total_lag_at_least === total_lag_at_most ? total_lag_at_most : null, total_lag_at_least, total_lag_at_most };
}

/** Shows how old the data is, and greys it when it is stale. */
function drawConnection() {
  const texts = {
    connecting: () => "connecting …",
    live: () => (isStale() ? `data is ${formatDuration(age())} old: the monitor has not read the cluster since ${formatTime(shown.timestamp)}` : `live · read at ${formatTime(shown.timestamp)}`),
    "kafka-unavailable": () => `the monitor cannot read Kafka now; ${ageText()}`,
    unreachable: () => `monitor not reachable since ${formatTime(connectionSince)}; ${ageText()}`,
    refused: () => `no event stream: ${connectionDetail ?? "too many are open"}; ${ageText()}; trying again`,
  };
  const state = connection === "live" && isStale() ? "stale" : connection;
  setAttr(byId("connection"), "data-state", state);
  setAttr(document.body, "data-stale", state === "live" ? null : "true");
  setText(byId("connection-text"), texts[connection]());
  if (state !== "live") draw();
  announceConnection(state);
}

const ageText = () => (shown === null ? "there is no data yet" : `data is ${formatDuration(age())} old`);

let announcedState = "connecting";

function announceConnection(state) {
  if (state === announcedState) return;
  announcedState = state;
  const texts = {
    live: "The data is live again.",
    stale: "The data is old.",
    "kafka-unavailable": "The monitor cannot read Kafka.",
    unreachable: "The monitor is not reachable.",
    refused: "Too many event streams are open.",
  };
  announce(texts[state]);
}

let announcements = [];

/** For screen readers. Texts of one turn are announced together: a later text would replace one that was not read yet. */
function announce(text) {
  if (announcements.push(text) > 1) return;
  queueMicrotask(() => {
    setText(byId("announcer"), announcements.join(" "));
    announcements = [];
  });
}

/** Announces changes of status only: every new number would be too much. */
function announceStatusChanges(before, now) {
  const known = new Map(before.groups.map((one) => [history.keyOf(one), one.status]));
  const changed = now.groups.filter((one) => known.has(history.keyOf(one)) && known.get(history.keyOf(one)) !== one.status);
  if (changed.length === 0) return;
  announce(changed.slice(0, 3).map((one) => `${one.group_id} on ${one.topic} is ${status(one.status).word}: ${ruleText(one.rule)}.`).join(" "));
}

function setConnection(state, detail = null) {
  if (connection !== state) connectionSince = Date.now();
  connection = state;
  connectionDetail = detail;
}

const onEvent = {
  past: history.addPast,
  state: (data) => {
    const before = shown;
    shown = data;
    arrivedAt = Date.now();
    history.add(data);
    const isReconnected = connection !== "live";
    setConnection("live");
    draw();
    if (isReconnected) refresh();
    if (before) announceStatusChanges(before, data);
  },
  unavailable: () => setConnection("kafka-unavailable"),
  alert: () => alerts.refresh(),
  unreachable: (detail) => setConnection("unreachable", detail),
  refused: (detail) => setConnection("refused", detail),
  hidden: () => {},
};

function refresh() {
  if (document.hidden || connection !== "live") return;
  alerts.refresh();
  refreshControls();
}

alerts.start();
burst.start();
setInterval(drawConnection, 1000);
setInterval(refresh, REFRESH_INTERVAL);
listen("/events?detail=true", (name, data) => {
  onEvent[name]?.(data);
  drawConnection();
});
