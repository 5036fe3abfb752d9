// The same question, answered with some stages on and with some off.

import { ask } from "./asking.js";
import { linked } from "./answer.js";
import { sentOf } from "./figures.js";
import { byId, figure, make, seconds, setBusy, tellProblem } from "./making.js";

const STAGES = {
  clustering: { on: "extractive", off: "off" },
  selection: { on: "evidence", off: "everything" },
  pruning: { on: "on", off: "off" },
  grounding: { on: "extractive", off: "off" },
};
const SIDES = [
  { name: "One way", first: "as set" },
  { name: "Other way", first: "off" },
];

/** Draw the choices, and answer both ways when asked to. */
export function listen(question) {
  byId("compare-sides").append(...SIDES.map(choices));
  byId("compare-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("compare-ask").ariaDisabled !== "true") compare(question());
  });
}

function choices(side, number) {
  const legend = make("legend", {}, side.name);
  const rows = Object.keys(STAGES).map((stage) => {
    const id = `side-${number}-${stage}`;
    const select = make("select", { id });
    select.append(...["as set", "on", "off"].map((each) => new Option(each, each)));
    select.value = side.first;
    return make("div", { className: "choice" }, make("label", { htmlFor: id }, stage), select);
  });
  return make("fieldset", {}, legend, ...rows);
}

function optionsOf(number) {
  const options = {};
  for (const [stage, values] of Object.entries(STAGES)) {
    const chosen = byId(`side-${number}-${stage}`).value;
    if (chosen in values) options[stage] = values[chosen];
  }
  return options;
}

/** One after the other: side by side they would slow each other down. */
async function compare(question) {
  tellProblem("compare-problem", question ? "" : "Write a question above first.");
  byId("compare-body").replaceChildren();
  if (!question) return;
  setBusy("compare-ask", true);
  try {
    for (const [number, { name }] of SIDES.entries()) {
      byId("compare-progress").textContent = `Answering: ${name.toLowerCase()} …`;
      byId("compare-body").append(outcome(await ask(question, optionsOf(number)), number));
    }
  } catch (error) {
    tellProblem("compare-problem", error.message);
  } finally {
    byId("compare-progress").textContent = "";
    setBusy("compare-ask", false);
  }
}

function outcome(answer, number) {
  const took = answer.ledger.reduce((sum, entry) => sum + entry.seconds, 0);
  const stages = answer.ledger.map((entry) => entry.stage).join(", ");
  const facts = [
    ["Tokens retrieved", figure(answer.ledger[0]?.tokens_out ?? 0)],
    ["Tokens left to answer from", figure(sentOf(answer.ledger))],
    ["Time", seconds(took)],
    ["Stages", stages],
  ];
  const text = linked(answer.answer, answer.citations);
  const name = { role: "group", ariaLabel: `Answer, ${SIDES[number].name.toLowerCase()}` };
  return make(
    "section",
    { className: "outcome" },
    make("h3", {}, SIDES[number].name),
    make("div", { className: "answer", tabIndex: 0, ...name }, ...text),
    make("dl", {}, ...facts.flatMap(([what, told]) => [make("dt", {}, what), make("dd", {}, told)])),
  );
}
