// The report's data, each part asked for when it is first needed.
(() => {
  "use strict";

  const { load, unpack } = protoscore;
  const STEPS = 500; // of a percentile between two whole ones, as in columns.py
  const NONE = 65535;
  const splits = new Map();

  function percentile(steps) {
    return steps === NONE ? null : steps / STEPS;
  }

  // The last index whose entry of a rising list is not above `value`; -1 where all are.
  function lastNotAbove(rising, value) {
    let [low, high] = [0, rising.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rising[middle] <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  // Examples stand at positions: the rows of shards, one shard after the other.
  class Split {
    constructor(name, about) {
      this.name = name;
      this.metrics = about.metrics;
      this.current = about.current;
      this._about = about;
      this._starts = [];
      this.count = 0;
      for (const [, rows] of about.shards) {
        this._starts.push(this.count);
        this.count += rows;
      }
    }

    // Where a position's row lies: its shard, how far into it, and how its images are packed.
    place(position) {
      const shard = lastNotAbove(this._starts, position);
      const [, , look] = this._about.shards[shard];
      return { shard, row: position - this._starts[shard], look: this._about.looks[look] };
    }

    id(position) {
      const { shard, row } = this.place(position);
      return this._about.shards[shard][0] + row;
    }

    // The position of an example id in a dataset version, by default the current one; or null.
    position(id, version = this.current) {
      const shards = this._about.versions[version] ?? [];
      const at = lastNotAbove(shards.map((shard) => this._about.shards[shard][0]), id);
      if (at < 0) return null;
      const [first, rows] = this._about.shards[shards[at]];
      return id - first < rows ? this._starts[shards[at]] + id - first : null;
    }

    // Positions in order of rank, with their percentiles, and the positions without a rank.
    ranking(metric) {
      return this._columns(`rankings/${metric}.js`);
    }

    // Label and predicted class by position, as a metric's scores have them.
    answers(metric) {
      return this._columns(`answers/${this.metrics[metric].answers}.js`);
    }

    // A metric whose scores are of the current version.
    get anyMetric() {
      const names = Object.keys(this.metrics);
      return names.find((name) => this.metrics[name].version === this.current);
    }

    // The user's own names by position.
    names() {
      return load(`data/${this.name}/names.js`);
    }

    // Set to its columns.
    async sets() {
      const sets = await load(`data/${this.name}/sets.js`);
      return new Map(Object.entries(sets).map(([name, columns]) => [name, unpackAll(columns)]));
    }

    // All that is known of an example.
    async row(position) {
      const { shard, row } = this.place(position);
      const rows = this._about.rows;
      const file = await load(`data/${this.name}/rows/${shard}-${Math.floor(row / rows)}.js`);
      const at = row % rows;
      const every = unpackOnce(file);
      const told = Object.keys(this.metrics).map((metric, m) => {
        const cell = m * file.names.length + at;
        return {
          metric,
          known: every.status[cell] !== 255,
          status: this._about.statuses[every.status[cell]] ?? "",
          value: every.value[cell],
          spread: every.spread[metric]?.[at] ?? NaN,
          percentile: percentile(every.percentile[cell]),
          classPercentile: percentile(every.class_percentile[cell]),
        };
      });
      const metrics = told.filter((of) => of.known);
      return { name: file.names[at], metrics, sets: file.sets[at] ?? [], explained: file.explained[at] };
    }

    async _columns(path) {
      return unpackOnce(await load(`data/${this.name}/${path}`));
    }
  }

  // Columns are unpacked when they are first used, and stay so.
  const unpacked = new WeakMap();

  function unpackOnce(file) {
    if (!unpacked.has(file)) unpacked.set(file, unpackAll(file));
    return unpacked.get(file);
  }

  function unpackAll(columns) {
    const found = {};
    for (const [name, column] of Object.entries(columns)) {
      if (column.kind) found[name] = unpack(column);
      else if (name === "spread") found[name] = unpackAll(column);
    }
    return found;
  }

  async function openSplit(name) {
    if (!splits.has(name)) splits.set(name, load(`data/${name}.js`).then((about) => new Split(name, about)));
    return splits.get(name);
  }

  async function openReport() {
    const report = await load("data/report.js");
    const className = (label) => (label === NONE ? "no label" : (report.classes[label] ?? String(label)));
    return { ...report, className };
  }

  function isWrong(label, predicted) {
    return label !== NONE && predicted !== NONE && label !== predicted;
  }

  Object.assign(protoscore, { NONE, STEPS, isWrong, openReport, openSplit });
})();
