// Two figures: how few of the retrieved tokens are sent, and which sentences lie together.

import { counted, draw, figure, fill, make, seconds, textOf } from "./making.js";
import { passageButton } from "./source.js";

const WIDTH = 640;
const HEIGHT = 360;
const EDGE = 24;
const COLOURS = 8;
const WRITTEN = { generate: "what comes out is the answer", verify: "what comes out are its quotes" };

/** Tokens that were sent: those that generation took in, or what was left before it. */
export function sentOf(ledger) {
  const generated = ledger.find((entry) => entry.stage === "generate");
  return generated ? generated.tokens_in : (ledger.at(-1)?.tokens_out ?? 0);
}

/** Show what every stage let through, as bars against what was retrieved. */
export function showLedger(answer) {
  const ledger = answer.ledger;
  if (!ledger.length) return fill("ledger");
  const most = Math.max(1, ...ledger.map((entry) => entry.tokens_in));
  const first = ledger[0].tokens_out;
  const sent = sentOf(ledger);
  const share = first ? ` (${Math.round((100 * sent) / first)}%)` : "";
  const unit = answer.token_unit;
  return fill(
    "ledger",
    make("p", {}, `${figure(first)} tokens retrieved, ${figure(sent)} left to answer from${share}.`),
    make("ol", { className: "ledger" }, ...ledger.map((entry) => step(entry, most))),
    make("p", { className: "soft" }, `Tokens of ${unit}.`),
  );
}

function step(entry, most) {
  const numbers = `${figure(entry.tokens_in)} → ${figure(entry.tokens_out)}`;
  const bar = make("span", { className: "bar" }, make("span", { className: "fill" }));
  bar.firstChild.style.width = `${(100 * entry.tokens_out) / most}%`;
  bar.setAttribute("aria-hidden", "true");
  const notes = [entry.note || (WRITTEN[entry.stage] ?? "")];
  if (entry.degraded) notes.push(`went on without: ${entry.degraded}`);
  if (entry.overruled) notes.push(`${counted(entry.overruled, "unit")} kept by protection alone`);
  if (entry.llm_tokens) notes.push(`${figure(entry.llm_tokens)} tokens of the model`);
  return make(
    "li",
    {},
    make("span", { className: "stage" }, entry.stage),
    make("span", { className: "numbers" }, `${numbers} · ${seconds(entry.seconds)}`),
    bar,
    make("span", { className: "soft note" }, notes.filter(Boolean).join("; ")),
  );
}

/** Show the sentences in the plane of their vectors, coloured by cluster. */
export function showMap(explanation) {
  const points = explanation?.points ?? [];
  if (!points.length) return fill("map");
  const passages = explanation.passages;
  const clusters = [...new Set(points.map((point) => point.cluster))].sort((a, b) => a - b);
  const scale = scaled(points);
  const spots = [...points].sort((a, b) => isKept(a, passages) - isKept(b, passages));
  const summary =
    `${counted(points.length, "sentence")} of ${counted(passages.length, "passage")} ` +
    `in ${counted(clusters.length, "cluster")}; the list below tells which.`;
  const svg = draw(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": summary, class: "map" },
    ...spots.map((point) => spot(point, scale, passages)),
  );
  const caption =
    "Each dot is a sentence; near ones mean nearly the same, as far as two dimensions can show. " +
    "Colour is the cluster of its passage, full dots are what was kept.";
  const list = make("ul", { className: "clusters" });
  list.append(...clusters.map((cluster) => clusterRow(cluster, points, passages)));
  return fill("map", svg, make("p", { className: "soft" }, caption), list);
}

const colour = (cluster) => `c${cluster % COLOURS}`;

function isKept(point, passages) {
  const left = passages[point.passage].stages.at(-1).kept;
  return left.some(({ start, end }) => start < point.end && point.start < end);
}

function scaled(points) {
  const along = (key, length) => {
    const values = points.map((point) => point[key]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value) => EDGE + ((value - low) / (high - low || 1)) * (length - 2 * EDGE);
  };
  return { x: along("x", WIDTH), y: along("y", HEIGHT) };
}

function spot(point, scale, passages) {
  const kept = isKept(point, passages) ? "kept" : "left";
  return draw(
    "circle",
    { cx: scale.x(point.x), cy: scale.y(point.y), r: 7, class: `${colour(point.cluster)} ${kept}` },
    draw("title", {}, `Cluster ${point.cluster + 1}: ${textOf(point, passages[point.passage])}`),
  );
}

function clusterRow(cluster, points, passages) {
  const own = points.filter((point) => point.cluster === cluster);
  const kept = own.filter((point) => isKept(point, passages)).length;
  const of = [...new Set(own.map((point) => point.passage))];
  const key = draw("svg", { viewBox: "0 0 14 14", class: "dot", "aria-hidden": "true" });
  key.append(draw("circle", { cx: 7, cy: 7, r: 6, class: `${colour(cluster)} kept` }));
  const links = of.map((at) =>
    passageButton(`${at + 1}`, passages[at], { className: "link", title: passages[at].doc }),
  );
  for (const [at, link] of links.entries()) {
    link.setAttribute("aria-label", `Open passage ${of[at] + 1}, ${passages[of[at]].doc}`);
  }
  const count = `Cluster ${cluster + 1}: ${counted(own.length, "sentence")}, ${kept} kept; passages `;
  return make("li", {}, key, count, ...links);
}
