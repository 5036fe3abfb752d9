// The passages as a heat map: what was kept, what was pruned, and what each token counted for.

import { counted, figure, fill, make, place } from "./making.js";
import { passageButton } from "./source.js";

/** Show every passage as it was after its last stage, or after one that is chosen. */
export function showPassages(explanation) {
  const passages = explanation?.passages ?? [];
  if (!passages.length) return fill("passages");
  const list = make("div", { id: "passage-list" });
  const stages = passages[0].stages.map((each) => each.stage);
  const chooser = stageChooser(stages, (at) => list.replaceChildren(...drawn(passages, at)));
  list.append(...drawn(passages, stages.length - 1));
  const parts = [legend(explanation.attribution), chooser, list];
  if (explanation.omitted) {
    const more = `${counted(explanation.omitted, "more passage")} retrieved, not shown.`;
    parts.push(make("p", { className: "soft" }, more));
  }
  return fill("passages", ...parts);
}

function stageChooser(stages, choose) {
  const select = make("select", { id: "stage" });
  select.append(...stages.map((stage, at) => new Option(stage, at)));
  select.value = stages.length - 1;
  select.addEventListener("change", () => choose(Number(select.value)));
  const label = make("label", { htmlFor: "stage" }, "What was left after");
  return make("div", { className: "row" }, label, select);
}

function legend(attribution) {
  const keys = [
    make("span", { className: "stretch" }, "kept"),
    make("del", { className: "stretch" }, "dropped"),
    make("span", { className: "stretch protected" }, "protected from pruning"),
  ];
  if (attribution) {
    const scale = [0.2, 0.6, 1].map((heat) => heated("", heat, "token"));
    keys.push(make("span", {}, ...scale, ` the warmer, the more it counts (${attribution})`));
  } else {
    keys.push(make("span", { className: "soft" }, "this embedder tells no attribution"));
  }
  return make("p", { className: "legend" }, ...keys);
}

function drawn(passages, at) {
  return passages.map((passage, number) => {
    const kept = passage.stages[at].kept;
    const text = make("div", { className: "text" }, ...stretches(passage, kept));
    const open = passageButton("Open the document here", passage, { className: "link" });
    const left = kept.reduce((sum, span) => sum + span.end - span.start, 0);
    const of = `${figure(left)} of ${figure(passage.end - passage.start)} characters`;
    const head = make(
      "summary",
      {},
      make("strong", {}, `${number + 1}  ${place({ ...passage, section: "" })}`),
      make("span", { className: "soft" }, [passage.section, of].filter(Boolean).join(" · ")),
    );
    const why = make("ul", { className: "soft why" }, ...reasons(passage, at));
    return make("details", { className: "passage", open: left > 0 }, head, text, why, open);
  });
}

function reasons(passage, at) {
  return passage.stages
    .slice(0, at + 1)
    .filter((each) => each.why)
    .map((each) => make("li", {}, `${each.stage}: ${each.why}`));
}

/** The text cut wherever anything begins or ends; what is dropped stands in `del`. Lines through
 * and under blanks, where these stand alone, would tell nothing. */
function stretches(passage, kept) {
  const points = Array.from(passage.text); // offsets count code points
  const tokens = passage.tokens ?? [];
  const edges = new Set([passage.start, passage.end]);
  for (const { start, end } of [...kept, ...passage.protected]) edges.add(start).add(end);
  for (const [start, end] of tokens) edges.add(start).add(end);
  const cuts = [...edges].sort((a, b) => a - b);
  const made = [];
  cuts.slice(1).forEach((end, at) => {
    const start = cuts[at];
    const text = points.slice(start - passage.start, end - passage.start).join("");
    const heat = tokens.find((token) => token[0] <= start && start < token[1])?.[2] ?? 0;
    const blank = !text.trim();
    const guarded = !blank && within(start, passage.protected);
    const piece = heated(text, heat, guarded ? "stretch protected" : "stretch");
    const struck = made.at(-1)?.tagName === "DEL";
    if (within(start, kept) || (blank && !struck)) made.push(piece);
    else if (struck) made.at(-1).append(piece);
    else made.push(make("del", {}, piece));
  });
  return made;
}

const within = (at, spans) => spans.some(({ start, end }) => start <= at && at < end);

function heated(text, heat, className = "stretch") {
  const made = make("span", { className }, text);
  if (heat > 0.02) made.style.setProperty("--heat", heat);
  return made;
}
