// The server's API: requests with the key, problems as errors, events as they come.

const KEPT = "spanrag-key";

/** The key that requests are sent with; the browser forgets it with the tab. */
export const readKey = () => sessionStorage.getItem(KEPT) ?? "";

/** Keep a key; an empty one is forgotten. */
export function keepKey(key) {
  if (key) sessionStorage.setItem(KEPT, key);
  else sessionStorage.removeItem(KEPT);
}

async function request(path, options = {}) {
  const headers = { ...options.headers };
  if (readKey()) headers.Authorization = `Bearer ${readKey()}`;
  const answer = await fetch(path, { ...options, headers }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer.");
  });
  if (!answer.ok) throw new Error(await problemOf(answer));
  return answer;
}

async function problemOf(answer) {
  const told = await answer.json().catch(() => ({}));
  return told.detail ?? `The server refused: ${answer.status}.`;
}

const post = (path, body, signal) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

/** A document: its text and revision. */
export async function readDocument(id) {
  return (await request(`/v1/documents/${encodeURIComponent(id)}`)).json();
}

/** The answer to a question, as a whole. */
export async function ask(question, options) {
  return (await post("/v1/query", { question, options })).json();
}

/** What happens on the way to an answer, and the answer: pairs of a name and data. */
export async function* follow(question, signal) {
  const answer = await post("/v1/query", { question, stream: true, explain: true }, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let unread = "";
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (unread + value).split("\n\n");
    unread = blocks.pop();
    for (const block of blocks) {
      const happened = parsed(block);
      if (happened) yield happened;
    }
  }
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
