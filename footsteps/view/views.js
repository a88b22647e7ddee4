// The views on ticked runs (curves, figures, compare) and on one run.

const UNASKED = { curves: 6, figures: 5, compare: 2 }; // runs shown where none is ticked

/** The ticked runs in the order of the table, or its first ones, with a word about it. */
function chosenRuns(view) {
  const ticked = [...state.ticked].sort((a, b) => a - b);
  if (ticked.length) return { runs: ticked, note: null };
  const runs = listedRuns().slice(0, UNASKED[view]);
  const first = runs.length === 1 ? "the only run of the table" : `the first ${runs.length} runs of the table`;
  return { runs, note: runs.length ? h("p", { class: "note" }, `No run is ticked: ${first} ${runs.length === 1 ? "is" : "are"} shown.`) : nothing("No run matches the search.") };
}

function nothing(words) {
  return h("p", { class: "note" }, words);
}

/** A name for each of some runs: its own, and the arguments in which they differ. */
function labelsOf(runs) {
  const names = records.varying(runs).filter((id) => records.columns.get(id).kind === "argument" && isWorth(id, runs)).slice(0, 4);
  return runs.map((run) => {
    const differing = names.map((id) => [id, records.value(id, run)]).filter(([, value]) => value !== undefined);
    return [records.document.keys[run], ...differing.map(([id, value]) => `${id.slice(1)}=${brief(value)}`)].join("  ");
  });
}

function runLink(run) {
  return h("a", { href: addressOf({ view: "run", run }) }, visible(records.document.keys[run]));
}

// curves

async function curvesView() {
  const { runs, note } = chosenRuns("curves");
  const series = await records.parts("series", runs);
  const labels = labelsOf(runs);
  const names = [...new Set(series.flatMap((each) => Object.keys(each || {})))];
  const shown = names.slice(0, 60);
  const how = { log: state.log, smooth: state.smooth, xLabel: state.x };
  const charts = shown.map((name) => chart(name, linesOf(name, series, labels), { ...how, xLabel: xLabelOf(name, series) }));
  return h("div", { class: "view" }, note, leftOut(series), names.length ? curveControls() : null, names.length ? legend(runs, labels) : null,
    names.length ? h("div", { class: "charts" }, charts) : nothing("These runs recorded no series: footsteps.record(step=n, loss=value) makes one."),
    names.length > shown.length ? nothing(`${names.length - shown.length} more series are not shown.`) : null);
}

function linesOf(name, series, labels) {
  return series.map((each, place) => ({ each: each?.[name], place })).filter(({ each }) => each)
    .map(({ each, place }) => ({ label: labels[place], place, x: state.x === "time" ? each.t : each.x, y: each.y }));
}

function xLabelOf(name, series) {
  if (state.x === "time") return "seconds";
  return series.some((each) => each?.[name]?.counted) ? "count" : "step";
}

function legend(runs, labels) {
  return h("ul", { class: "legend" }, runs.map((run, place) => h("li", {}, swatch(place), h("a", { href: addressOf({ view: "run", run }) }, visible(labels[place])))));
}

function curveControls() {
  const change = (name, value) => { state[name] = value; changed(); };
  const range = h("input", { type: "range", min: 0, max: 0.95, step: 0.05, value: state.smooth, id: "smooth", onchange: (event) => change("smooth", Number(event.target.value)) });
  return h("div", { class: "controls" },
    choice("over", state.x, [["step", "step"], ["time", "time"]], (value) => change("x", value)),
    h("label", {}, h("input", { type: "checkbox", id: "log", checked: state.log, onchange: (event) => change("log", event.target.checked) }), " log scale"),
    h("label", { for: "smooth" }, "smoothing "), range, h("output", {}, String(state.smooth)));
}

/** A labelled list to choose from. */
function choice(label, value, options, change) {
  const select = h("select", { "aria-label": label, onchange: (event) => change(event.target.value) },
    options.map(([id, words]) => h("option", { value: id, selected: id === value }, visible(words))));
  return h("label", {}, label + " ", select);
}

