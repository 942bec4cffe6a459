// The table of lanes: all that is known of each, one row each, whether or not the picture above can be seen.

import { attribute, byId, el, keyed, setGlyph, text } from "./dom.js";
import { bytes, count, rate, seconds, share } from "./format.js";

const NUMBERS = [
  ["held", "Held"],
  ["oldest", "Oldest"],
  ["calls", "Calls"],
  ["in", "In /s"],
  ["out", "Out /s"],
  ["success", "Success"],
  ["retries", "Retries /s"],
  ["p50", "p50"],
  ["p99", "p99"],
  ["billed", "Billed /s"],
];

const UNITS = {
  kinesis_put_payload_units: (value) => [rate(value), "units"],
  sqs_billed_requests: (value) => [rate(value), "requests"],
  firehose_billed_bytes: (value) => [bytes(value), ""],
};

/** Returns a function that draws a picture. `choose(name)` is called with the lane that was chosen. */
export function lanes(choose) {
  const states = new Map();
  return (picture) => {
    keyed(
      byId("lane-rows"),
      picture.lanes,
      (lane) => lane.name,
      (lane) => row(lane, choose),
      (item, lane) => fill(item, lane, picture.at),
    );
    announce(picture.lanes, states);
  };
}

function row(lane, choose) {
  const pick = el("button", { type: "button", class: "pick" }, lane.name);
  pick.addEventListener("click", () => choose(lane.name));
  return el(
    "tr",
    { role: "row" },
    el("th", { role: "rowheader", scope: "row" }, pick, el("small", { class: "goes" })),
    el(
      "td",
      { role: "cell", class: "state" },
      el("span", { class: "badge" }, el("span", { class: "sign" }), el("span", { class: "word" })),
      el("small", { class: "since" }),
      el("small", { class: "reasons" }),
    ),
    ...NUMBERS.map(([key, label]) =>
      el("td", { role: "cell", class: `n ${key}`, "data-label": label }, ...numberCell(key)),
    ),
  );
}

function numberCell(key) {
  if (key !== "held") return [el("span", { class: "value" }), el("small", { class: "unit" })];
  const meter = el("span", { class: "meter", "aria-hidden": "true" }, el("span", {}));
  return [el("span", { class: "value" }), el("small", { class: "unit" }), meter];
}

function fill(item, lane, now) {
  attribute(item, "data-state", lane.state);
  text(item.querySelector(".goes"), [lane.type, lane.target].filter(Boolean).join(" "));
  setGlyph(item.querySelector(".sign"), lane.state);
  text(item.querySelector(".word"), lane.state);
  text(item.querySelector(".since"), `for ${seconds(Math.max(1, Math.round(now - lane.since)))}`);
  text(
    item.querySelector(".reasons"),
    lane.reasons.join("; ") + (lane.breaker !== "closed" && lane.fallback ? `; diverted to ${lane.fallback}` : ""),
  );
  const taken = lane.capacity_bytes ? lane.held_bytes / lane.capacity_bytes : 0;
  put(item, "held", count(lane.held_events), lane.held_events ? `${bytes(lane.held_bytes)}, ${share(taken)}` : "");
  item.querySelector(".meter span").style.width = `${Math.min(100, taken * 100)}%`;
  item.querySelector(".meter").hidden = taken < 0.001;
  put(item, "oldest", lane.held_events ? seconds(lane.oldest_seconds) : "–");
  put(item, "calls", `${lane.calls}/${lane.calls_limit}`);
  put(item, "in", rate(lane.received));
  put(item, "out", rate(lane.delivered), lost(lane));
  put(item, "success", share(lane.success));
  put(item, "retries", rate(lane.retried));
  put(item, "p50", seconds(lane.p50_seconds));
  put(item, "p99", seconds(lane.p99_seconds));
  const [value, unit] = billed(lane.billed);
  put(item, "billed", value, unit);
  item.querySelector(".retries").classList.toggle("felt", lane.retried > 0);
  item.querySelector(".success").classList.toggle("felt", lane.success !== null && lane.success < 1);
}

function put(item, key, value, unit = "") {
  const cell = item.querySelector(`.n.${key}`);
  text(cell.querySelector(".value"), value);
  text(cell.querySelector(".unit"), unit);
}

function lost(lane) {
  const parts = [];
  if (lane.dead_lettered > 0) parts.push(`${rate(lane.dead_lettered)} dead-lettered`);
  if (lane.given_up > 0) parts.push(`${rate(lane.given_up)} given up`);
  return parts.join(", ");
}

function billed(units) {
  const names = Object.keys(units);
  const known = names.find((name) => name in UNITS) ?? names[0];
  if (!known) return ["–", ""];
  return UNITS[known]?.(units[known]) ?? [rate(units[known]), known.replaceAll("_", " ")];
}

/** Say each change of a state, and nothing else, to those who listen. */
function announce(found, states) {
  const first = states.size === 0;
  const changed = found.filter((lane) => states.get(lane.name) !== lane.state);
  for (const lane of changed) states.set(lane.name, lane.state);
  if (changed.length && !first)
    text(byId("changes"), changed.map((lane) => `${lane.name} is ${lane.state}`).join(", "));
}
