// Elements, made and kept. Text goes in as text and never as HTML: names of groups and clients are whatever anybody chose.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An HTML element. An attribute `onclick` and the like is a listener. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

/** Sets the text, unless it is there already: who reads it aloud, or has marked it, is not disturbed. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute, or takes it away with null. */
export function mark(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

const kept = new WeakMap();

/**
 * Has one child for each item, in this order. What is there under its key stays the same element, so that focus, marks and open
 * parts survive; `make` returns `{node, update}`.
 */
export function keep(parent, items, key, make) {
  const before = kept.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    const child = before.get(key(item)) ?? make(item);
    now.set(key(item), child);
    child.update(item);
  }
  for (const [name, child] of before) if (now.get(name) !== child) child.node.remove();
  let at = parent.firstChild;
  for (const { node } of now.values()) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  kept.set(parent, now);
}
