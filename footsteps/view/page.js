// The page: its state, kept in the address, its views, its keys; and, where it is served, what is new.

const VIEWS = [["runs", "Runs"], ["curves", "Curves"], ["figures", "Figures"], ["compare", "Compare"]];
const KEYS = [
  ["/", "search"], ["j k", "next and previous run"], ["x", "tick the run"], ["c", "compare the ticked runs"],
  ["Enter", "look at the run"], ["r v f", "runs, curves, figures"], ["Esc", "leave the search, back to the runs"], ["?", "this help"],
];
const REFRESH = 2000; // ms between two questions to the server

let records = new Records(JSON.parse(document.getElementById("data").textContent));
let table = null;
let drawn = 0;

/** What is looked at, and how; all but the cursor is in the address. */
const state = { cursor: 0 };

function defaults() {
  return { view: "runs", words: records.document.query || "", query: { include: [[]], exclude: [] }, problem: "", sort: { column: "", down: false },
    group: "", folded: false, hidden: new Set(), shown: new Set(), ticked: new Set(), run: null, x: "step", log: false, smooth: 0, all: false };
}

/** Read the state from the address. */
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  Object.assign(state, defaults());
  state.view = given.get("view") || "runs";
  if (given.has("q")) state.words = given.get("q");
  const sort = given.get("sort") || "";
  state.sort = { column: sort.replace(/^-/, ""), down: sort.startsWith("-") };
  if (!Object.hasOwn(OWN, state.sort.column) && !records.columns.has(state.sort.column)) state.sort.column = "";
  state.group = given.get("group") || "";
  state.folded = given.has("folded");
  for (const [name, key] of [["hidden", "hide"], ["shown", "show"]]) state[name] = new Set(given.getAll(key));
  state.ticked = new Set(given.getAll("tick").map((key) => records.numbers.get(key)).filter((run) => run !== undefined));
  state.run = records.numbers.get(given.get("run")) ?? null;
  state.x = given.get("x") === "time" ? "time" : "step";
  state.log = given.has("log");
  state.smooth = Math.min(0.95, Math.max(0, Number(given.get("smooth")) || 0));
  state.all = given.has("all");
  readQuery();
}

/** Understand what was typed; while it can't be read, what was understood before stays. */
function readQuery() {
  try {
    state.query = parseQuery(state.words);
    state.problem = "";
  } catch (error) {
    state.problem = error.message;
  }
}

/** The address of the state with some changes, as a link's target. */
function addressOf(changes) {
  const { view, words, sort, group, folded: shut, hidden, shown, ticked, run, x, log, smooth: weight, all } = { ...state, ...changes };
  const out = new URLSearchParams({ view });
  if (words !== (records.document.query || "")) out.set("q", words);
  if (view === "run" && run !== null) out.set("run", records.document.keys[run]);
  if (sort.column) out.set("sort", (sort.down ? "-" : "") + sort.column);
  if (group) out.set("group", group);
  for (const [key, names] of [["hide", hidden], ["show", shown]]) for (const name of names) out.append(key, name);
  for (const each of [...ticked].sort((a, b) => a - b).slice(0, 200)) out.append("tick", records.document.keys[each]);
  const flags = { folded: shut, log, all };
  for (const [key, on] of Object.entries(flags)) if (on) out.set(key, "1");
  if (x !== "step") out.set("x", x);
  if (weight) out.set("smooth", weight);
  return "#" + out;
}

/** Draw again after a change of the state, and put it into the address without a step in the history. */
function changed() {
  history.replaceState(null, "", addressOf({}));
  render();
}

function toggle(run) {
  if (!state.ticked.delete(run)) state.ticked.add(run);
  changed();
}

// drawing

