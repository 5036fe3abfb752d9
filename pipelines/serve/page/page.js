// A question, and everything that is told on the way to its answer.

import { showAnswer, showSticker } from "./answer.js";
import { follow } from "./asking.js";
import { listen as listenToCompare } from "./compare.js";
import { showLedger, showMap } from "./figures.js";
import { listen as listenToKey } from "./key.js";
import { byId, counted, fill, setBusy, tellProblem } from "./making.js";
import { showPassages } from "./passages.js";
import { listen as listenToSource } from "./source.js";

const SECTIONS = ["answer", "sticker", "ledger", "passages", "map"];

const question = () => byId("question").value.trim();
let underway = null;

async function askNow() {
  if (!question() || underway) return;
  underway = new AbortController();
  const done = [];
  begin();
  try {
    for await (const { name, data } of follow(question(), underway.signal)) happen(name, data, done);
  } catch (error) {
    const stopped = error.name === "AbortError";
    byId("progress").textContent = stopped ? "Stopped." : "";
    tellProblem("problem", stopped ? "" : error.message);
  } finally {
    end();
  }
}

function begin() {
  tellProblem("problem");
  for (const section of SECTIONS) fill(section);
  byId("draft-text").textContent = "";
  byId("progress").textContent = "Asking …";
  setBusy("ask", true);
  byId("stop").hidden = false;
}

function end() {
  underway = null;
  byId("draft").hidden = true;
  setBusy("ask", false);
  if (document.activeElement === byId("stop")) byId("question").focus(); // what is hidden loses it
  byId("stop").hidden = true;
}

function happen(name, data, done) {
  if (name === "stage") {
    done.push(`${data.stage} (${counted(data.passages, "passage")})`);
    byId("progress").textContent = `Done: ${done.join(", ")} …`;
  } else if (name === "text") {
    if (byId("draft").hidden) {
      byId("progress").textContent = `Done: ${done.join(", ")}; writing …`;
      byId("draft").hidden = false;
    }
    byId("draft-text").textContent += data.text;
  } else if (name === "answer") {
    byId("progress").textContent = `Done: ${done.join(", ")}.`;
    byId("draft").hidden = true;
    showAnswer(data);
    showSticker(data);
    showLedger(data);
    showPassages(data.explanation);
    showMap(data.explanation);
  }
}

function listen() {
  byId("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    askNow();
  });
  byId("question").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("ask-form").requestSubmit();
  });
  byId("stop").addEventListener("click", () => underway?.abort());
  listenToKey(() => byId("ask-form").requestSubmit());
  listenToSource();
  listenToCompare(question);
}

listen();
