// What is wrong, as `/status` has it: what it is about, since when and why, and what to do.

import { el, text } from "./dom.js";
import { seconds, words } from "./format.js";

const SIGNS = new Set(["open", "full", "slow", "throttled"]);

/** The sign that a state, of a lane or of a trouble, is shown with. */
export function sign(state) {
  return SIGNS.has(state) ? state : "failing";
}

/** What a trouble is about: of the loop and the journal there is one, and its value is the reason. */
export function about(found) {
  if ("loop" in found) return "event loop";
  if ("journal" in found) return "journal";
  if ("sink" in found) return found.sink;
  return "source" in found ? `source ${found.source}` : `worker ${found.worker}`;
}

/** An item of the list, made and filled. */
export const trouble = {
  make: () => el("li", {}, el("span", { class: "what" }), el("p", { class: "do" })),
  fill(item, found, now) {
    text(item.querySelector(".what"), sentence(found, now));
    text(item.querySelector(".do"), found.do ?? "");
  },
};

function sentence(found, now) {
  const subject = about(found);
  const where = "worker" in found && subject !== `worker ${found.worker}` ? ` (worker ${found.worker})` : "";
  const since = found.since ? ` for ${seconds(Math.max(0, Math.round(now - Date.parse(found.since) / 1000)))}` : "";
  const reason = found.loop ?? found.journal ?? (found.reason && words(found.reason));
  const why = reason && reason !== found.state ? `: ${reason}` : "";
  const oldest = found.oldest_seconds === undefined ? "" : `, oldest event ${seconds(found.oldest_seconds)}`;
  return `${subject}${where} ${words(found.state)}${since}${why}${oldest}`;
}