function leftOut(parts) {
  const missing = parts.filter((part) => part === null).length;
  if (!missing) return null;
  return nothing(`Of ${counted(missing, "run")} this is left out to keep the page small: footsteps view RUN makes a page that has it.`);
}

// figures

async function figuresView() {
  const { runs, note } = chosenRuns("figures");
  const [abouts, texts] = await Promise.all([records.parts("about", runs), records.parts("texts", runs)]);
  const labels = labelsOf(runs);
  const figures = byName(abouts.map(picturesOf));
  const previews = byName(texts.map((each) => Object.keys(each?.previews || {})));
  const rows = [...figures].map(([path, having]) => gallery(path, having, (n) => pictureOf(runs[n], abouts[n], path), labels));
  rows.push(...[...previews].map(([path, having]) => gallery(path, having, (n) => previewOf(path, texts[n].previews[path]), labels)));
  return h("div", { class: "view" }, note, leftOut(texts), rows.length ? rows : nothing("These runs made no pictures, text, CSV or JSON files that are still there."));
}

/** The numbers of the lists that hold each name. */
function byName(lists) {
  const found = new Map();
  lists.forEach((names, n) => names.forEach((name) => found.set(name, [...(found.get(name) || []), n])));
  return new Map([...found].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true })));
}

function gallery(path, having, make, labels) {
  return h("section", { class: "gallery" }, h("h2", {}, visible(path)),
    h("div", { class: "row", tabindex: 0, role: "region", "aria-label": visible(path) }, having.map((n) => h("figure", {}, make(n), h("figcaption", {}, visible(labels[n]))))));
}

/** A picture that a click makes large. A drawing (SVG) is an image here, whose scripts never run. */
function pictureOf(run, about, path) {
  const source = embeddedPictures()[`${run}/${path}`] || urlOf(about, path);
  const words = visible(`${path} of ${records.document.keys[run]}`);
  const image = () => h("img", { src: source, alt: words, loading: "lazy", onerror: (event) => event.target.replaceWith(h("span", { class: "note" }, "the picture is not with this page")) });
  return h("button", { type: "button", class: "picture", "aria-label": `${words}, larger`, onclick: () => openDialog(words, image()) }, image());
}

function previewOf(path, words) {
  if (/\.[ct]sv$/i.test(path)) return csvView(words, /\.tsv$/i.test(path) ? "\t" : ",");
  const json = /\.json$/i.test(path) ? indented(words) : words;
  return h("pre", { class: "preview", tabindex: 0, role: "region", "aria-label": visible(path) }, visibleLines(json));
}

function indented(words) {
  try {
    return JSON.stringify(JSON.parse(words), null, 1);
  } catch {
    return words; // its beginning only, or no JSON
  }
}

function csvView(words, separator) {
  const rows = words.split(/\r?\n/).filter(Boolean).slice(0, 12).map((line) => cellsOf(line, separator).slice(0, 12));
  return h("div", { class: "preview", tabindex: 0, role: "region", "aria-label": "first rows" }, h("table", { class: "csv" }, h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell) => h("td", {}, visible(cell))))))));
}

function cellsOf(line, separator) {
  const found = line.match(separator === "\t" ? /[^\t]*(\t|$)/g : /("([^"]|"")*"|[^,]*)(,|$)/g) || [];
  return found.slice(0, line.endsWith(separator) ? undefined : -1).map((cell) => cell.replace(/[,\t]$/, "").replace(/^"(.*)"$/, "$1").replaceAll('""', '"'));
}

// compare

async function compareView() {
  const { runs, note } = chosenRuns("compare");
  if (runs.length < 2) return h("div", { class: "view" }, note, nothing("Tick two runs or more in the table (x), then compare them (c)."));
  const [abouts, texts] = await Promise.all([records.parts("about", runs), records.parts("texts", runs)]);
  const head = h("tr", {}, h("th", { scope: "col" }, "name"), runs.map((run) => h("th", { scope: "col" }, runLink(run))));
  const groups = comparedGroups(runs, abouts).map(([title, rows]) => comparedGroup(title, rows, runs.length));
  const all = h("label", {}, h("input", { type: "checkbox", checked: state.all, onchange: (event) => { state.all = event.target.checked; changed(); } }), " also what is the same");
  const differ = groups.some(Boolean);
  return h("div", { class: "view" }, note, h("div", { class: "controls" }, all),
    differ ? h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "What differs" }, h("table", { class: "compare" }, h("thead", {}, head), groups)) : nothing("Arguments, results, packages and machine are the same."),
    h("h2", {}, "Code"), codeView(runs, abouts, texts));
}

