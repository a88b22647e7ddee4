// Curves as SVG. Own code rather than a library: a chart library would have to be copied into every page
// (there is no network and no build step), and weighs more than all of this page.

const CHART = { width: 460, height: 240, left: 52, right: 12, top: 10, bottom: 30 };
const COLORS = 8; // .c0 to .c7 in page.css
const DASHES = [null, "6 3", "2 3"];

/**
 * One curve. x: null at no place; y: null where the value was not finite.
 * @typedef {{label: string, place: number, x: number[], y: Array<?number>}} Line
 */

/**
 * A chart with a heading, whose values are told under the pointer.
 * @param {string} name
 * @param {Line[]} lines
 * @param {{log: boolean, smooth: number, xLabel: string, small?: boolean}} how
 */
function chart(name, lines, how) {
  const smoothed = lines.map((line) => ({ ...line, y: smooth(line.y, how.smooth) }));
  const scales = scalesOf(smoothed.concat(how.smooth ? lines : []), how.log);
  if (!scales) return h("figure", { class: "chart" }, h("figcaption", {}, visible(name)), h("p", { class: "note" }, "nothing to draw on this scale"));
  const raw = how.smooth ? lines.map((line) => curve(line, scales, "raw")) : [];
  const picture = draw("svg", {
    viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: "img", tabindex: how.small ? null : 0,
    "aria-label": visible(`${name}: ${lines.map((line) => `${line.label} ends at ${brief(lastOf(line.y))}`).join("; ")}`),
  }, axes(scales, how), raw, smoothed.map((line) => curve(line, scales, "")));
  const figure = h("figure", { class: how.small ? "chart small" : "chart" }, h("figcaption", {}, visible(name), how.note ? h("span", {}, how.note) : null), picture);
  if (!how.small) addHover(figure, picture, smoothed, scales, how);
  return figure;
}

function lastOf(values) {
  return values.findLast((value) => value !== null) ?? NaN;
}

/** An average that gives the past this weight, 0 to 1, as TensorBoard's. */
function smooth(values, weight) {
  if (!weight) return values;
  let sum = 0;
  let total = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * weight + value * (1 - weight);
    total = total * weight + (1 - weight);
    return sum / total;
  });
}

function scalesOf(lines, log) {
  const xs = lines.flatMap((line) => line.x);
  const ys = lines.flatMap((line) => line.y).filter((y) => y !== null && (!log || y > 0));
  if (!xs.length || !ys.length) return null;
  const right = CHART.width - CHART.right;
  const low = CHART.height - CHART.bottom;
  return { x: scale(extent(xs), CHART.left, right, false), y: scale(extent(ys), low, CHART.top, log) };
}

function extent(values) {
  let [least, greatest] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return [least, greatest];
}

function scale([least, greatest], from, to, log) {
  const flat = least === greatest;
  const margin = log || from < to ? 0 : (greatest - least) * 0.04;
  const low = flat ? (log ? least / 2 : least - (Math.abs(least) || 1) / 2) : least - margin;
  const high = flat ? (log ? greatest * 2 : greatest + (Math.abs(greatest) || 1) / 2) : greatest + margin;
  const map = log ? Math.log10 : (value) => value;
  const [a, b] = [map(low), map(high)];
  const at = (value) => from + ((map(value) - a) / (b - a)) * (to - from);
  return { at, low, high, ticks: log ? logTicks(low, high) : ticks(low, high, from < to ? 6 : 5) };
}

/** Round numbers between two others. */
function ticks(low, high, about) {
  const rough = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) || 10);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high + step * 1e-9 && found.length < 20; n++) found.push(n * step);
  return found;
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const factor of [1, 2, 5]) found.push(factor * 10 ** power);
  }
  const within = found.filter((value) => value >= low && value <= high);
  if (within.length < 3) return ticks(low, high, 5).filter((value) => value > 0);
  const decades = within.filter((value) => Number.isInteger(Math.round(Math.log10(value) * 1e9) / 1e9));
  return within.length > 7 && decades.length > 1 ? decades.filter((_, n) => n % Math.ceil(decades.length / 7) === 0) : within;
}

