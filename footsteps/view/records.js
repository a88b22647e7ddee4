// The data of the page: columns of the index, and chunks that are unpacked when a run is looked at.

/** The runs of the page. Made from the document that data.py describes. */
class Records {
  /** @param {Object} document */
  constructor(document) {
    this.document = document;
    this.count = document.count;
    this.columns = new Map();
    this.unpacked = new Map();
    for (const set of document.packages.of) Object.setPrototypeOf(set, null);
    for (const column of document.columns) this.addColumn(column);
    this.numbers = new Map(document.keys.map((key, number) => [key, number]));
  }

  /** An argument or a recorded value may have the name of a fact: its column has "=" before it. */
  addColumn({ name, kind, of, at, rows }) {
    const places = rows ? new Int32Array(this.count).fill(-1) : Int32Array.from(at);
    if (rows) rows.forEach((row, n) => { places[row] = at[n]; });
    this.columns.set(kind === "fact" ? name : "=" + name, { name, kind, of, places });
  }

  /** The value of a column for a run, undefined where it has none. */
  value(column, run) {
    const found = this.columns.get(column);
    return found && found.places[run] >= 0 ? found.of[found.places[run]] : undefined;
  }

  /** The names of the columns of arguments and recorded values. */
  parameters() {
    return [...this.columns.keys()].filter((name) => name.startsWith("="));
  }

  /** Those whose values are not the same in all of some runs. */
  varying(runs) {
    return this.parameters().filter((name) => {
      const { places } = this.columns.get(name);
      return runs.some((run) => places[run] !== places[runs[0]]);
    });
  }

  /**
   * The runs for which all of one of the alternatives and none of `exclude` hold.
   * @param {{include: Expression[][], exclude: Expression[]}} query
   * @returns {number[]}
   */
  matching({ include, exclude }) {
    const wanted = include.map((all) => all.map((each) => this.fulfilling(each)));
    const unwanted = exclude.map((each) => this.fulfilling(each));
    const all = Array.from({ length: this.count }, (_, run) => run);
    const isWanted = (run) => wanted.some((sets) => sets.every((set) => set[run]));
    return all.filter((run) => isWanted(run) && !unwanted.some((set) => set[run]));
  }

  /** Which runs an expression holds for; each distinct value is asked once. */
  fulfilling(asked) {
    const found = new Uint8Array(this.count);
    for (const { name, kind, of, places } of this.columns.values()) {
      if (!concerns(asked, name)) continue;
      const verdicts = of.map((value) => holds(asked, name, value, kind === "fact"));
      if (verdicts.some(Boolean)) places.forEach((place, run) => { if (place >= 0 && verdicts[place]) found[run] = 1; });
    }
    if (asked.name.startsWith(PACKAGE)) this.addPackages(asked, found);
    return found;
  }

  addPackages(asked, found) {
    const { of, at } = this.document.packages;
    const verdicts = of.map((set) => Object.entries(set).some(
      ([name, version]) => concerns(asked, PACKAGE + name) && holds(asked, PACKAGE + name, version, false)));
    at.forEach((set, run) => { if (verdicts[set]) found[run] = 1; });
  }

  /** The packages of a run: version by name. */
  packages(run) {
    const { of, at } = this.document.packages;
    return of[at[run]];
  }

  /**
   * What the page knows of a run of one kind ("about", "series", "texts").
   * @returns {Promise<?Object>} null where it was left out to keep the page small
   */
  async part(kind, run) {
    const place = Math.floor(run / this.document.chunk);
    const key = `${kind}${place}`;
    if (!this.unpacked.has(key)) this.unpacked.set(key, unpack(this.document.chunks[kind][place]));
    const chunk = await this.unpacked.get(key);
    return chunk && chunk[run % this.document.chunk];
  }

  /** The same of several runs. */
  parts(kind, runs) {
    return Promise.all(runs.map((run) => this.part(kind, run)));
  }
}

/** The values of a chunk: base64 of gzip of JSON. */
async function unpack(chunk) {
  if (!chunk) return null;
  const packed = Uint8Array.from(atob(chunk), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text(), withoutPrototype);
}

/** A record may name a value "constructor": an object of the data has nothing but what was written. */
function withoutPrototype(_, value) {
  return value && typeof value === "object" && !Array.isArray(value) ? Object.setPrototypeOf(value, null) : value;
}

/** Kinds of files that no browser executes, whatever is in them; others are not made links. */
const INERT = new Set(("png jpg jpeg gif webp avif bmp txt log csv tsv json jsonl md rst yaml yml toml ini cfg py ipynb " +
  "pdf pt pth ckpt npy npz pkl h5 hdf5 parquet safetensors onnx zip gz tar nii mha").split(" "));

/** The URL of a file of a run, "" if it is not there or no name that a URL can say. */
function urlOf(about, path) {
  const file = about.files.find(([name]) => name === path);
  if (!file || !file[3]) return "";
  try {
    return about.base + path.split("/").map(encodeURIComponent).join("/");
  } catch {
    return ""; // half a character
  }
}

/** The path of a file, as a link if the file is there and a browser only shows it. */
function linkTo(about, path) {
  const kind = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  const url = INERT.has(kind) ? urlOf(about, path) : "";
  return url ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, visible(path)) : visible(path);
}

const PICTURE = /\.(png|jpe?g|gif|webp|svg|avif|bmp)$/i;

/** The paths of a run's figures that are there. */
function picturesOf(about) {
  return about.files.filter(([path, , , there, own]) => there && !own && PICTURE.test(path)).map(([path]) => path);
}
