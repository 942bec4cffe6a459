// The picture: sources, routes, lanes and destinations as columns of nodes, and the ways between them as lines.

import { attribute, byId, el, keyed, setGlyph, svg, text } from "./dom.js";
import { count, rate, seconds, share, words } from "./format.js";

const PORT = 17; // pixels for a line that comes in beside others: its label fits
const SPARE_PORT = 11; // for one that seldom has one
const LEAST = 44;
const LABEL_GAP = 7;

/** Returns a function that draws a picture. */
export function flow() {
  const box = byId("flow");
  let ways = [];
  const place = () => lines(box, ways);
  new ResizeObserver(place).observe(box);
  return (picture) => {
    ways = waysOf(picture);
    nodes(picture, ways);
    place();
  };
}

function waysOf(picture) {
  const state = new Map(picture.lanes.map((lane) => [lane.name, lane.state]));
  return [
    ...picture.inflows
      .filter(
        (way) => way.source !== "http" || way.received || picture.sources.length === 1 || !fed(picture, way.route),
      )
      .map((way) => ({
        key: `in ${way.source} ${way.route}`,
        from: `source ${way.source}`,
        to: `route ${way.route}`,
        kind: "required",
        rate: way.received - way.refused,
      })),
    ...picture.outflows.map((way) => ({
      key: `out ${way.route} ${way.sink}`,
      from: `route ${way.route}`,
      to: `lane ${way.sink}`,
      kind: way.kind,
      rate: way.received,
      sink: way.sink,
    })),
    ...picture.lanes.map((lane) => ({
      key: `on ${lane.name}`,
      from: `lane ${lane.name}`,
      to: `destination ${lane.name}`,
      kind: "required",
      rate: lane.delivered,
      state: state.get(lane.name),
    })),
  ];
}

/** Whether another source than HTTP brings events to a route: then HTTP, which may always, is drawn only if it does. */
function fed(picture, route) {
  return picture.inflows.some((way) => way.route === route && way.source !== "http");
}

function nodes(picture, ways) {
  column("sources", "source", picture.sources, (item, source) => {
    fill(item, source.name, source.type === source.name ? "" : source.type);
    facts(item, [
      ["", `${rate(source.received)}/s received`],
      source.trouble && ["trouble", source.trouble],
      source.refused > 0 && ["felt", `${rate(source.refused)}/s refused`],
      source.lag !== null && ["", `lag ${count(source.lag)}`],
      source.waiting > 0 && ["", `${count(source.waiting)} waiting`],
      source.unsettled > 0 && ["", `${count(source.unsettled)} unsettled`],
    ]);
  });
  const targets = group(picture.outflows);
  column("routes", "route", picture.routes, (item, route) => {
    fill(item, route.name, route.ack === "stored" ? "stored" : "");
    facts(item, [route.refused > 0 && ["felt", `${rate(route.refused)}/s refused`]]);
    const list =
      item.querySelector(".ways") ??
      item.appendChild(el("ul", { class: "ways", "aria-label": `ways of ${route.name}` }));
    keyed(
      list,
      targets.get(route.name) ?? [],
      (way) => way.sink,
      () => el("li"),
      (line, way) =>
        text(line, `→ ${way.sink} ${rate(way.received)}/s${way.kind === "required" ? "" : `, ${words(way.kind)}`}`),
    );
  });
  column("lane-nodes", "lane", picture.lanes, (item, lane) => {
    attribute(item, "data-state", lane.state);
    fill(item, lane.name, "");
    if (!item.querySelector(".sign")) item.querySelector(".name").before(el("span", { class: "sign" }));
    setGlyph(item.querySelector(".sign"), lane.state);
    const taken = lane.capacity_bytes ? lane.held_bytes / lane.capacity_bytes : 0;
    facts(item, [
      ["word", lane.state],
      lane.held_events > 0 && ["", `${count(lane.held_events)} held`],
      lane.held_events > 0 && lane.oldest_seconds >= 1 && ["", `oldest ${seconds(lane.oldest_seconds)}`],
      taken > 0.01 && ["", `${share(taken)} full`],
    ]);
  });
  column("destinations", "destination", picture.lanes, (item, lane) => {
    fill(item, lane.target || lane.type, lane.target ? lane.type : "");
    facts(item, [["out", `${rate(lane.delivered)}/s delivered`]]);
  });
  const ports = new Map();
  for (const way of ways) ports.set(way.to, (ports.get(way.to) ?? 10) + portOf(way));
  for (const item of byId("flow").querySelectorAll(".node")) {
    item.style.minHeight = `${Math.max(LEAST, ports.get(item.dataset.node) ?? 0)}px`;
  }
}