/** Titles, and for each rows of a name and the values of the runs. */
function comparedGroups(runs, abouts) {
  const columns = records.parameters().map((id) => records.columns.get(id));
  const of = (kind) => columns.filter((each) => each.kind === kind)
    .map((each) => [each.name, briefTogether(runs.map((run) => (each.places[run] < 0 ? "" : each.of[each.places[run]])))]);
  const facts = (names) => names.map((name) => [name, runs.map((run) => said(records.value(name, run)))]);
  const sets = runs.map((run) => records.packages(run));
  const packages = [...new Set(sets.flatMap((set) => Object.keys(set)))].sort().map((name) => [name, sets.map((set) => set[name] ?? "")]);
  const files = byName(abouts.map((about) => about.files.filter(([, , , , own]) => !own).map(([path]) => path)));
  const artifacts = [...files.keys()].map((path) => [path, abouts.map((about) => artifactWords(about, path))]);
  return [["arguments", of("argument")], ["results", of("result")], ["outcome", facts(["status", "exit_status", "exception"])],
    ["code", facts(["commit", "branch", "changed", "code_id"])], ["packages", packages], ["artifacts", artifacts],
    ["machine", facts(["host", "user", "python", "system"])], ["command", facts(["command", "cwd"])]];
}

function artifactWords(about, path) {
  const file = about.files.find(([name]) => name === path);
  return file ? file[2].slice(0, 12) || bytes(file[1]) : "";
}

function comparedGroup(title, rows, count) {
  const shown = rows.filter(([, values]) => (state.all ? values.some(Boolean) : new Set(values).size > 1));
  if (!shown.length) return null;
  return h("tbody", {}, h("tr", { class: "title" }, h("th", { colspan: count + 1, scope: "rowgroup" }, title)),
    shown.map(([name, values]) => h("tr", { class: new Set(values).size > 1 ? "differs" : "" }, h("th", { scope: "row" }, visible(name)), values.map((value) => h("td", {}, visible(value) || "\u2013")))));
}

/** The code of the first run against that of each other one. */
function codeView(runs, abouts, texts) {
  return runs.slice(1).map((run, n) => {
    const found = codeDifferences({ about: abouts[0], texts: texts[0] }, { about: abouts[n + 1], texts: texts[n + 1] });
    const same = records.value("code_id", run) && records.value("code_id", run) === records.value("code_id", runs[0]);
    const title = h("h3", {}, "from ", runLink(runs[0]), " to ", runLink(run));
    if (!found.length) return h("section", {}, title, nothing(same ? "The code is the same." : "The records tell of no difference."));
    const commits = found.some((each) => each.title.includes(": commits "));
    const command = `footsteps diff ${[runs[0], run].map((each) => shellQuoted(said(records.value("name", each)))).join(" ")}`;
    return h("section", {}, title, found.map((each) => [h("h4", {}, visible(each.title)), each.note ? nothing(each.note) : null, each.patch ? patchView(each.patch) : null]),
      commits ? h("p", { class: "note" }, "all of it: ", h("code", {}, visible(command))) : null);
  });
}

function shellQuoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

// one run

