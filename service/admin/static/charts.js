// The last 15 minutes, drawn with uPlot: of all lanes together or of one.

import { byId, el, keyed, text } from "./dom.js";
import { count, rate, seconds } from "./format.js";

const POINTS = 180;
const PLOTS = [
  {
    title: "Events per second",
    unit: rate,
    series: [
      ["received", "in"],
      ["delivered", "out"],
    ],
  },
  { title: "Held events", unit: count, series: [["held", "held"]] },
  {
    title: "Delivery time and age",
    unit: seconds,
    series: [
      ["p99", "p99"],
      ["oldest", "oldest held"],
    ],
  },
  { title: "Retries per second", unit: rate, series: [["retried", "retries"]] },
];
const HEIGHT = 132;

/** The charts in `box`, of the lane that `select` names. */
export function charts(box, select) {
  let at = [];
  let lanes = {};
  let plots = [];

  const named = () => lanes[select.value] ?? {};
  const columns = (plot) => [at, ...plot.series.map(([name]) => named()[name] ?? at.map(() => null))];

  function draw() {
    plots.forEach(({ plot, chart, figure }) => {
      chart.setData(columns(plot));
      describe(plot, figure);
    });
  }

  function describe(plot, figure) {
    const last = plot.series.map(([name, words]) => {
      const values = (named()[name] ?? []).filter((value) => value !== null);
      return values.length
        ? `${words} ${plot.unit(values.at(-1))} now, at most ${plot.unit(Math.max(...values))}`
        : `${words} unknown`;
    });
    figure.querySelector("[role=img]").setAttribute("aria-label", `${plot.title}, last 15 minutes: ${last.join("; ")}`);
    plot.series.forEach(([name], index) => {
      const value = (named()[name] ?? []).at(-1);
      text(
        figure.querySelectorAll("figcaption b")[index],
        value === undefined || value === null ? "–" : plot.unit(value),
      );
    });
  }

  /** Make them anew: colours and widths are fixed when a chart is made. */
  function build() {
    for (const { chart } of plots) chart.destroy();
    box.replaceChildren();
    plots = PLOTS.map((plot) => {
      const holder = el("div", { role: "img", "aria-label": plot.title });
      const legend = plot.series.flatMap(([, words], index) => [
        el("i", { class: `line-${index}` }),
        el("span", {}, `${words} `, el("b")),
      ]);
      const figure = el(
        "figure",
        {},
        el("figcaption", {}, el("span", { class: "title" }, plot.title), el("span", { class: "legend" }, ...legend)),
        holder,
      );
      box.append(figure);
      return { plot, figure, chart: new uPlot(options(plot, holder.clientWidth), columns(plot), holder) };
    });
    draw();
  }

  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", build);
  new ResizeObserver(() => {
    for (const { chart, figure } of plots) {
      const width = figure.clientWidth;
      if (width && width !== chart.width) chart.setSize({ width, height: HEIGHT });
    }
  }).observe(box);
  select.addEventListener("change", draw);

  return {
    reset(history) {
      at = history.at;
      lanes = history.lanes;
      build();
    },
    add(point) {
      at = [...at, ...point.at].slice(-POINTS);
      for (const name of new Set([...Object.keys(lanes), ...Object.keys(point.lanes)])) {
        const before = lanes[name] ?? {};
        const after = point.lanes[name] ?? {};
        lanes[name] = Object.fromEntries(
          PLOTS.flatMap((plot) => plot.series).map(([series]) => {
            const known = before[series] ?? [];
            const missing = Array(Math.max(0, at.length - point.at.length - known.length)).fill(null);
            return [series, [...missing, ...known, ...(after[series] ?? point.at.map(() => null))].slice(-at.length)];
          }),
        );
      }
      draw();
    },
    names(found) {
      keyed(
        select,
        ["", ...found],
        (name) => name,
        (name) => el("option", { value: name }, name || "all lanes"),
        () => {},
      );
    },
    choose(name) {
      select.value = name;
      draw();
      byId("charts-title").scrollIntoView({
        block: "nearest",
        behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
      });
    },
  };
}

function options(plot, width) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const font = `11px ${colour("--sans")}`;
  const axis = { stroke: colour("--muted"), font, ticks: { show: false } };
  return {
    width: Math.max(width, 100),
    height: HEIGHT,
    cursor: { show: false },
    legend: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { time: true, range: (_, __, last) => [last - POINTS * 5, last] },
      y: { range: (_, __, most) => [0, most > 0 ? most * 1.12 : 1] },
    },
    axes: [
      {
        ...axis,
        size: 22,
        gap: 4,
        grid: { show: false },
        space: 60,
        values: (_, ticks) =>
          ticks.map((tick) =>
            new Date(tick * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }),
          ),
      },
      {
        ...axis,
        size: 52,
        gap: 6,
        grid: { stroke: colour("--line"), width: 1 },
        space: 34,
        values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "0" : plot.unit(tick))),
      },
    ],
    series: [
      {},
      ...plot.series.map((_, index) => ({
        stroke: colour(`--line-${index}`),
        width: 1.5,
        fill: index ? undefined : colour("--fill-0"),
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}
