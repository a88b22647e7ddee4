// Elements, text that is safe to look at, and numbers as people read them.
// Everything of a record gets into the page through `h`: as a text node, or as an attribute that can't act.

/** Attributes that `h` and `draw` may set; no event handler, no style, no source that is not a picture's. */
const ATTRIBUTES = new Set(("id class type title role tabindex for name value placeholder checked disabled selected " +
  "colspan scope alt loading src href rel target download min max step open hidden spellcheck autocomplete " +
  "width height viewBox preserveAspectRatio d x y x1 x2 y1 y2 cx cy r rx points transform text-anchor " +
  "stroke stroke-width stroke-dasharray fill opacity").split(" "));

/**
 * An element with attributes and children; a child that is no node becomes a text node.
 * @param {string} tag
 * @param {Object<string, *>} [attributes] functions are listeners (`onclick` -> "click")
 * @param {...*} children
 * @returns {HTMLElement}
 */
function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function draw(tag, attributes, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) setAttribute(element, name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function setAttribute(element, name, value) {
  if (!ATTRIBUTES.has(name) && !name.startsWith("aria-") && !name.startsWith("data-")) throw new Error(name);
  element.setAttribute(name, value === true ? "" : value);
}

/**
 * The words on one line, what would act on the reader (controls, directions) spelled out.
 * @param {*} words
 * @returns {string}
 */
function visible(words) {
  return String(words).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, spelled);
}

/** The same for text of several lines. */
function visibleLines(words) {
  return String(words).replace(/\r\n/g, "\n").replace(/[^\n\t\P{C}]|[\p{Zl}\p{Zp}]/gu, spelled);
}

function spelled(character) {
  const code = character.codePointAt(0);
  if (code >= 0xdc80 && code <= 0xdcff) return "\\x" + (code - 0xdc00).toString(16);
  const digits = code.toString(16);
  if (code < 0x100) return "\\x" + digits.padStart(2, "0");
  return code < 0x10000 ? "\\u" + digits.padStart(4, "0") : "\\U" + digits.padStart(8, "0");
}

/** A number with five significant digits; other values as they are said. */
function brief(value) {
  const number = typeof value === "number" ? value : value && value.n ? asNumber(said(value)) : null;
  if (number === null || !Number.isFinite(number)) return visible(said(value));
  if (Number.isInteger(number) && Math.abs(number) < 1e7) return String(number);
  const short = Number(number.toPrecision(5));
  return Math.abs(short) >= 1e7 || Math.abs(short) < 1e-4 ? short.toExponential().replace("e+", "e") : String(short);
}

/** Values as they stand side by side: numbers with five digits, where these tell them apart as all digits do. */
function briefTogether(values) {
  const whole = values.map((value) => said(value));
  const short = values.map((value) => (typeof value === "number" || value?.n ? brief(value) : said(value)));
  return new Set(short).size === new Set(whole).size ? short : whole;
}

/** Seconds as `12 s`, `3 min 4 s`, `2 h 5 min`. */
function span(seconds) {
  if (typeof seconds !== "number") return "";
  if (seconds < 10) return seconds.toFixed(1) + " s";
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

/** A time in ISO 8601 as date and time here. */
function when(iso) {
  const time = new Date(iso);
  if (!iso || Number.isNaN(time.getTime())) return visible(iso || "");
  const two = (n) => String(n).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ` +
    `${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** Bytes as `1.2 MB`. */
function bytes(count) {
  if (typeof count !== "number") return "";
  let n = count;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (n < 1000 || unit === "GB") return `${unit === "B" ? n : n.toFixed(1)} ${unit}`;
    n /= 1000;
  }
  return "";
}

/** `1 run`, `3 runs`. */
function counted(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}
