// Elements, always from text and never from markup: documents and answers are not to be trusted.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** An element; `properties` are set on it, `content` is text or other elements. */
export function make(name, properties = {}, ...content) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...content);
  return made;
}

/** An element of a drawing; `attributes` are set on it. */
export function draw(name, attributes = {}, ...content) {
  const drawn = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) drawn.setAttribute(key, value);
  drawn.append(...content);
  return drawn;
}

/** Show a section with this content, or hide it where there is none. */
export function fill(id, ...content) {
  byId(`${id}-body`).replaceChildren(...content);
  byId(id).hidden = content.length === 0;
}

/** Tell of a problem, or of none. */
export function tellProblem(id, message = "") {
  byId(id).textContent = message;
  byId(id).hidden = !message;
}

/** Mark a button as at work. It is not disabled: that would take the focus from who pressed it. */
export function setBusy(id, busy) {
  byId(id).setAttribute("aria-disabled", busy);
}

/** `1,024`. */
export const figure = (number) => number.toLocaleString("en");

/** `1 passage`, `2 passages`. */
export const counted = (number, what) => `${figure(number)} ${what}${number === 1 ? "" : "s"}`;

/** `0.03 s`. */
export const seconds = (number) => `${number < 10 ? number.toFixed(2) : number.toFixed(0)} s`;

/** What stands in a passage at a stretch of its document. */
export function textOf({ start, end }, passage) {
  const points = Array.from(passage.text); // offsets count code points
  return points.slice(start - passage.start, end - passage.start).join("");
}

/** `notes/may.md, page 3, May > Arrivals`. */
export function place({ doc, page, section }) {
  return [doc, page === null ? "" : `page ${page}`, section].filter(Boolean).join(", ");
}
