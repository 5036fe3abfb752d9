// The server's API: requests with the key, problems as errors, events as they come.

import { askForKey, readKey } from "./key.js";

async function request(path, options = {}) {
  const headers = { ...options.headers };
  if (readKey()) headers.Authorization = `Bearer ${readKey()}`;
  const answer = await fetch(path, { ...options, headers }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer.");
  });
  if (answer.status === 401) throw new Error(askForKey());
  if (!answer.ok) throw new Error(await problemOf(answer));
  return answer;
}

/** What the server says, or, where something before it refused, what there is to say. */
async function problemOf(answer) {
  const told = await answer.json().catch(() => ({}));
  const wait = Number(answer.headers.get("Retry-After"));
  const later = wait > 0 ? `; try again in ${wait} s` : "";
  return told.detail ?? `The server refused: ${answer.status}${later}.`;
}

const post = (path, body, signal) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

/** A document: its text and revision; of several indexes, from the one that has that revision. */
export async function readDocument(id, revision) {
  const place = `/v1/documents/${encodeURIComponent(id)}`;
  return (await request(`${place}?revision=${encodeURIComponent(revision)}`)).json();
}

/** The answer to a question, as a whole. */
export async function ask(question, options) {
  return (await post("/v1/query", { question, options })).json();
}

/** What happens on the way to an answer, and the answer as the last: pairs of a name and data. */
export async function* follow(question, signal) {
  const answer = await post("/v1/query", { question, stream: true, explain: true }, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let unread = "";
  while (true) {
    const { done, value } = await reader.read().catch(brokenOff);
    if (done) brokenOff();
    const blocks = (unread + value).split("\n\n");
    unread = blocks.pop();
    for (const block of blocks) {
      const happened = parsed(block);
      if (happened?.name === "error") throw new Error(happened.data.detail);
      if (happened) yield happened;
      if (happened?.name === "answer") return; // however the connection ends
    }
  }
}

function brokenOff(error) {
  if (error?.name === "AbortError") throw error;
  throw new Error("The answer broke off; ask again.");
}

/** An event's name and data; null of a comment, which only keeps the connection open. */
function parsed(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  return data.length ? { name, data: JSON.parse(data.join("\n")) } : null;
}
