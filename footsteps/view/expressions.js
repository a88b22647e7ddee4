// The expressions of `footsteps search`, with the same meaning; a test asks both the same questions.

const IDS = new Set(["id", "code_id", "commit", "hash_code", "base_hash_code", "git_label"]);
const TIMES = new Set(["started", "ended"]);
const ALIASES = { code: "code_id", hash: "hash_code", date: "started", when: "started" };
const PACKAGE = "package.";
const EXAMPLES = "lr:0.1, lr<=0.1, optimizer==sgd, package.numpy<2, or a word";

/**
 * One condition; name and operator are "" for a word that is looked for everywhere.
 * @typedef {{name: string, operator: string, value: string, number: ?number, folded: string}} Expression
 */

/** @returns {Expression} */
function makeExpression(name, operator, value) {
  const known = plainName(name);
  const found = { name: Object.hasOwn(ALIASES, known) ? ALIASES[known] : known, operator, value };
  return { ...found, number: asNumber(value), folded: folded(value) };
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
  if (operator === ":" || operator === "==") return !/^(=|[<>]=?[\s\d.+-])/.test(value);
  return Boolean(value.trim()) && !/^[=<>]/.test(value);
}

/**
 * What was typed into the search field: expressions between blanks, quotes around those with blanks,
 * and after -e or --exclude those that may not hold.
 * @param {string} words
 * @returns {{include: Expression[], exclude: Expression[]}}
 */
function parseQuery(words) {
  const include = [];
  const exclude = [];
  let excluded = false;
  for (const { text, quoted } of shellWords(words)) {
    if (!quoted && (text === "-e" || text === "--exclude")) excluded = true;
    else {
      (excluded ? exclude : include).push(parseExpression(text));
    }
  }
  return { include, exclude };
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
  const equality = asked.operator === ":" || asked.operator === "==";
  if (Array.isArray(value)) {
    const whole = equality && [asked.value, withoutBrackets(asked.value)].includes(said(value));
    return whole || value.some((item) => holds(asked, name, item, isFact));
  }
  if (value === null || value === "") return equality && ["", "none", "null"].includes(asked.folded);
  return equality ? equalsValue(asked, name, value) : comparesValue(asked, name, value);
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
