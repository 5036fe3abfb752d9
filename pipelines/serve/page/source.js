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

let wanted = null;

/** Open a source (`doc`, `doc_id`, `revision`, `start` and the `quote` there) at its place. */
export async function openSource(source) {
  opener = document.activeElement;
  wanted = source;
  byId("source-head").textContent = source.title || source.doc;
  byId("source-note").textContent = "Opening …";
  byId("source-text").replaceChildren();
  byId("source").showModal();
  byId("source-close").focus();
  try {
    const found = await readDocument(source.doc_id, source.revision);
    if (wanted === source) show(source, found); // and no other was opened meanwhile
  } catch (error) {
    if (wanted === source) byId("source-note").textContent = error.message;
  }
}

/** In a text that changed, offsets lead anywhere: there the quote is looked for. */
function show(source, { text, revision }) {
  const changed = revision !== source.revision;
  const start = changed ? text.indexOf(source.quote) : unitAt(text, source.start);
  byId("source-note").textContent = changed ? changedNote(start) : knownOf(source);
  if (start < 0) return byId("source-text").replaceChildren(text);
  const end = start + source.quote.length;
  const mark = make("mark", {}, text.slice(start, end));
  byId("source-text").replaceChildren(text.slice(0, start), mark, text.slice(end));
  return mark.scrollIntoView({ block: "center" });
}

/** The place, less what the head says. */
const knownOf = (source) => place({ ...source, doc: source.title ? source.doc : "" });

const changedNote = (start) =>
  start < 0
    ? "The document has changed since, and no longer says this."
    : "The document has changed since; it still says this.";

/** A button that opens a source. */
export function sourceButton(label, source, properties = {}) {
  const button = make("button", { type: "button", ...properties }, label);
  button.addEventListener("click", () => openSource(source));
  return button;
}

/** A button that opens a whole passage. */
export const passageButton = (label, passage, properties) =>
  sourceButton(label, { ...passage, quote: passage.text }, properties);

/** Have the panel close by its button, by Escape and by a click beside it. */
export function listen() {
  const panel = byId("source");
  byId("source-close").addEventListener("click", () => panel.close());
  panel.addEventListener("click", (event) => {
    if (event.target === panel) panel.close();
  });
  panel.addEventListener("close", () => opener?.focus());
}
