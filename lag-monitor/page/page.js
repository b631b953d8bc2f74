// What is wired to what, and how old what is shown may be. Everything shown of the cluster comes from one event, so it is of one moment.

import * as alerts from "./alerts.js";
import { cards } from "./cards.js";
import * as controls from "./controls.js";
import { detail } from "./detail.js";
import { byId, mark, say } from "./dom.js";
import * as history from "./history.js";
import * as load from "./load.js";
import { listen } from "./stream.js";
import { clock, count, rule, span, status, trend } from "./words.js";

/** After so many intervals without a reading the last one no longer counts: as the monitor itself has it. */
const INTERVALS = 3;

/** How often what others may have changed is read again, milliseconds. */
const REREAD = 15_000;

/** What is shown, when it came, and where from: "connecting", "live", "blind" (the cluster), "away" (the monitor), "full". */
let shown = null;
let came = 0;
let source = "connecting";
let since = Date.now();
let why = null;

let chosen = null;
let byHand = false;

const showCards = cards(choose);
const showDetail = detail();
const rereadControls = controls.start();

/** Seconds since the reading that is shown. By our own clock since it came: the monitor's may be another. */
const age = () => shown.age_seconds + (Date.now() - came) / 1000;

const isOld = () => source !== "live" || age() > INTERVALS * shown.poll_interval_seconds;

function choose(key, hand) {
  chosen = key;
  byHand ||= hand;
  draw();
  if (hand && byId("detail").getBoundingClientRect().top > innerHeight) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    byId("detail").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  }
}

const rank = (standing) => status(standing.status).rank * 1e15 + (standing.total_lag ?? 0);

function draw() {
  if (shown === null) return;
  const { groups } = shown;
  const there = groups.find((one) => history.keyOf(one) === chosen);
  const worst = groups.reduce((worst, one) => (worst === null || rank(one) > rank(worst) ? one : worst), null);
  const better = there && (byHand || status(there.status).rank >= status(worst.status).rank);
  const now = better ? there : worst;
  if (there && !better) byHand = false;
  chosen = now && history.keyOf(now);
  const interval = shown.poll_interval_seconds;
  const read = Date.parse(shown.timestamp);
  // While nothing new comes the time goes on, and with it the charts: a gap, not a line that ends at the edge.
  const time = { interval, now: isOld() ? read + (age() - shown.age_seconds) * 1000 : read };
  showCards(groups, chosen, time);
  if (now) showDetail(now, shown.members.find(({ group_id }) => group_id === now.group_id), time);
  else byId("detail").hidden = true;
  verdict(groups, worst);
  mark(document.body, "data-timestamp", shown.timestamp);
}

function verdict(groups, worst) {
  const node = byId("verdict");
  if (worst === null) {
    mark(node, "data-status", "unknown");
    say(node, "No group has read anything yet: place an order, or send a burst.");
    return;
  }
  const troubled = groups.filter((one) => status(one.status).rank > 1);
  mark(node, "data-status", troubled.length ? worst.status : "ok");
  if (troubled.length === 0) {
    const waiting = groups.reduce((sum, { total_lag }) => sum + (total_lag ?? 0), 0);
    say(node, `✓ Every group keeps up: ${count(waiting)} records wait in all.`);
    return;
  }
  const others = troubled.length > 1 ? ` ${troubled.length - 1} more in trouble.` : "";
  const sign = status(worst.status).sign;
  say(node, `${sign} ${worst.group_id} on ${worst.topic}: ${rule(worst.rule)}, ${count(worst.total_lag)} records wait, ${trend(worst).words}.${others}`);
}

/** Says how old what is shown is, and greys it when it no longer counts. */
function tick() {
  const words = {
    connecting: () => "connecting …",
    live: () => (isOld() ? `data is ${span(age())} old: the monitor has read nothing since ${clock(shown.timestamp)}` : `live · read at ${clock(shown.timestamp)}`),
    blind: () => `the monitor cannot read Kafka now; ${old()}`,
    away: () => `monitor not reachable since ${clock(since)}; ${old()}`,
    full: () => `no stream for this page: ${why ?? "too many are open"}; ${old()}; trying again`,
  };
  const state = source === "live" && isOld() ? "old" : source;
  mark(byId("source"), "data-state", state);
  mark(document.body, "data-old", state === "live" ? null : "true");
  say(byId("source-words"), words[source]());
  if (state !== "live") draw();
  announceSource(state);
}

const old = () => (shown === null ? "there are no figures yet" : `data is ${span(age())} old`);

let announced = "connecting";

function announceSource(state) {
  if (state === announced) return;
  announced = state;
  const words = { live: "The figures are live again.", old: "The figures are old.", blind: "The monitor cannot read Kafka.", away: "The monitor is not reachable.", full: "Too many streams are open." };
  announce(words[state]);
}

let announcements = [];

/** Says it to who listens. What comes in one go is said together: a later text would take the place of one that was not heard yet. */
function announce(words) {
  if (announcements.push(words) > 1) return;
  queueMicrotask(() => {
    say(byId("announcer"), announcements.join(" "));
    announcements = [];
  });
}

/** Tells who listens which pairs do better or worse than before: those alone, and not each figure. */
function announceChanges(before, now) {
  const known = new Map(before.groups.map((one) => [history.keyOf(one), one.status]));
  const changed = now.groups.filter((one) => known.has(history.keyOf(one)) && known.get(history.keyOf(one)) !== one.status);
  if (changed.length === 0) return;
  announce(changed.slice(0, 3).map((one) => `${one.group_id} on ${one.topic} is ${status(one.status).word}: ${rule(one.rule)}.`).join(" "));
}

function become(state, words = null) {
  if (source !== state) since = Date.now();
  source = state;
  why = words;
}

const heard = {
  past: history.seed,
  state: (data) => {
    const before = shown;
    shown = data;
    came = Date.now();
    history.add(data);
    const again = source !== "live";
    become("live");
    draw();
    if (again) reread();
    if (before) announceChanges(before, data);
  },
  unavailable: () => become("blind"),
  alert: () => alerts.refresh(),
  away: (words) => become("away", words),
  full: (words) => become("full", words),
  hidden: () => {},
};

function reread() {
  if (document.hidden || source !== "live") return;
  alerts.refresh();
  rereadControls();
}

alerts.start();
load.start();
setInterval(tick, 1000);
setInterval(reread, REREAD);
listen("/events?detail=true", (name, data) => {
  heard[name]?.(data);
  tick();
});
