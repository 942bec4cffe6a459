// The head of the page: one sentence, a few chips, the totals, and what is wrong.

import { attribute, byId, el, keyed, setGlyph, text } from "./dom.js";
import { bytes, count, rate, seconds } from "./format.js";
import { about, sign, trouble } from "./troubles.js";

const WORST_FIRST = ["full", "open", "failing", "slow", "throttled"];

/** Returns a function that draws a picture. */
export function overview() {
  return (picture) => {
    verdict(picture);
    chips(picture);
    tiles(picture);
    keyed(
      byId("troubles"),
      picture.troubles,
      (found) => `${about(found)} ${found.worker ?? ""}`,
      trouble.make,
      (item, found) => trouble.fill(item, found, picture.at),
    );
  };
}

function verdict(picture) {
  const lanes = WORST_FIRST.flatMap((state) => picture.lanes.filter((lane) => lane.state === state));
  const others = picture.troubles.filter((found) => !("sink" in found)); // of sinks the lanes say it
  const troubled = [
    ...lanes.map((lane) => [lane.name, lane.state]),
    ...others.map((found) => [about(found), found.state]),
  ];
  const signs = troubled.map(([, state]) => sign(state));
  if (picture.off.length) signs.push("failing");
  const all = picture.lanes.length;
  const worst = all === 0 ? "open" : (WORST_FIRST.find((state) => signs.includes(state)) ?? "healthy");
  const line = byId("verdict");
  if (!line.querySelector(".sign")) line.replaceChildren(el("span", { class: "sign" }), el("span", { class: "words" }));
  attribute(line, "data-state", worst);
  setGlyph(line.querySelector(".sign"), worst);
  const names = troubled.map(([name, state]) => `${name} is ${state}`);
  if (picture.off.length) names.unshift("The books do not balance");
  const well = all === 0 ? "No lane runs" : all === 1 ? "The lane is healthy" : `All ${all} lanes are healthy`;
  const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
  text(line.querySelector(".words"), names.length ? names.slice(0, 3).join(", ") + more : well);
  document.title = `${names.length ? `(${names.length}) ` : ""}Penstock console`;
}

function chips(picture) {
  const shown = [
    { key: "phase", words: picture.phase, well: picture.phase === "serving" },
    picture.off.length
      ? { key: "books", words: "books do not balance", well: false }
      : { key: "books", words: "books balanced", well: true },
  ];
  if (picture.workers.length) {
    const serving = picture.workers.filter((worker) => worker.state === "serving").length;
    shown.push({
      key: "workers",
      words: `${serving} of ${picture.workers.length} workers`,
      well: serving === picture.workers.length,
    });
  }
  keyed(
    byId("chips"),
    shown,
    (chip) => chip.key,
    () => el("li"),
    (item, chip) => {
      text(item, `${chip.well ? "✓" : "✕"} ${chip.words}`);
      item.classList.toggle("bad", !chip.well);
    },
  );
}

function tiles(picture) {
  const { total, lanes, journal } = picture;
  const oldest = Math.max(0, ...lanes.map((lane) => lane.oldest_seconds));
  const shown = [
    ["Received", rate(total.received), "/s"],
    ["Delivered", rate(total.delivered), "/s"],
    ["Retried", rate(total.retried), "/s", total.retried > 0],
    ["Refused", rate(total.refused), "/s", total.refused > 0],
    ["Dead-lettered", rate(total.dead_lettered), "/s", total.dead_lettered > 0],
    ["Held", count(total.held_events), ""],
    ["Oldest held", seconds(oldest), ""],
  ];
  if (journal) shown.push(["Journal", bytes(journal.used_bytes), ""]);
  keyed(
    byId("tiles"),
    shown,
    ([name]) => name,
    ([name]) => el("div", {}, el("dt", {}, name), el("dd", {}, el("b"), el("span"))),
    (tile, [, value, unit, felt]) => {
      text(tile.querySelector("b"), value);
      text(tile.querySelector("span"), unit);
      tile.classList.toggle("felt", Boolean(felt));
    },
  );
}
