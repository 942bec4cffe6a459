// What stands beside: the last bad ends, the books, the journal, the workers.

import { attribute, byId, el, keyed, text } from "./dom.js";
import { bytes, count, moment, rate, seconds, share, words } from "./format.js";

/** Returns a function that draws a picture. */
export function panels() {
  return (picture) => {
    ends(picture);
    books(picture);
    journal(picture);
    workers(picture);
  };
}

function ends({ last, at }) {
  const list = byId("ends");
  const shown = last.length ? last : [null];
  const key = (end) => (end ? `${end.where} ${end.route} ${end.outcome} ${end.reason}` : "none");
  const make = (end) =>
    end
      ? el(
          "li",
          {},
          el(
            "p",
            { class: "end-head" },
            el("span", { class: "outcome" }),
            " ",
            el("b", { class: "reason" }),
            el("time"),
          ),
          el("p", { class: "end-where" }),
          el("p", { class: "end-detail" }),
        )
      : el("li", { class: "none" }, "None since the service began.");
  keyed(list, shown, key, make, (item, end) => {
    if (!end) return;
    text(item.querySelector(".outcome"), words(end.outcome));
    attribute(item, "data-outcome", end.outcome);
    text(item.querySelector(".reason"), words(end.reason));
    text(item.querySelector("time"), moment(end.at, at));
    attribute(item.querySelector("time"), "datetime", new Date(end.at * 1000).toISOString());
    const where = item.querySelector(".end-where");
    const place = `${end.where} ${end.outcome === "refused" ? "→" : "←"} ${end.route || "no route"}`;
    if (where.dataset.of !== `${place} ${end.id}`) {
      where.dataset.of = `${place} ${end.id}`;
      where.replaceChildren(place, " ", el("code", {}, end.id || "no id"));
    }
    const detail = item.querySelector(".end-detail");
    detail.hidden = !end.detail;
    text(detail, end.detail ?? "");
  });
}

function books({ off, outflows }) {
  const box = byId("books");
  if (!box.firstElementChild) box.replaceChildren(el("p", { class: "books-word" }), el("ul", { class: "off" }));
  const ways = outflows.length === 1 ? "the one way" : `each of ${outflows.length} ways`;
  const well = `✓ Balanced: received = settled + held, for ${ways} from a route to a lane.`;
  text(box.querySelector(".books-word"), off.length ? "✕ Do not balance: this is a defect." : well);
  attribute(box, "class", off.length ? "bad" : "well");
  const key = (each) => `${each.where} ${each.route}`;
  keyed(
    box.querySelector(".off"),
    off,
    key,
    () => el("li"),
    (item, each) => {
      const what = each.events > 0 ? "missing" : "too many";
      text(item, `${each.where}, route ${each.route}: ${what} ${count(Math.abs(each.events))}`);
    },
  );
}

function journal({ journal: found }) {
  byId("journal-panel").hidden = !found;
  if (!found) return;
  const box = byId("journal");
  if (!box.firstElementChild) {
    box.replaceChildren(
      el("p", { class: "journal-trouble trouble" }),
      el("p", { class: "journal-line" }),
      el("span", { class: "meter", "aria-hidden": "true" }, el("span", {})),
      el("ul", { class: "waiting" }),
    );
  }
  const taken = found.max_bytes ? found.used_bytes / found.max_bytes : 0;
  const trouble = box.querySelector(".journal-trouble");
  trouble.hidden = !found.trouble;
  text(trouble, found.trouble ?? "");
  text(
    box.querySelector(".journal-line"),
    [
      `${rate(found.stored)}/s stored`,
      `${bytes(found.used_bytes)} of ${bytes(found.max_bytes)} (${share(taken)})`,
      `${bytes(found.free_bytes)} free on the disk`,
      `oldest ${found.oldest_seconds ? seconds(found.oldest_seconds) : "none"}`,
    ].join(", "),
  );
  box.querySelector(".meter span").style.width = `${Math.min(100, taken * 100)}%`;
  keyed(
    box.querySelector(".waiting"),
    found.waiting,
    (each) => `${each.sink} ${each.route}`,
    () => el("li"),
    (item, each) => text(item, `${count(each.events)} of route ${each.route} wait for ${each.sink}`),
  );
}

function workers({ workers: found }) {
  byId("workers-panel").hidden = !found.length;
  const key = (each) => String(each.worker);
  keyed(
    byId("workers"),
    found,
    key,
    () => el("li"),
    (item, each) => {
      const heard = each.heard_seconds_ago;
      const parts = [
        `${each.state === "serving" ? "✓" : "✕"} worker ${each.worker}: ${each.state}`,
        each.pid && `process ${each.pid}`,
        heard !== null && heard !== undefined && `heard ${seconds(heard)} ago`,
        each.replaced && `replaced ${count(each.replaced)} times`,
      ];
      text(item, parts.filter(Boolean).join(", "));
    },
  );
}
