// A card for each group on each topic: how it does, why, and whether it catches up.

import { chart } from "./chart.js";
import { byId, h, keep, mark, say } from "./dom.js";
import * as history from "./history.js";
import { count, rule, status, trend } from "./words.js";

/** Cards at most: those that do worst. */
const MOST = 36;

/** A badge that says a status by sign, word and colour. */
export function badge() {
  const [sign, word] = [h("span", { "aria-hidden": "true" }), h("span")];
  const node = h("span", { class: "badge" }, sign, " ", word);
  const update = (name) => {
    mark(node, "data-status", name);
    say(sign, status(name).sign);
    say(word, status(name).word);
  };
  return { node, update };
}

/** The cards. `choose(key)` is called when somebody wants to see all of one. */
export function cards(choose) {
  const make = (standing) => card(standing, choose);
  return (shown, chosen, clock) => {
    const most = [...shown].sort((a, b) => status(b.status).rank - status(a.status).rank).slice(0, MOST);
    const items = shown.filter((one) => most.includes(one)).map((standing) => ({ standing, chosen, clock }));
    keep(byId("cards"), items, ({ standing }) => history.keyOf(standing), make);
    const more = shown.length - items.length;
    byId("more").hidden = more === 0;
    say(byId("more"), `${more} more, none of which does worse, have no card: see /groups.`);
  };
}

function card({ standing }, choose) {
  const key = history.keyOf(standing);
  const [group, topic] = [h("span", { class: "group" }, standing.group_id), h("span", { class: "topic" }, ` on ${standing.topic}`)];
  const button = h("button", { type: "button", class: "choose", onclick: () => choose(key, true) }, group, topic);
  const [state, lag, way, why, evidence] = [badge(), h("b", { class: "lag" }), h("span", { class: "trend" }), h("span", { class: "rule" }), h("p", { class: "evidence" })];
  const picture = chart("small");
  const node = h(
    "li",
    { class: "card" },
    h("div", { class: "row spread" }, h("h3", {}, button), state.node),
    h("p", { class: "numbers" }, lag, h("span", { class: "unit" }, " waiting "), way),
    picture.node,
    h("p", { class: "why" }, why),
    evidence,
  );
  const update = ({ standing: now, chosen, clock }) => {
    mark(node, "data-status", now.status);
    mark(button, "aria-pressed", chosen === key);
    mark(node, "data-chosen", chosen === key ? "true" : null);
    state.update(now.status);
    say(lag, count(now.total_lag));
    const { way: direction, words } = trend(now);
    mark(way, "data-way", direction);
    say(way, words);
    say(why, rule(now.rule));
    say(evidence, now.evidence);
    picture.draw({ moments: history.of(now), ...clock });
  };
  return { node, update };
}