function group(ways) {
  const found = new Map();
  for (const way of ways) found.set(way.route, [...(found.get(way.route) ?? []), way]);
  return found;
}

function column(id, kind, items, update) {
  const make = (item) =>
    el(
      "li",
      { class: `node ${kind}`, "data-node": `${kind} ${item.name}` },
      el("p", { class: "head" }, el("span", { class: "name" }), el("span", { class: "kind" })),
      el("p", { class: "facts" }),
    );
  keyed(byId(id), items, (item) => item.name, make, update);
}

function fill(item, name, kind) {
  text(item.querySelector(".name"), name);
  attribute(item.querySelector(".name"), "title", name);
  text(item.querySelector(".kind"), kind);
}

function facts(item, found) {
  keyed(
    item.querySelector(".facts"),
    found.filter(Boolean),
    ([kind, words]) => kind || words.replace(/[\d.,]+\S?/, ""),
    () => el("span"),
    (fact, [kind, words]) => {
      text(fact, words);
      attribute(fact, "class", kind || null);
    },
  );
}

/** Lay the lines between the nodes where these are now. */
function lines(box, ways) {
  const drawing = byId("edges");
  if (getComputedStyle(drawing).display === "none") return;
  for (const lane of byId("lane-nodes").children) {
    // each destination beside its lane
    box.querySelector(`[data-node="destination ${CSS.escape(lane.dataset.key)}"]`).style.height =
      `${lane.offsetHeight}px`;
  }
  const origin = box.getBoundingClientRect();
  attribute(drawing, "viewBox", `0 0 ${origin.width} ${origin.height}`);
  const at = new Map([...box.querySelectorAll(".node")].map((item) => [item.dataset.node, rectangle(item, origin)]));
  const drawn = ways.filter((way) => at.has(way.from) && at.has(way.to));
  spread(drawn, "from", "to", "start", at);
  spread(drawn, "to", "from", "end", at);
  const make = () =>
    svg(
      "g",
      {},
      svg("path", { class: "bed" }),
      svg("path", { class: "water" }),
      svg("text", { "text-anchor": "end", "dominant-baseline": "central" }),
    );
  keyed(
    drawing,
    drawn,
    (way) => way.key,
    make,
    (line, way) => {
      const x1 = at.get(way.from).right;
      const x2 = at.get(way.to).left;
      const bend = Math.max(18, (x2 - x1) * 0.45);
      const [y1, y2] = [way.start.toFixed(1), way.end.toFixed(1)];
      const d = `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
      const [bed, water, label] = line.children;
      attribute(line, "class", `way ${way.kind}${way.rate > 0 ? " runs" : ""}`);
      attribute(line, "data-state", way.state ?? null);
      for (const path of [bed, water]) attribute(path, "d", d);
      attribute(bed, "stroke-width", (1.5 + Math.log10(1 + way.rate) * 1.3).toFixed(1));
      attribute(label, "x", x2 - LABEL_GAP);
      attribute(label, "y", way.end.toFixed(1));
      text(label, way.rate > 0 ? rate(way.rate) : way.kind === "required" ? "0" : "");
    },
  );
}

function portOf(way) {
  return way.kind === "dead_letter" || way.kind === "fallback" ? SPARE_PORT : PORT;
}

function rectangle(item, origin) {
  const { left, right, top, height } = item.getBoundingClientRect();
  return { left: left - origin.left, right: right - origin.left, middle: top - origin.top + height / 2, height };
}

/** Give the lines that meet at one side of a node places of their own, in the order of their other ends. */
function spread(ways, end, other, name, at) {
  const meeting = new Map();
  for (const way of ways) meeting.set(way[end], [...(meeting.get(way[end]) ?? []), way]);
  for (const [node, found] of meeting) {
    const { middle, height } = at.get(node);
    found.sort((one, two) => at.get(one[other]).middle - at.get(two[other]).middle);
    const gap = (way) => (end === "to" ? portOf(way) : Math.min(8, (height - 12) / found.length));
    let y = middle - found.reduce((sum, way) => sum + gap(way), 0) / 2;
    for (const way of found) {
      way[name] = y + gap(way) / 2;
      y += gap(way);
    }
  }
}
