// The chain of a run: what it read and who made that, down to raw data; and who read what it made.

const BOX = { width: 190, height: 40, gapX: 56, gapY: 14, most: 12 }; // most: raw inputs drawn of one run

/** The links from a run to earlier ones. */
function linksFrom(run) {
  return records.document.links.filter(([from]) => from === run).map(([, to, path, how]) => ({ to, path, how }));
}

function linksTo(run) {
  return records.document.links.filter(([, to]) => to === run).map(([from, , path, how]) => ({ to: from, path, how }));
}

/** Whether a run has a chain: it reads, or is read by, another one. */
function chainOf(run) {
  return records.document.links.some(([from, to]) => from === run || to === run);
}

/** Each run that leads to one, with how many steps before it; circles end where they began. */
function levelsOf(run) {
  const levels = new Map([[run, 0]]);
  let frontier = [run];
  for (let level = 1; frontier.length && level < 50; level++) {
    const next = new Set(frontier.flatMap((each) => linksFrom(each).map(({ to }) => to)));
    frontier = [...next].filter((each) => !levels.has(each));
    for (const each of frontier) levels.set(each, level);
  }
  for (const { to } of linksTo(run)) if (!levels.has(to)) levels.set(to, -1);
  return levels;
}

/** The drawn chain of a run, earliest at the left; a box leads to its run. */
function graph(run) {
  const holder = h("div", { class: "wide graph", tabindex: 0, role: "region", "aria-label": "chain of runs" });
  chainNodes(run).then((nodes) => {
    holder.append(drawing(run, nodes));
    requestAnimationFrame(() => { holder.scrollLeft = holder.scrollWidth; }); // the run is at the right
  });
  return holder;
}

async function chainNodes(run) {
  const levels = levelsOf(run);
  const runs = [...levels.keys()].slice(0, 200);
  const abouts = await records.parts("about", runs);
  const deepest = Math.max(...levels.values());
  const nodes = new Map(runs.map((each) => [`run ${each}`, { run: each, level: levels.get(each), words: records.document.keys[each], edges: [] }]));
  for (const each of runs) {
    const node = nodes.get(`run ${each}`);
    for (const link of linksFrom(each)) if (nodes.has(`run ${link.to}`)) node.edges.push({ ...link, to: `run ${link.to}` });
  }
  runs.forEach((each, n) => { if (levels.get(each) >= 0) addData(nodes, each, abouts[n], deepest); });
  return nodes;
}

function addData(nodes, run, about, deepest) {
  const node = nodes.get(`run ${run}`);
  const made = (path) => node.edges.some((edge) => edge.path && path.endsWith("/" + edge.path));
  const raw = about.inputs.filter(([path]) => !made(path));
  for (const [path, , hash] of raw.slice(0, BOX.most)) {
    const key = `file ${hash || path}`;
    if (!nodes.has(key)) nodes.set(key, { run: null, level: deepest + 1, words: path.split(/[\\/]/).at(-1), title: path, edges: [] });
    node.edges.push({ to: key, path: "", how: "content" });
  }
  if (raw.length > BOX.most) nodes.set(`more ${run}`, { run: null, level: deepest + 1, words: `${raw.length - BOX.most} more files`, edges: [] });
}

function drawing(run, nodes) {
  const columns = new Map();
  for (const node of nodes.values()) columns.set(node.level, [...(columns.get(node.level) || []), node]);
  const levels = [...columns.keys()].sort((a, b) => b - a); // raw data at the left
  const tallest = Math.max(...[...columns.values()].map((each) => each.length));
  const height = tallest * (BOX.height + BOX.gapY);
  levels.forEach((level, column) => placeColumn(columns.get(level), column, height));
  const width = levels.length * (BOX.width + BOX.gapX) - BOX.gapX;
  const edges = [...nodes.values()].flatMap((node) => node.edges.map((edge) => edgeOf(nodes.get(edge.to), node, edge)));
  const svg = draw("svg", { viewBox: `-2 -2 ${width + 4} ${height + 4}`, width: width + 4, height: height + 4, role: "group", "aria-label": "chain" },
    edges, [...nodes.values()].map((node) => boxOf(node, run)));
  return svg;
}

function placeColumn(nodes, column, height) {
  const taken = nodes.length * (BOX.height + BOX.gapY) - BOX.gapY;
  nodes.forEach((node, n) => {
    node.x = column * (BOX.width + BOX.gapX);
    node.y = (height - taken) / 2 + n * (BOX.height + BOX.gapY);
  });
}

/** A line from what was read to who read it; dashed where it is not known by content. */
function edgeOf(from, to, edge) {
  const [x1, y1] = [from.x + BOX.width, from.y + BOX.height / 2];
  const [x2, y2] = [to.x, to.y + BOX.height / 2];
  const bend = Math.max(20, (x2 - x1) / 2);
  const words = { content: `read ${edge.path}`, path: `read ${edge.path} (known by its path only)`, start: "started by" }[edge.how];
  return draw("path", { class: "edge", d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, "stroke-dasharray": edge.how === "content" ? null : "4 3" },
    draw("title", {}, visible(words)));
}

function boxOf(node, run) {
  const words = visible(node.words);
  const short = words.length > 27 ? words.slice(0, 13) + "\u2026" + words.slice(-13) : words;
  const kind = node.run === null ? "data" : node.run === run ? "own" : "other";
  const box = draw("g", { class: `node ${kind}` },
    draw("rect", { x: node.x, y: node.y, width: BOX.width, height: BOX.height, rx: node.run === null ? 18 : 4 }),
    draw("text", { x: node.x + 10, y: node.y + (node.run === null ? 24 : 17) }, short),
    node.run === null ? null : draw("text", { x: node.x + 10, y: node.y + 32, class: "unit" }, `${visible(statusWords(node.run))}  ${OWN.started.show(node.run)}`),
    draw("title", {}, visible(node.title || node.words)));
  return node.run === null ? box : draw("a", { href: addressOf({ view: "run", run: node.run }), "aria-label": words }, box);
}