async function render() {
  const turn = ++drawn;
  const view = { curves: curvesView, figures: figuresView, compare: compareView, run: runView }[state.view];
  const content = view ? await view() : runsView();
  if (turn !== drawn) return;
  drawTabs();
  document.title = state.view === "run" && state.run !== null ? `${visible(records.document.keys[state.run])} \u2013 footsteps` : visible(records.document.title || "footsteps");
  const main = document.getElementById("main");
  const kept = { top: table?.box.scrollTop || 0, focus: document.activeElement?.id };
  main.className = view ? "" : "table";
  main.replaceChildren(content);
  if (!view) drawTable(kept.top);
  if (kept.focus && kept.focus !== document.activeElement?.id) document.getElementById(kept.focus)?.focus();
}

function drawTable(top) {
  table.box.scrollTop = top;
  table.draw();
  const ticked = state.ticked.size ? `, ${state.ticked.size} ticked` : "";
  document.getElementById("said").textContent = `${table.listed.length.toLocaleString("en")} of ${counted(records.count, "run")}${ticked}`;
}

function drawTabs() {
  const tabs = VIEWS.map(([view, words]) => {
    const count = view !== "runs" && state.ticked.size ? ` (${state.ticked.size})` : "";
    return h("a", { href: addressOf({ view }), "aria-current": state.view === view ? "page" : null }, words + count);
  });
  document.getElementById("tabs").replaceChildren(...tabs);
  document.getElementById("home").href = addressOf({ view: "runs" });
}

function runsView() {
  table = new Table();
  const search = h("input", { id: "search", type: "search", value: state.words, placeholder: "lr<=0.01 optimizer:sgd, or a word ( / )", "aria-label": "Search runs",
    spellcheck: "false", autocomplete: "off", oninput: (event) => { state.words = event.target.value; state.cursor = 0; readQuery(); laterChanged(); } });
  const groups = [["", "nothing"], ["folder", "group"], ["status", "status"], ["commit", "commit"], ["host", "host"],
    ...records.parameters().filter((id) => records.columns.get(id).of.length <= Math.max(20, records.count / 2)).map((id) => [id, id.slice(1)])];
  const controls = h("div", { class: "controls" }, search, choice("group by", state.group, groups, (value) => { state.group = value; changed(); }),
    state.group ? h("label", {}, h("input", { type: "checkbox", id: "folded", checked: state.folded, onchange: (event) => { state.folded = event.target.checked; changed(); } }), " groups only") : null, columnChoice(),
    state.ticked.size ? h("button", { type: "button", id: "untick", onclick: () => { state.ticked.clear(); changed(); } }, "untick all") : null);
  return h("div", { class: "runs-view" }, controls, h("p", { class: "problem", role: "alert" }, visible(state.problem)), table.box,
    table.listed.length ? null : nothing("No run matches. An expression is P:V, P<V, P>=V ... or a word; ? has examples."));
}

let waiting = 0;

/** Draw when typing pauses: the field keeps its place. */
function laterChanged() {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const { selectionStart, selectionEnd } = document.getElementById("search") || {};
    history.replaceState(null, "", addressOf({}));
    render().then(() => document.getElementById("search")?.setSelectionRange(selectionStart, selectionEnd));
  }, 120);
}

function columnChoice() {
  const { shown, all } = columnIds(table.listed);
  const boxes = all.filter((id) => id !== "name").map((id) => {
    const change = (event) => {
      state[event.target.checked ? "hidden" : "shown"].delete(id);
      state[event.target.checked ? "shown" : "hidden"].add(id);
      state.columnsOpen = true;
      changed();
    };
    return h("label", {}, h("input", { type: "checkbox", checked: shown.includes(id), onchange: change }), " ", visible(columnOf(id).label));
  });
  const more = all.length - shown.length;
  const open = Boolean(state.columnsOpen);
  return h("details", { id: "columns", open, ontoggle: (event) => { state.columnsOpen = event.target.open; } },
    h("summary", {}, `columns${more ? ` (${more} hidden)` : ""}`), h("div", { class: "menu" }, boxes));
}

/** The pictures that were put into the page, by run and path. */
function embeddedPictures() {
  embeddedPictures.known ??= JSON.parse(document.getElementById("pictures").textContent);
  return embeddedPictures.known;
}

