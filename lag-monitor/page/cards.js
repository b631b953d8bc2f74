// A card for each group on each topic: lag, trend, status, and the reason for it.

import { chart } from "./chart.js";
import { byId, h, reconcile, setAttr, setText } from "./dom.js";
import * as history from "./history.js";
import { formatTotalLag, ruleText, status, trend } from "./format.js";

/** Most cards. Groups with a worse status come first. */
const MAX_CARDS = 36;

/** A badge that shows a status by sign, word and colour. */
export function badge() {
  const [sign, word] = [h("span", { "aria-hidden": "true" }), h("span")];
  const node = h("span", { class: "badge" }, sign, " ", word);
  const update = (name) => {
    setAttr(node, "data-status", name);
    setText(sign, status(name).sign);
    setText(word, status(name).word);
  };
  return { node, update };
}

/** Returns a function that draws all cards. `select(key)` is called when the user selects a card. */
export function cards(select) {
  const make = (item) => card(item, select);
  return (groupTopics, selected, clock) => {
    const worst = [...groupTopics].sort((a, b) => status(b.status).rank - status(a.status).rank).slice(0, MAX_CARDS);
    const items = groupTopics.filter((one) => worst.includes(one)).map((groupTopic) => ({ groupTopic, selected, clock }));
    reconcile(byId("cards"), items, ({ groupTopic }) => history.keyOf(groupTopic), make);
    const more = groupTopics.length - items.length;
    byId("more").hidden = more === 0;
    setText(byId("more"), `${more} more, none with a worse status, are not shown here: see /groups.`);
  };
}

function card({ groupTopic }, select) {
  const key = history.keyOf(groupTopic);
  const [group, topic] = [h("span", { class: "group" }, groupTopic.group_id), h("span", { class: "topic" }, ` on ${groupTopic.topic}`)];
  const button = h("button", { type: "button", class: "select", onclick: () => select(key) }, group, topic);
  const [state, lag, trendText, rule, evidence] = [badge(), h("b", { class: "lag" }), h("span", { class: "trend" }), h("span", { class: "rule" }), h("p", { class: "evidence" })];
  const lines = chart("small");
  const node = h(
    "li",
    { class: "card" },
    h("div", { class: "row spread" }, h("h3", {}, button), state.node),
    h("p", { class: "numbers" }, lag, h("span", { class: "unit" }, " records behind "), trendText),
    lines.node,
    h("p", { class: "reason" }, rule),
    evidence,
  );
  const update = ({ groupTopic: now, selected, clock }) => {
    setAttr(node, "data-status", now.status);
    setAttr(button, "aria-pressed", selected === key);
    setAttr(node, "data-selected", selected === key ? "true" : null);
    state.update(now.status);
    setText(lag, formatTotalLag(now));
    const { direction, text } = trend(now);
    setAttr(trendText, "data-direction", direction);
    setText(trendText, text);
    setText(rule, ruleText(now.rule));
    setText(evidence, now.evidence);
    lines.draw({ samples: history.samplesOf(now), ...clock });
  };
  return { node, update };
}