function axes({ x, y }, how) {
  const low = CHART.height - CHART.bottom;
  const right = CHART.width - CHART.right;
  return draw("g", { class: "axes" },
    y.ticks.map((value) => [
      draw("line", { x1: CHART.left, x2: right, y1: y.at(value), y2: y.at(value) }),
      draw("text", { x: CHART.left - 6, y: y.at(value) + 3.5, "text-anchor": "end" }, brief(value)),
    ]),
    x.ticks.map((value) => draw("text", { x: x.at(value), y: low + 14, "text-anchor": "middle" }, brief(value))),
    draw("text", { x: right, y: CHART.height - 3, "text-anchor": "end", class: "unit" }, visible(how.xLabel)));
}

function curve(line, { x, y }, kind) {
  const parts = [];
  let pen = "M";
  line.y.forEach((value, n) => {
    const at = value === null ? NaN : y.at(value);
    if (Number.isFinite(at)) parts.push(`${pen}${x.at(line.x[n]).toFixed(1)} ${at.toFixed(1)}`);
    pen = Number.isFinite(at) ? "L" : "M";
  });
  return draw("path", { class: `curve ${kind} c${line.place % COLORS}`, d: parts.join(""), "stroke-dasharray": dashOf(line.place) });
}

function dashOf(place) {
  return DASHES[Math.floor(place / COLORS) % DASHES.length];
}

/** A line of the legend: a stroke as in the chart, and words. */
function swatch(place) {
  return draw("svg", { class: "swatch", viewBox: "0 0 24 8", "aria-hidden": "true" },
    draw("path", { class: `curve c${place % COLORS}`, d: "M0 4L24 4", "stroke-dasharray": dashOf(place) }));
}

function nearest(values, wanted) {
  let best = 0;
  values.forEach((value, n) => { if (Math.abs(value - wanted) < Math.abs(values[best] - wanted)) best = n; });
  return best;
}

function addHover(figure, picture, lines, { x, y }, how) {
  const rule = draw("line", { class: "rule", y1: CHART.top, y2: CHART.height - CHART.bottom, opacity: 0 });
  const dots = lines.map((line) => draw("circle", { class: `dot c${line.place % COLORS}`, r: 3, opacity: 0 }));
  const tip = h("div", { class: "tip", hidden: true });
  picture.append(rule, ...dots);
  figure.append(tip);
  let at = 0;
  const show = (wanted) => {
    const places = lines.map((line) => nearest(line.x, wanted));
    at = lines[0].x[places[0]];
    setAttribute(rule, "x1", x.at(at));
    setAttribute(rule, "x2", x.at(at));
    setAttribute(rule, "opacity", 1);
    lines.forEach((line, n) => placeDot(dots[n], line, places[n], x, y));
    tip.replaceChildren(h("b", {}, `${how.xLabel} ${brief(at)}`), ...lines.map((line, n) =>
      h("div", {}, swatch(line.place), h("span", {}, visible(line.label)), h("b", {}, brief(line.y[places[n]] ?? NaN)))));
    tip.hidden = false;
    tip.classList.toggle("left", x.at(at) > CHART.width / 2);
  };
  const hide = () => {
    tip.hidden = true;
    for (const each of [rule, ...dots]) setAttribute(each, "opacity", 0);
  };
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const pixel = ((event.clientX - box.left) / box.width) * CHART.width;
    show(x.low + ((pixel - CHART.left) / (CHART.width - CHART.left - CHART.right)) * (x.high - x.low));
  });
  picture.addEventListener("pointerleave", hide);
  picture.addEventListener("blur", hide);
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const values = lines[0].x;
    show(tip.hidden ? values[0] : values[Math.min(values.length - 1, Math.max(0, nearest(values, at) + step))]);
    event.preventDefault();
  });
}

function placeDot(dot, line, place, x, y) {
  const value = line.y[place];
  const at = value === null || value === undefined ? NaN : y.at(value);
  setAttribute(dot, "opacity", Number.isFinite(at) ? 1 : 0);
  if (!Number.isFinite(at)) return;
  setAttribute(dot, "cx", x.at(line.x[place]));
  setAttribute(dot, "cy", at);
}
