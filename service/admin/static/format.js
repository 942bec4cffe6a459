// Numbers as people read them: three digits or so, a unit beside them, nothing that jumps about.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A count: 1,234, 12.3k, 4.5M. */
export function count(value) {
  if (value < 10_000) return whole.format(value);
  if (value < 1_000_000) return `${one.format(value / 1000)}k`;
  return `${one.format(value / 1_000_000)}M`;
}

/** Something per second: a decimal where it is small. */
export function rate(value) {
  if (value === 0) return "0";
  if (value < 0.1) return "<0.1";
  return value < 10 ? one.format(value) : count(value);
}

/** Bytes in powers of 1,024. */
export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (value >= 1000 && power < units.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${value < 10 && power ? one.format(value) : whole.format(value)} ${units[power]}`;
}

/** Seconds, as milliseconds to days; a dash where none is known. */
export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  if (value < 0.001) return "<1 ms";
  if (value < 1) return `${whole.format(value * 1000)} ms`;
  if (value < 10) return `${one.format(value)} s`;
  if (value < 120) return `${whole.format(value)} s`;
  if (value < 7200) return `${whole.format(value / 60)} min`;
  if (value < 172_800) return `${whole.format(value / 3600)} h`;
  return `${whole.format(value / 86_400)} d`;
}

/** A share, from 0 to 1. It is 100 % only when nothing is missing. */
export function share(value) {
  if (value === null || value === undefined) return "–";
  const percent = value * 100;
  if (percent === 0 || percent === 100) return `${percent} %`;
  if (percent > 99.9) return ">99.9 %";
  return `${percent < 0.1 ? "<0.1" : one.format(percent)} %`;
}

/** A moment of today, or with its day; `at` in seconds since the epoch. */
export function moment(at, now) {
  const date = new Date(at * 1000);
  const time = date.toLocaleTimeString("en-GB");
  return now - at < 43_200 ? time : `${date.toLocaleDateString("en-CA")} ${time}`;
}

/** `dead_lettered` as words. */
export function words(name) {
  return name.replaceAll("_", " ");
}
