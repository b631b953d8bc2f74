// Creates and updates elements. All text is set as text and never as HTML, since any client can choose the names of groups and
// members.

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

/** An HTML element. An attribute like `onclick` adds a listener. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

/** Sets the text only if it changes, so that screen readers do not repeat it and a selection in it survives. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute only if it changes; null removes it. */
export function setAttr(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

const childrenOf = new WeakMap();

/**
 * Gives `parent` one child for each item, in the order of the items. `make(item)` returns `{node, update}` for a new key. An element
 * is reused for the same key, so that focus and selection survive.
 */
export function reconcile(parent, items, key, make) {
  const before = childrenOf.get(parent) ?? new Map();
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
  childrenOf.set(parent, now);
}
