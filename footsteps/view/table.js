// The runs as a table: only the rows in sight are elements, however many there are.

const ROW = 26; // pixels; --row in page.css
const SPARE = 10; // rows above and below those in sight
const MOST_COLUMNS = 12; // parameters that are shown unasked
const PRINTED = 2000; // rows that are printed at most

const SIGNS = { finished: "\u2713", failed: "\u2717", died: "\u2020", interrupted: "!", exited: "\u2717", running: "\u25b6", unknown: "?" };

const COUNTERS = new Set(["step", "global_step", "epoch", "iteration", "iter", "batch"]); // as data.py's STEPS

const OWN = {
  name: { label: "name", show: (run) => visible(records.value("name", run)) },
  status: { label: "status", show: (run) => statusWords(run), cell: (run) => statusSign(run) },
  started: { label: "started", show: (run) => when(records.value("started", run)) },
  duration: { label: "took", right: true, show: (run) => span(records.value("duration", run)) },
  code: { label: "code", show: (run) => codeOf(run), sort: "code_id" },
  tag: { label: "tags", show: (run) => visible(said(records.value("tag", run))) },
};

function statusWords(run) {
  return said(records.value("status", run));
}

/** A status with its sign, so that it is not told by colour alone. */
function statusSign(run) {
  const status = statusWords(run);
  const bad = status === "exited" && records.value("exit_status", run) === 0 ? "finished" : status;
  return h("span", { class: `status ${Object.hasOwn(SIGNS, bad) ? bad : "unknown"}` },
    h("span", { "aria-hidden": "true" }, (SIGNS[bad] || "?") + " "), visible(status));
}

/** The commit's beginning, with + where the code differed from it; of older formats what there is. */
function codeOf(run) {
  const commit = said(records.value("commit", run)) || said(records.value("code_id", run));
  return visible(commit.slice(0, 8)) + (records.value("changed", run) ? "+" : "");
}

/** Label, right or left, and what is shown and compared of a column. */
function columnOf(id) {
  if (Object.hasOwn(OWN, id)) return { id, sort: id, ...OWN[id] };
  const column = records.columns.get(id);
  const numeric = column.of.every((value) => value === null || typeof value === "number" || Boolean(value?.n));
  return { id, sort: id, label: column.name, right: numeric, kind: column.kind, show: (run) => brief(records.value(id, run)) };
}

/** The columns in their order: what was asked for, results, then arguments, each where the listed runs differ. */
function columnIds(listed) {
  const names = records.parameters();
  const asked = state.query.include.flat().filter((each) => each.operator).flatMap((each) => names.filter((id) => concerns(each, id.slice(1))));
  const varying = records.varying(listed.length > 1 ? listed : [...Array(records.count).keys()]);
  const worth = (listed.length > 1 ? varying : names).filter((id) => isWorth(id, listed));
  const results = worth.filter((id) => records.columns.get(id).kind === "result");
  const automatic = [...new Set([...asked, ...results, ...worth])].slice(0, MOST_COLUMNS);
  const own = Object.keys(OWN).filter((id) => id !== "tag" || records.columns.get("tag")?.of.some((value) => said(value)));
  const shown = [...own, ...automatic].filter((id) => !state.hidden.has(id));
  const added = [...state.shown].filter((id) => records.columns.has(id) && !shown.includes(id));
  return { shown: [...shown, ...added], all: [...own, ...names] };
}

/** Whether a parameter is worth a column unasked: short, no counter, and not the run's name again. */
function isWorth(id, runs) {
  const { of, name } = records.columns.get(id);
  if (COUNTERS.has(name) || of.slice(0, 20).some((value) => said(value).length > 60)) return false;
  return runs.slice(0, 20).some((run) => ![undefined, records.value("name", run)].includes(records.value(id, run)));
}

/** The runs that the query finds, sorted. */
function listedRuns() {
  const found = records.matching(state.query);
  const { column, down } = state.sort;
  if (!column) return found;
  const id = Object.hasOwn(OWN, column) ? columnOf(column).sort : column;
  const keyed = found.map((run) => [sortKey(records.value(id, run)), run]);
  keyed.sort(([a], [b]) => compareSorted(a, b, down ? -1 : 1));
  return keyed.map(([, run]) => run);
}

function sortKey(value) {
  if (value === undefined || value === null || value === "") return null;
  const number = typeof value === "string" ? null : asNumber(value);
  return number === null || Number.isNaN(number) ? said(value) : number;
}

function compareSorted(a, b, direction) {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1; // what has no value comes last
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return typeof a === "number" ? direction * (a - b) : direction * a.localeCompare(b, "en", { numeric: true });
}

/** Rows of the table: runs, and before each group a heading with its runs. */
function rowsOf(listed) {
  if (!state.group || (!records.columns.has(state.group) && state.group !== "folder")) return listed.map((run) => ({ run }));
  const groups = new Map();
  for (const run of listed) {
    const key = state.group === "folder" ? folderOf(run) : said(records.value(state.group, run));
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(run);
  }
  const label = state.group.replace(/^=/, "");
  return [...groups].flatMap(([key, runs]) => [{ label, key, runs }, ...(state.folded ? [] : runs.map((run) => ({ run })))]);
}

function folderOf(run) {
  const name = said(records.value("name", run));
  return name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : "(no group)";
}

