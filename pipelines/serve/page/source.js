// A document in a panel at the side, open at a quote.

import { readDocument } from "./asking.js";
import { byId, make, place } from "./making.js";

/** Where a code point is in a string, which JavaScript counts in UTF-16 units. */
export function unitAt(text, point) {
  let unit = 0;
  for (let passed = 0; passed < point && unit < text.length; passed += 1) {
    unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  }
  return unit;
}

let opener = null;

/** Open a source (`doc`, `doc_id`, `revision`, `start`, `end`) at its place. */
export async function openSource(source) {
  opener = document.activeElement;
  byId("source-head").textContent = source.title || source.doc;
  byId("source-note").textContent = "Opening …";
  byId("source-text").replaceChildren();
  byId("source").showModal();
  byId("source-close").focus();
  try {
    show(source, await readDocument(source.doc_id));
  } catch (error) {
    byId("source-note").textContent = error.message;
  }
}

function show(source, found) {
  const changed = source.revision && found.revision !== source.revision;
  const known = byId("source-head").textContent === place(source) ? "" : place(source);
  byId("source-note").textContent = changed
    ? "The document has changed since: the place may be another."
    : known;
  const start = unitAt(found.text, source.start);
  const end = start + unitAt(found.text.slice(start), source.end - source.start);
  const mark = make("mark", {}, found.text.slice(start, end));
  byId("source-text").replaceChildren(found.text.slice(0, start), mark, found.text.slice(end));
  mark.scrollIntoView({ block: "center" });
}

/** A button that opens a source. */
export function sourceButton(label, source, properties = {}) {
  const button = make("button", { type: "button", ...properties }, label);
  button.addEventListener("click", () => openSource(source));
  return button;
}

/** Have the panel close by its button, by Escape and by a click beside it. */
export function listen() {
  const panel = byId("source");
  byId("source-close").addEventListener("click", () => panel.close());
  panel.addEventListener("click", (event) => {
    if (event.target === panel) panel.close();
  });
  panel.addEventListener("close", () => opener?.focus());
}
