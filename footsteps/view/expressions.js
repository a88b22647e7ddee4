// The expressions of `footsteps search`, with the same meaning; a test asks both the same questions.

const IDS = new Set(["id", "code_id", "commit", "hash_code", "base_hash_code", "git_label"]);
const TIMES = new Set(["started", "ended"]);
const ALIASES = {
  code: "code_id", hash: "hash_code", date: "started", when: "started", took: "duration",
  tags: "tag", notes: "note", group: "name",
};
const PACKAGE = "package.";
const EXAMPLES = "lr:0.1, lr<=0.1, optimizer==sgd, package.numpy<2, or a word";

/**
 * One condition; name and operator are "" for a word that is looked for everywhere.
 * @typedef {{name: string, operator: string, value: string, number: ?number, folded: string}} Expression
 */

/** @returns {Expression} */
function makeExpression(typed, operator, value) {
  const known = plainName(typed);
  const name = Object.hasOwn(ALIASES, known) ? ALIASES[known] : known;
  const found = { name, operator, value, number: asNumber(value), folded: folded(value) };
  if (name === "duration") return { ...found, number: durationOf(value) };
  return TIMES.has(name) ? ofTime(found) : found;
}

/** An expression about a time as people say it: the beginning of ISO times that is meant; `started:3d` is since then. */
function ofTime(asked) {
  const value = isoPrefix(asked.value);
  const since = isEquality(asked.operator) && value.includes("T") && !/^\d{4}/.test(asked.value);
  return { ...asked, value, operator: since ? ">=" : asked.operator };
}

function isEquality(operator) {
  return operator === ":" || operator === "==";
}

/**
 * An expression as it is typed.
 * @param {string} words
 * @returns {Expression}
 * @throws {Error} with what would do, if it is none
 */
function parseExpression(words) {
  const found = /==|<=|>=|<|>|:|=/.exec(words);
  if (!found) {
    if (words.trim()) return makeExpression("", "", words.trim());
    throw new Error(`cannot read an empty expression (${EXAMPLES})`);
  }
  const [typed] = found;
  const operator = typed === "=" ? "==" : typed;
  const name = words.slice(0, found.index);
  const value = words.slice(found.index + typed.length);
  const noName = !name.replace(/[! ]+$/, "");
  if (noName || name.endsWith("!") || !plausible(operator, value)) {
    throw new Error(`cannot read ${words} (${EXAMPLES})`);
  }
  return makeExpression(name.trim(), operator, value.trim());
}

function plausible(operator, value) {
  if (isEquality(operator)) return !/^(=|[<>]=?[\s\d.+-])/.test(value);
  return Boolean(value.trim()) && !/^[=<>]/.test(value);
}

/**
 * What was typed into the search field: expressions between blanks, quotes around those with blanks, OR between
 * those of which one side must hold, and behind each -e or --exclude one that may not.
 * @param {string} words
 * @returns {{include: Expression[][], exclude: Expression[]}} include: alternatives, of one of which all must hold
 * @throws {Error} with what would do
 */
function parseQuery(words) {
  const query = { include: [[]], exclude: [] };
  let excluded = false;
  for (const { text, quoted } of shellWords(words)) {
    if (!quoted && (text === "-e" || text === "--exclude")) excluded = true;
    else if (excluded) {
      query.exclude.push(parseExpression(text));
      excluded = false;
    } else addAlternatives(query.include, text);
  }
  if (query.include.length > 1 && !query.include.every((all) => all.length)) {
    throw new Error("cannot read an OR that does not stand between two expressions (lr=0.1 OR lr=0.2)");
  }
  return query;
}

/** Add a word's expressions to the last alternative; OR, within the word too, begins another. */
function addAlternatives(alternatives, text) {
  text.split(/ OR |^OR$/).forEach((part, at) => {
    if (at) alternatives.push([]);
    if (part || text !== "OR") alternatives.at(-1).push(parseExpression(part));
  });
}

