// The page's elements: made once, changed in place, so that focus, selection and animations stay.

const SVG = "http://www.w3.org/2000/svg";

/** An element; `children` are elements or texts. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The same of SVG. */
export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Set a text if it is another one. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

/** Set an attribute if it is another one; null removes it. */
export function attribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/**
 * One child for each item, in their order: made when it is new, updated always, removed when it is gone.
 * Of items with the same key only the first is there.
 */
export function keyed(parent, items, keyOf, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const seen = new Set();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (seen.has(key)) continue;
    seen.add(key);
    let child = known.get(key);
    known.delete(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  }
  for (const gone of known.values()) gone.remove();
}

const SHAPES = {
  healthy: () => [svg("circle", { cx: 6, cy: 6, r: 4 })],
  throttled: () => [svg("path", { d: "M6 1 11.5 10.8H.5z" })],
  slow: () => [svg("path", { d: "M6 11 .5 1.2h11z" })],
  failing: () => [svg("path", { d: "M6 .5 11.5 6 6 11.5.5 6z" })],
  open: () => [svg("path", { d: "M2 2 10 10M10 2 2 10", class: "stroke" })],
  full: () => [svg("rect", { x: 1, y: 1, width: 10, height: 10 })],
};

/** The sign of a state: each has a shape of its own, whatever its colour. */
export function glyph(state) {
  return svg("svg", { viewBox: "0 0 12 12", class: "glyph", "aria-hidden": "true" }, ...SHAPES[state]());
}

/** Make `holder` show the sign of a state. */
export function setGlyph(holder, state) {
  if (holder.dataset.glyph === state) return;
  holder.dataset.glyph = state;
  holder.replaceChildren(glyph(state));
}