/** Mean and standard deviation of a column over runs, "" where it is not of numbers. */
function spread(column, runs) {
  if (!column.right) return "";
  const values = runs.map((run) => asNumber(records.value(column.sort, run) ?? "")).filter((value) => Number.isFinite(value));
  if (!values.length) return "";
  const mean = values.reduce((a, b) => a + b) / values.length;
  const show = column.id === "duration" ? span : brief;
  if (values.length < 2) return show(mean);
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
  if (column.id === "duration") return `${span(mean)} \u00b1 ${span(deviation)}`;
  const digits = deviation ? Math.min(12, Math.max(0, 1 - Math.floor(Math.log10(deviation)))) : 4;
  return `${Number(mean.toFixed(digits))} \u00b1 ${Number(deviation.toPrecision(2))}`;
}

/** The table of runs. */
class Table {
  constructor() {
    this.listed = listedRuns();
    this.rows = rowsOf(this.listed);
    this.columns = columnIds(this.listed).shown.map(columnOf);
    this.body = h("tbody");
    this.box = h("div", { id: "box", tabindex: 0, role: "region", "aria-label": "Table of runs", onscroll: () => this.draw() }, this.table());
  }

  table() {
    const widths = this.columns.map((column) => this.widthOf(column));
    const columns = [h("col"), ...this.columns.map(() => h("col"))];
    columns.forEach((column, n) => { column.style.width = n ? `${widths[n - 1]}ch` : "30px"; });
    const table = h("table", { class: "runs", "aria-rowcount": this.rows.length + 1 },
      h("colgroup", {}, columns), h("thead", {}, h("tr", {}, this.tickAll(), this.columns.map((column) => this.heading(column)))), this.body);
    table.style.width = `calc(30px + ${widths.reduce((a, b) => a + b, 0)}ch)`;
    return table;
  }

  widthOf(column) {
    const step = Math.max(1, Math.floor(this.listed.length / 200));
    let widest = column.label.length + 2;
    for (let n = 0; n < this.listed.length; n += step) widest = Math.max(widest, column.show(this.listed[n]).length + (column.id === "status" ? 2 : 0));
    if (state.group && column.right) widest = Math.max(widest, 15);
    return Math.min(widest, column.id === "name" ? 36 : 26) + 2.5;
  }

  tickAll() {
    const all = this.listed.length > 0 && this.listed.every((run) => state.ticked.has(run));
    const tick = () => {
      for (const run of this.listed) if (all) state.ticked.delete(run); else state.ticked.add(run);
      changed();
    };
    return h("th", { scope: "col" }, h("input", { type: "checkbox", checked: all, "aria-label": "Tick all listed runs", onchange: tick }));
  }

  heading(column) {
    const { column: sorted, down } = state.sort;
    const mine = sorted === column.id;
    const sort = () => {
      state.sort = mine && down ? { column: "", down: false } : { column: column.id, down: mine };
      changed();
    };
    const order = mine ? (down ? "descending" : "ascending") : "none";
    return h("th", { scope: "col", class: column.right ? "number" : "", "aria-sort": order, title: visible(column.label) },
      h("button", { type: "button", onclick: sort }, visible(column.label), h("span", { "aria-hidden": "true" }, mine ? (down ? " \u25be" : " \u25b4") : "")));
  }

  /** Make the rows in sight; all: every row, for print. */
  draw(all = false) {
    const height = this.box.clientHeight || 600;
    const first = all ? 0 : Math.max(0, Math.floor(this.box.scrollTop / ROW) - SPARE);
    const last = all ? Math.min(this.rows.length, PRINTED) : Math.min(this.rows.length, first + Math.ceil(height / ROW) + 2 * SPARE);
    if (!all && first === this.first && last === this.last) return;
    Object.assign(this, { first, last: all ? -1 : last });
    const rows = this.rows.slice(first, last).map((row, n) => (row.runs ? this.groupRow(row, first + n) : this.runRow(row.run, first + n)));
    this.body.replaceChildren(this.space(first), ...rows, this.space(this.rows.length - last));
  }

  space(count) {
    const row = h("tr", { "aria-hidden": "true", class: "space" }, h("td", { colspan: this.columns.length + 1 }));
    row.style.height = `${count * ROW}px`;
    return row;
  }

  groupRow({ label, key, runs }, place) {
    const [, ...columns] = this.columns;
    return h("tr", { class: "group", "aria-rowindex": place + 2 }, h("td"),
      h("th", { scope: "row", title: visible(`${label} ${key}`) }, `${visible(label)} = ${visible(key) || "\u2013"} (${runs.length})`),
      columns.map((column) => h("td", { class: column.right ? "number" : "" }, spread(column, runs))));
  }

  runRow(run, place) {
    const name = visible(records.document.keys[run]);
    const here = place === state.cursor;
    const tick = h("input", { type: "checkbox", checked: state.ticked.has(run), "aria-label": `Tick ${name}`, onchange: () => toggle(run) });
    return h("tr", { class: here ? "here" : "", "aria-rowindex": place + 2, "data-run": run, "aria-current": here ? "true" : null },
      h("td", {}, tick), this.columns.map((column) => this.cell(column, run)));
  }

  cell(column, run) {
    const words = column.show(run);
    if (column.id === "name") return h("th", { scope: "row", title: words }, h("a", { href: addressOf({ view: "run", run }) }, words));
    return h("td", { class: column.right ? "number" : "", title: words.length > 20 ? words : null }, column.cell ? column.cell(run) : words);
  }

  /** Put the cursor on a row and show it. */
  moveTo(place) {
    state.cursor = Math.max(0, Math.min(this.rows.length - 1, place));
    const above = state.cursor * ROW;
    const seen = this.box.clientHeight - 2 * ROW;
    if (above < this.box.scrollTop) this.box.scrollTop = above;
    if (above > this.box.scrollTop + seen) this.box.scrollTop = above - seen;
    this.first = -1;
    this.draw();
  }
}
