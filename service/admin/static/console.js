// The console: what the stream says, onto the page. It shows; it changes nothing.

import { charts } from "./charts.js";
import { byId, text } from "./dom.js";
import { flow } from "./flow.js";
import { seconds } from "./format.js";
import { lanes } from "./lanes.js";
import { overview } from "./overview.js";
import { panels } from "./panels.js";
import { read } from "./stream.js";

const STALE_MS = 3500; // a picture comes every second
const KEY = "penstock.admin.token";

const url = new URL("console/events", document.baseURI);
let heardAt = 0;
let link = "connecting";

const plots = charts(byId("charts"), byId("which"));
const drawings = [overview(), flow(), lanes((name) => plots.choose(name)), panels()];

function event(name, value) {
  if (name === "history") plots.reset(value);
  else if (name === "point") plots.add(value);
  else if (name === "picture") {
    heardAt = performance.now();
    byId("shown").hidden = false;
    for (const draw of drawings) draw(value);
    plots.names(value.lanes.map((lane) => lane.name));
    tell();
  }
}

function state(word) {
  link = word;
  if (word === "locked") ask();
  tell();
}

/** Say how fresh the page is, and show it where it is not. */
function tell() {
  const silent = heardAt ? performance.now() - heardAt : Infinity;
  const stale = link !== "live" || silent > STALE_MS;
  const shown = link === "live" && stale && heardAt ? "silent" : link;
  byId("link").dataset.link = shown;
  text(byId("link-words"), { live: "live", silent: "silent", cut: "cut off", crowded: "no room" }[shown] ?? shown);
  document.body.classList.toggle("stale", stale && heardAt > 0);
  if (stale && heardAt) document.title = "(stale) Penstock console";
  const age = heardAt ? `What stands here is ${seconds(Math.round(silent / 1000))} old.` : "";
  const why = {
    cut: `The stream from the service is cut. ${age} Connecting again.`,
    crowded: `As many consoles are open as may be. ${age} Trying again.`,
    silent: `The service says nothing. ${age}`,
  }[shown];
  const banner = byId("stale");
  banner.hidden = !why;
  if (why) text(banner, why);
}

/** Ask for the token; a wrong one is forgotten. */
function ask() {
  const wrong = sessionStorage.getItem(KEY) !== null;
  sessionStorage.removeItem(KEY);
  byId("shown").hidden = true;
  byId("ask").hidden = false;
  text(byId("verdict"), "Locked");
  byId("chips").replaceChildren();
  text(byId("token-trouble"), wrong ? "The service does not take this token." : "");
  byId("token").value = "";
  byId("token").focus();
}

byId("ask").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  sessionStorage.setItem(KEY, byId("token").value);
  byId("ask").hidden = true;
  begin();
});

function begin() {
  heardAt = 0;
  state("connecting");
  read(url, sessionStorage.getItem(KEY), event, state);
}

setInterval(tell, 1000);
begin();
