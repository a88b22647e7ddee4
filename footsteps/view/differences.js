// Patches with colours, and the difference between the code of two runs as far as their records hold it.

const MOST_LINES = 4000; // of one patch on the screen

/** A patch, its lines coloured and marked by their first character. */
function patchView(words) {
  const lines = words.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const kinds = kindsOf(lines);
  const shown = lines.slice(0, MOST_LINES).map((line, n) => h("span", { class: kinds[n] }, visibleLines(line) + "\n"));
  const more = lines.length - MOST_LINES;
  return h("pre", { class: "patch", tabindex: 0, role: "region", "aria-label": "patch" }, shown, more > 0 ? `... ${counted(more, "more line")}` : null);
}

/** What each line of a patch is: meta (up to the first hunk of a file), hunk, added, removed or same. */
function kindsOf(lines) {
  let inside = false;
  return lines.map((line) => {
    if (line.startsWith("diff --git ")) inside = false;
    if (line.startsWith("@@")) inside = true;
    if (!inside) return "meta";
    return { "@": "hunk", "+": "added", "-": "removed" }[line[0]] || "same";
  });
}

/** The parts of a patch by path. */
function patchParts(words) {
  const parts = new Map();
  for (const each of (words || "").split(/^(?=diff --git )/m)) {
    const named = /^\+\+\+ b\/(.*)$/m.exec(each) || /^--- a\/(.*)$/m.exec(each) || /^diff --git a\/.* b\/(.*)$/m.exec(each);
    if (named) parts.set(named[1].replace(/\t$/, ""), each);
  }
  return parts;
}

/** A patch that leads the other way. */
function reversed(patch) {
  const lines = patch.split("\n");
  const kinds = kindsOf(lines);
  const turned = lines.map((line, n) => {
    if (kinds[n] === "added") return "-" + line.slice(1);
    if (kinds[n] === "removed") return "+" + line.slice(1);
    return kinds[n] === "hunk" ? line.replace(/^@@ -(\S+) \+(\S+) @@/, "@@ -$2 +$1 @@") : line;
  });
  return turned.filter((line, n) => kinds[n] !== "meta").join("\n");
}

/**
 * The steps from one list of lines to another (Myers), or null where they have too little in common.
 * @param {string[]} a
 * @param {string[]} b
 * @returns {?Array<[string, string]>} pairs of " ", "-" or "+" and the line
 */
function steps(a, b, limit = 1500) {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let end = 0;
  while (end < a.length - head && end < b.length - head && a.at(-1 - end) === b.at(-1 - end)) end++;
  const inner = shortest(a.slice(head, a.length - end), b.slice(head, b.length - end), limit);
  const same = (lines) => lines.map((line) => [" ", line]);
  return inner && [...same(a.slice(0, head)), ...inner, ...same(end ? a.slice(-end) : [])];
}

function shortest(a, b, limit) {
  const reached = new Map([[1, 0]]);
  const trace = [];
  for (let d = 0; d <= Math.min(limit, a.length + b.length); d++) {
    trace.push(new Map(reached));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && reached.get(k - 1) < reached.get(k + 1));
      let x = down ? reached.get(k + 1) : reached.get(k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reached.set(k, x);
      if (x >= a.length && x - k >= b.length) return walkedBack(a, b, trace);
    }
  }
  return null;
}

function walkedBack(a, b, trace) {
  let [x, y] = [a.length, b.length];
  const found = [];
  for (let d = trace.length - 1; d >= 0; d--) {
    const reached = trace[d];
    const k = x - y;
    const before = k === -d || (k !== d && reached.get(k - 1) < reached.get(k + 1)) ? k + 1 : k - 1;
    const fromX = reached.get(before);
    const fromY = fromX - before;
    while (x > fromX && y > fromY && x > 0 && y > 0) found.push([" ", a[--x], y--]);
    if (d > 0) found.push(x === fromX ? ["+", b[--y]] : ["-", a[--x]]);
  }
  return found.reverse().map(([mark, line]) => [mark, line]);
}

/** A patch between two texts, with three lines around each change. */
function unified(name, a, b) {
  const [left, right] = [a, b].map((words) => (words === "" ? [] : words.replace(/\n$/, "").split("\n")));
  const found = steps(left, right) || [...left.map((line) => ["-", line]), ...right.map((line) => ["+", line])];
  const out = [`--- ${name}`, `+++ ${name}`];
  const near = found.map((_, n) => found.slice(Math.max(0, n - 3), n + 4).some(([mark]) => mark !== " "));
  let [l, r] = [1, 1];
  found.forEach(([mark, line], n) => {
    if (near[n] && !near[n - 1]) out.push(`@@ -${l} +${r} @@`);
    if (near[n]) out.push(mark + line);
    l += mark !== "+";
    r += mark !== "-";
  });
  return out.join("\n");
}

/**
 * What differs between the code of two runs, as far as the page knows it.
 * @param {{about: Object, texts: ?Object}} a
 * @param {{about: Object, texts: ?Object}} b
 * @returns {Array<{title: string, note: string, patch: string}>}
 */
function codeDifferences(a, b) {
  const names = new Set([...a.about.repositories, ...b.about.repositories].map((each) => each.name));
  return [...names].flatMap((name) => {
    const [left, right] = [a, b].map(({ about }) => about.repositories.find((each) => each.name === name));
    return repositoryDifferences(name, left || { files: {} }, right || { files: {} }, a.texts || {}, b.texts || {});
  });
}

function repositoryDifferences(name, left, right, a, b) {
  const found = [];
  const same = left.commit === right.commit;
  if (!same) {
    const commits = [left, right].map((each) => (each.commit || "no commit").slice(0, 12)).join(" and ");
    found.push({ title: `${name}: commits ${commits}`, note: "what the two commits differ in is not in this page", patch: "" });
  }
  for (const path of new Set([...Object.keys(left.files), ...Object.keys(right.files)])) {
    const [one, other] = [left.files[path], right.files[path]];
    if (one && other && one[0] === other[0] && one[1] === other[1]) continue;
    found.push({ title: `${name}: ${path}`, ...fileDifference(name, path, one, other, a, b, same) });
  }
  return found;
}

function fileDifference(name, path, one, other, a, b, same) {
  const key = `${name}/${path}`;
  if (one && other) {
    const [left, right] = [contentOf(one, a, key), contentOf(other, b, key)];
    if (left === null || right === null) return { note: "differs; its content is not in this page", patch: "" };
    return { note: "", patch: unified(path, left, right) };
  }
  const found = changeOf(path, one || other, one ? a : b, key);
  const note = `changed in the ${one ? "first" : "second"} only${same ? "" : ", from its commit"}${found.note}`;
  return { note, patch: one ? reversed(found.patch) : found.patch };
}

/** The patch from a file's commit to the file as a run had it. */
function changeOf(path, file, texts, key) {
  const known = patchParts(texts.diff).get(path);
  if (known) return { note: "", patch: known };
  const content = contentOf(file, texts, key);
  if (content === null) return { note: "; its content is not in this page", patch: "" };
  if (file[2] !== "untracked") return { note: "; the commit's version is not in this page", patch: "" };
  return { note: "", patch: unified(path, "", content) };
}

/** The text of a file of a run's code, null where the page does not have it. */
function contentOf([, kind], texts, key) {
  return kind === "deleted" || kind === "absent" ? "" : (texts.code?.[key] ?? null);
}