async function runView() {
  const run = state.run;
  if (run === null) return h("div", { class: "view" }, nothing("This page has no such run."));
  const [about, series, texts] = await Promise.all(["about", "series", "texts"].map((kind) => records.part(kind, run)));
  const tick = h("label", {}, h("input", { type: "checkbox", checked: state.ticked.has(run), onchange: () => toggle(run) }), " ticked");
  const places = picturesOf(about);
  return h("div", { class: "view run" },
    h("div", { class: "title" }, h("h2", {}, visible(records.document.keys[run])), statusSign(run), h("span", {}, OWN.started.show(run)), h("span", {}, OWN.duration.show(run)), tick),
    section("chain", chainOf(run) && graph(run)),
    section("curves", series && Object.keys(series).length ? runCurves(series) : null),
    section("figures", places.length ? h("div", { class: "row", tabindex: 0, role: "region", "aria-label": "figures" }, places.map((path) => h("figure", {}, pictureOf(run, about, path), h("figcaption", {}, linkTo(about, path))))) : null),
    h("div", { class: "sections" }, about.sections.map(([title, pairs]) => section(title || "run", pairsView(pairs)))),
    section("artifacts", filesView(about, about.files.filter((file) => !file[4]), about.more[0])),
    section("inputs", inputsView(run, about)),
    section("code that differed from the commit", texts?.diff ? patchView(texts.diff) : null),
    Object.entries(texts?.code || {}).length ? section("files of the code that the record keeps", Object.entries(texts.code).map(([path, words]) => codeFile(path, words))) : null,
    section("console", texts?.console ? h("pre", { class: "console", tabindex: 0, role: "region", "aria-label": "console" }, visibleLines(texts.console)) : null),
    Object.keys(texts?.previews || {}).length ? section("text files", Object.entries(texts.previews).map(([path, words]) => h("details", {}, h("summary", {}, visible(path)), previewOf(path, words)))) : null,
    section("packages", packagesView(records.packages(run))),
    section("files of the record", filesView(about, about.files.filter((file) => file[4]), 0)),
    leftOut([series, texts].filter((each) => each === null).slice(0, 1)));
}

function section(title, content) {
  return content ? h("section", { class: "part" }, h("h3", {}, visible(title)), content) : null;
}

function codeFile(title, words) {
  return h("details", {}, h("summary", {}, visible(title)), h("pre", { class: "preview", tabindex: 0, role: "region", "aria-label": visible(title) }, visibleLines(words)));
}

function runCurves(series) {
  const charts = Object.entries(series).slice(0, 24).map(([name, each]) => {
    const [last, least, greatest] = [each.last, each.least, each.greatest].map((value) => brief(value ?? NaN));
    const note = `last ${last}, least ${least}, greatest ${greatest} of ${each.n}`;
    return chart(name, [{ label: name, place: 0, x: each.x, y: each.y }], { log: false, smooth: 0, note, xLabel: each.counted ? "count" : "step" });
  });
  return h("div", { class: "charts" }, charts);
}

function pairsView(pairs) {
  return h("dl", {}, pairs.map(([key, value]) => h("div", {}, h("dt", {}, visible(key)), h("dd", {}, visible(value)))));
}

function filesView(about, files, more) {
  if (!files.length) return null;
  const rows = files.map(([path, size, hash, there]) => h("tr", {}, h("td", {}, linkTo(about, path)), h("td", { class: "number" }, bytes(size)), h("td", {}, h("code", {}, visible(hash.slice(0, 12)))), h("td", {}, there ? "" : "not there now")));
  return h("table", { class: "files" }, h("tbody", {}, rows, more ? h("tr", {}, h("td", { colspan: 4 }, `and ${more} more`)) : null));
}

function inputsView(run, about) {
  if (!about.inputs.length) return null;
  const rows = about.inputs.map(([path, size, hash, count]) => h("tr", {}, h("td", {}, visible(path), madeBy(run, path)), h("td", { class: "number" }, count ? counted(count, "file") : bytes(size)), h("td", {}, h("code", {}, visible(hash.slice(0, 12))))));
  return h("table", { class: "files" }, h("tbody", {}, rows, about.more[1] ? h("tr", {}, h("td", { colspan: 3 }, `and ${about.more[1]} more`)) : null));
}

function madeBy(run, path) {
  const link = linksFrom(run).find((each) => each.path && path.endsWith("/" + each.path));
  return link ? [" made by ", runLink(link.to)] : null;
}

function packagesView(packages) {
  const names = Object.keys(packages).sort();
  if (!names.length) return null;
  return h("details", {}, h("summary", {}, counted(names.length, "package")), h("p", { class: "packages" }, names.map((name) => [h("span", {}, `${visible(name)} ${visible(packages[name])}`), " "])));
}
