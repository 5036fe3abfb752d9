// The answer, what it cites, and the facts it rests on.

import { counted, fill, make, place, textOf } from "./making.js";
import { sourceButton } from "./source.js";

/** Show an answer with its citations. */
export function showAnswer(answer) {
  const parts = [make("p", { className: "answer" }, ...linked(answer.answer, answer.citations))];
  const doubts = doubtsOf(answer);
  if (doubts.length) parts.push(make("ul", { className: "doubts" }, ...doubts.map(item)));
  if (answer.citations.length) {
    parts.push(make("ol", { className: "sources" }, ...answer.citations.map(cited)));
  }
  fill("answer", ...parts);
}

/** The text, its `[1]` as buttons that open what they cite. */
export function linked(text, citations) {
  return text.split(/(\[\d+\])/).map((part) => {
    const number = /^\[(\d+)\]$/.exec(part)?.[1];
    const citation = number && citations[number - 1];
    return citation ? citeButton(citation, number) : part;
  });
}

function citeButton(citation, number) {
  const doubt = citation.verified ? "" : ", not verified";
  const button = sourceButton(citation.verified ? number : `${number}?`, citation, {
    className: citation.verified ? "cite" : "cite unverified",
    title: citation.quote,
  });
  button.setAttribute("aria-label", `Source ${number}${doubt}: ${place(citation)}`);
  return button;
}

function cited(citation) {
  const parts = [
    sourceButton(place(citation), citation, { className: "link" }),
    make("q", {}, citation.quote),
  ];
  if (!citation.verified) {
    parts.push(make("span", { className: "mark-unverified" }, "not verified"));
  }
  if (citation.also.length) {
    parts.push(make("span", { className: "soft" }, `also in ${citation.also.join(", ")}`));
  }
  return make("li", {}, ...parts);
}

function doubtsOf(answer) {
  const doubts = [];
  if (answer.unsupported.length) {
    doubts.push(`In no quote: ${answer.unsupported.join(", ")}`);
  }
  if (answer.dropped_citations) {
    doubts.push(`${counted(answer.dropped_citations, "citation")} led nowhere`);
  }
  if (answer.agreed === false) doubts.push("The facts alone and the sources gave two answers");
  return doubts;
}

const item = (text) => make("li", {}, text);

/** Show the facts of a sticker, each with where it stands. */
export function showSticker(answer) {
  const sticker = answer.sticker;
  if (!sticker || !sticker.facts.length) return fill("sticker");
  const facts = sticker.facts.map((fact) =>
    make("li", {}, `${fact.text} `, ...fact.evidence.map((each) => evidenceOf(each, answer))),
  );
  const parts = [make("ul", { className: "facts" }, ...facts)];
  if (sticker.dropped) {
    const dropped = `${counted(sticker.dropped, "fact")} dropped: the sources do not hold them.`;
    parts.push(make("p", { className: "soft" }, dropped));
  }
  return fill("sticker", ...parts);
}

/** What evidence does not tell of its document, a passage that holds it does. */
function evidenceOf(evidence, answer) {
  const holds = (passage) =>
    passage.doc_id === evidence.doc_id &&
    passage.start <= evidence.start &&
    evidence.end <= passage.end;
  const known = (answer.explanation?.passages ?? []).find(holds);
  if (!known) return make("span", { className: "soft" }, evidence.source);
  const source = { ...known, start: evidence.start, quote: textOf(evidence, known) };
  return sourceButton(known.doc, source, { className: "link" });
}