function shellWords(words) {
  const found = [];
  for (const [whole] of words.matchAll(/(?:[^\s"']|"[^"]*"?|'[^']*'?)+/g)) {
    const text = whole.replace(/"([^"]*)"?|'([^']*)'?/g, (_, a, b) => a ?? b ?? "");
    found.push({ text, quoted: text !== whole });
  }
  return found;
}

function plainName(name) {
  return name.replace(/^-+/, "").replaceAll("-", "_");
}

/** Whether a fact of this name is meant: all are by a word, save packages' versions. */
function concerns(asked, name) {
  if (!asked.operator) return !name.startsWith(PACKAGE);
  const known = plainName(name);
  return known === asked.name || known.endsWith("." + asked.name);
}

/** Whether the value of a fact that is concerned is as asked; isFact: it is no argument or recorded value. */
function holds(asked, name, value, isFact) {
  if (!asked.operator) {
    const named = !isFact && folded(name).includes(asked.folded);
    return named || folded(said(value)).includes(asked.folded);
  }
  const equality = isEquality(asked.operator);
  if (Object.hasOwn(WORDED, name) && typeof value === "string") return equality && WORDED[name](asked, value);
  if (Array.isArray(value)) {
    const whole = equality && [asked.value, withoutBrackets(asked.value)].includes(said(value));
    return whole || value.some((item) => holds(asked, name, item, isFact));
  }
  if (value === null || value === "") return equality && ["", "none", "null"].includes(asked.folded);
  return equality ? equalsValue(asked, name, value) : comparesValue(asked, name, value);
}

// Facts that are asked for in a way of their own: one tag of several, words in a note, a group of runs.
const WORDED = {
  name: (asked, value) => (asked.value.endsWith("/") ? value.startsWith(asked.value) : value === asked.value || fitsGlob(value, asked.value)),
  tag: (asked, value) => [value, ...value.split(/\s+/)].includes(asked.value),
  note: (asked, value) => Boolean(asked.folded) && folded(value).includes(asked.folded),
};

/** Whether a name fits a pattern with `*`, `?` or `[...]`; text without them fits nothing here. */
function fitsGlob(name, wanted) {
  if (!/[*?[]/.test(wanted)) return false;
  const parts = wanted.match(/\[!?\]?[^\]]*\]|[^]/g).map((part) => {
    if (part === "*") return "[^]*";
    if (part === "?") return "[^]";
    if (part.length < 3 || part === "[!]") return part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    return `[${part.slice(1, -1).replace(/[\\\]^]/g, "\\$&").replace(/^!/, "^")}]`;
  });
  try {
    return new RegExp(`^(?:${parts.join("")})$`, "u").test(name);
  } catch {
    return false; // a range the wrong way round
  }
}

function equalsValue(asked, name, value) {
  const shown = said(value);
  if (typeof value === "boolean") return asked.folded === folded(shown);
  if (IDS.has(name)) return beginsId(shown, asked.value);
  if (TIMES.has(name)) return shown.startsWith(asked.value);
  if (isVersion(name)) {
    const same = compareKeys(versionKey(shown), versionKey(asked.value)) === 0;
    return same || (asked.operator === ":" && shown.startsWith(asked.value + "."));
  }
  const left = asNumber(value);
  return shown === asked.value || (left !== null && left === asked.number);
}

function comparesValue(asked, name, value) {
  if (isVersion(name)) return ordered(compareKeys(versionKey(said(value)), versionKey(asked.value)), asked.operator);
  if (TIMES.has(name)) {
    return ordered(compareText([...said(value)].slice(0, [...asked.value].length).join(""), asked.value), asked.operator);
  }
  const left = typeof value === "boolean" ? null : asNumber(value);
  if (left === null || asked.number === null) return false;
  return ordered(left < asked.number ? -1 : left > asked.number ? 1 : left === asked.number ? 0 : NaN, asked.operator);
}

function ordered(order, operator) {
  if (operator.startsWith("<")) return order < 0 || (operator === "<=" && order === 0);
  return order > 0 || (operator === ">=" && order === 0);
}

function compareText(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isVersion(name) {
  return name.startsWith(PACKAGE) || name === "python";
}

function beginsId(value, wanted) {
  const [short, full] = value.length <= wanted.length ? [value, wanted] : [wanted, value];
  const cut = value.lastIndexOf("-g");
  const inside = value.slice(cut < 0 ? 0 : cut + 2).startsWith(wanted);
  return short.length >= 4 && (inside || full.startsWith(short));
}

const RANKS = { dev: -4, a: -3, alpha: -3, b: -2, beta: -2, c: -1, rc: -1, post: 1 };

/** An order of version numbers: 1.9 < 1.10, 2.0rc1 < 2.0 < 2.0.post1. */
function versionKey(version) {
  const words = version.split("+")[0].toLowerCase().replace(/^v+/, "").match(/\d+|[a-z]+/g) || [];
  const parts = words.map((w) => (/\d/.test(w) ? [2, Number(w), ""] : [RANKS[w] || 0, 0, w]));
  while (parts.length && parts.at(-1)[0] === 2 && parts.at(-1)[1] === 0) parts.pop();
  return [...parts, [0, 0, ""]];
}

function compareKeys(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    for (let j = 0; j < 3; j++) if (a[i][j] !== b[i][j]) return a[i][j] < b[i][j] ? -1 : 1;
  }
  return a.length - b.length;
}

/** A value as a person would type it, numbers as Python writes them. */
function said(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(said).join(" ");
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : pythonFloat(value);
  return typeof value === "object" ? value.s : String(value);
}

function pythonFloat(value) {
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e16) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
}