function openDialog(words, content) {
  const dialog = document.getElementById("dialog");
  const close = h("button", { type: "button", onclick: () => dialog.close() }, "close");
  dialog.setAttribute("aria-label", words);
  dialog.replaceChildren(h("div", { class: "title" }, h("b", {}, words), close), content);
  dialog.showModal();
}

function openHelp() {
  const examples = [["lr<=0.01", "a number; also < > >= == :"], ["optimizer:sgd", "equal"], ["package.numpy<2", "a package's version"],
    ["status:failed", "name, status, started, duration, commit, branch, host ..."], ["unet", "a word anywhere in names and values"],
    ["'two words'", "quotes keep blanks"], ["-e status:failed", "what may not hold comes last"]];
  const rows = (pairs) => h("dl", { class: "keys" }, pairs.map(([key, words]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, words))));
  openDialog("Keys and search", h("div", { class: "help" }, h("div", {}, h("h2", {}, "Keys"), rows(KEYS)), h("div", {}, h("h2", {}, "Search"), rows(examples))));
}

// keys

const ACTIONS = {
  "/": () => { goTo("runs"); setTimeout(() => document.getElementById("search")?.focus()); },
  j: () => { if (state.view === "runs") table.moveTo(state.cursor + 1); },
  k: () => { if (state.view === "runs") table.moveTo(state.cursor - 1); },
  x: () => { const run = runAtCursor(); if (run !== undefined) toggle(run); },
  c: () => goTo("compare"),
  r: () => goTo("runs"),
  v: () => goTo("curves"),
  f: () => goTo("figures"),
  "?": openHelp,
};

function goTo(view) {
  if (state.view !== view) location.hash = addressOf({ view });
}

function runAtCursor() {
  if (state.view === "run") return state.run ?? undefined;
  return state.view === "runs" ? table.rows[state.cursor]?.run : undefined;
}

function pressed(event) {
  if (document.getElementById("dialog").open || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && !/^(checkbox|range)$/.test(event.target.type);
  if (event.key === "Escape") leave(event.target, typing);
  if (!typing) act(event);
}

function leave(target, typing) {
  if (target.id === "search") target.blur();
  else if (!typing) goTo("runs");
}

function act(event) {
  const run = runAtCursor();
  if (event.key === "Enter" && state.view === "runs" && run !== undefined && !/^(A|BUTTON|SUMMARY|INPUT)$/.test(event.target.tagName)) {
    location.hash = addressOf({ view: "run", run });
  } else if (Object.hasOwn(ACTIONS, event.key)) {
    event.preventDefault();
    ACTIONS[event.key]();
  }
}

// what is new, where the page is served

let version = records.document.version;

async function refresh() {
  try {
    const answer = await fetch(`data.json?since=${encodeURIComponent(version)}`, { cache: "no-store" });
    if (answer.status === 200) take(await answer.json());
    setTimeout(refresh, REFRESH);
  } catch {
    document.getElementById("said").textContent = "footsteps view --follow has ended";
  }
}

/** Show a newer document; what is ticked stays so. */
function take(document) {
  const address = addressOf({});
  version = document.version;
  records = new Records(document);
  history.replaceState(null, "", address);
  const { cursor, columnsOpen } = state;
  readAddress();
  Object.assign(state, { cursor, columnsOpen });
  render();
}

function begin() {
  readAddress();
  render();
  addEventListener("hashchange", () => { readAddress(); render(); });
  addEventListener("resize", () => { if (state.view === "runs") { table.first = -1; table.draw(); } });
  addEventListener("keydown", pressed);
  addEventListener("beforeprint", () => { if (state.view === "runs") table.draw(true); });
  addEventListener("afterprint", () => { if (state.view === "runs") table.draw(); });
  document.getElementById("help-button").addEventListener("click", openHelp);
  if (records.document.follow) setTimeout(refresh, REFRESH);
}

begin();