function withoutBrackets(words) {
  if (!/^[[(]/.test(words) || !/[\])]$/.test(words)) return words;
  return words.split(",").map((word) => word.replace(/^[ [\]()'"]+|[ [\]()'"]+$/g, "")).join(" ");
}

const NUMBER = /^[+-]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)([eE][+-]?\d+(_\d+)*)?$/;

/** The value as a number as Python reads one, or null if it is none. */
function asNumber(value) {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  const words = value && value.n ? value.s : value;
  if (typeof words !== "string") return null;
  const text = words.trim();
  if (NUMBER.test(text)) return Number(text.replaceAll("_", ""));
  const named = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (!named) return null;
  if (named[2].toLowerCase() === "nan") return NaN;
  return named[1] === "-" ? -Infinity : Infinity;
}

/** Text without upper and lower case, as Python's casefold. */
function folded(words) {
  return words.toUpperCase().toLowerCase().replaceAll("\u03c2", "\u03c3");
}

// --- times and durations as people type them ---

const UNITS = { s: 1, sec: 1, m: 60, min: 60, h: 3600, d: 86400, w: 604800 };
const UNIT_NAMES = { second: "s", minute: "m", hour: "h", day: "d", week: "w" };
const MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/** Seconds of a duration (`5m`, `1h30m`, `2 days`, `90`), or null if it is none. */
function durationOf(words) {
  const number = asNumber(words);
  if (number !== null) return number;
  const parts = [...words.trim().toLowerCase().matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)\s*/g)];
  if (!parts.length || parts.map(([, a, b]) => a + b).join("") !== words.toLowerCase().replace(/\s+/g, "")) return null;
  const units = parts.map(([, , unit]) => {
    const single = unit.length > 1 ? unit.replace(/s+$/, "") : unit;
    return Object.hasOwn(UNIT_NAMES, single) ? UNIT_NAMES[single] : unit;
  });
  if (!units.every((unit) => Object.hasOwn(UNITS, unit))) return null;
  return parts.reduce((sum, [, count], at) => sum + Number(count) * UNITS[units[at]], 0);
}

/** What ISO times begin with that are meant by words: `2026-03` for march, a date for monday; words as they are. */
function isoPrefix(words) {
  const small = words.trim().toLowerCase();
  const day = namedDay(small);
  if (day) return isMonth(small) ? day.slice(0, 7) : day;
  if (/^\d{4}/.test(words) || /^[\d.]+$/.test(small)) return words;
  const back = durationOf(small.replace(/\s*ago$/, ""));
  return back === null ? words : localIso(new Date(Date.now() - back * 1000));
}

function isMonth(small) {
  return small.length > 2 && MONTHS.some((month) => month.startsWith(small));
}

/** The ISO date at which `march`, `monday`, `today`, `last week` begin, the latest that is past; "" for others. */
function namedDay(small) {
  const today = new Date();
  const before = (days) => localIso(new Date(today.getFullYear(), today.getMonth(), today.getDate() - days)).slice(0, 10);
  const name = small.replace(/^last\s+/, "");
  if (name === "today" || name === "yesterday") return before(name === "yesterday" ? 1 : 0);
  const long = { week: 7, month: 30, year: 365 };
  if (small.startsWith("last") && Object.hasOwn(long, name)) return before(long[name]);
  const month = name.length > 2 ? MONTHS.findIndex((each) => each.startsWith(name)) : -1;
  if (month >= 0) return localIso(new Date(today.getFullYear() - (month > today.getMonth() ? 1 : 0), month, 1)).slice(0, 10);
  const day = name.length > 2 ? DAYS.findIndex((each) => each.startsWith(name)) : -1;
  return day >= 0 ? before((today.getDay() - day + 7) % 7) : "";
}

/** A time in the local zone as ISO 8601, as records have it. */
function localIso(time) {
  const shift = -time.getTimezoneOffset();
  const two = (number) => String(Math.floor(Math.abs(number))).padStart(2, "0");
  const local = new Date(time.getTime() + shift * 60000).toISOString().slice(0, -1);
  return `${local}000${shift < 0 ? "-" : "+"}${two(shift / 60)}:${two(shift % 60)}`;
}
