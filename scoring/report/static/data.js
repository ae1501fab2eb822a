// The report's data; each part is loaded when it is first needed.
(() => {
  "use strict";

  const { load, unpack } = protoscore;
  const STEPS = 500; // in one point of a percentile, as in score_columns.py
  const NONE = 65535; // no percentile or class, as in score_columns.py
  const UNKNOWN = 255; // probability in percent, as in score_columns.py
  const UNSCORED = 255; // status of an example without a score
  const splits = new Map();

  function percentile(steps) {
    return steps === NONE ? null : steps / STEPS;
  }

  // The last index of an ascending list whose entry is at most `value`; -1 if there is none.
  function lastAtMost(ascending, value) {
    let [low, high] = [0, ascending.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ascending[middle] <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  // Examples are numbered by position: the rows of all shards, laid end to end.
  class Split {
    constructor(name, index) {
      this.name = name;
      this.metrics = index.metrics;
      this.current = index.current;
      this.changed = index.changed; // metrics that the night before published, too
      this.judged = index.judged; // the version whose labels were judged, or null
      this._index = index;
      this._starts = [];
      this.count = 0;
      for (const [, rows] of index.shards) {
        this._starts.push(this.count);
        this.count += rows;
      }
    }

    // A position's shard, its row within the shard, and how the shard's examples are packed.
    place(position) {
      const shard = lastAtMost(this._starts, position);
      const [, , packing] = this._index.shards[shard];
      return { shard, row: position - this._starts[shard], packing: this._index.packings[packing] };
    }

    id(position) {
      const { shard, row } = this.place(position);
      return this._index.shards[shard][0] + row;
    }

    // The position of an example id in a dataset version (by default the current one), or null.
    position(id, version = this.current) {
      const shards = this._index.versions[version] ?? [];
      const at = lastAtMost(shards.map((shard) => this._index.shards[shard][0]), id);
      if (at < 0) return null;
      const [first, rows] = this._index.shards[shards[at]];
      return id - first < rows ? this._starts[shards[at]] + id - first : null;
    }

    // Positions in order of rank, with percentiles, and the positions without a rank.
    ranking(metric) {
      return this._columns(`rankings/${metric}.js`);
    }

    // Labels and predictions by position, as of a metric's scores.
    answers(metric) {
      return this._columns(`answers/${this.metrics[metric].answers}.js`);
    }

    // Some metric that was scored on the current version.
    get anyMetric() {
      return this.metricOn(this.current);
    }

    // Some metric that was scored on a version.
    metricOn(version) {
      return Object.keys(this.metrics).find((name) => this.metrics[name].version === version);
    }

    // What changed in a metric since the night before.
    changes(metric) {
      return this._columns(`changes/${metric}.js`);
    }

    // The labels to look at, the likeliest mistake first.
    issues() {
      return this._columns("issues.js");
    }

    // The user's own names, by position.
    names() {
      return load(`data/${this.name}/names.js`);
    }

    // The columns of each example set.
    async sets() {
      const sets = await load(`data/${this.name}/sets.js`);
      return new Map(Object.entries(sets).map(([name, columns]) => [name, unpackAll(columns)]));
    }

    // Scores, sets and explanations of one example.
    async row(position) {
      const { shard, row } = this.place(position);
      const rows = this._index.rows;
      const file = await load(`data/${this.name}/rows/${shard}-${Math.floor(row / rows)}.js`);
      const at = row % rows;
      const columns = unpackOnce(file);
      const scores = Object.keys(this.metrics).map((metric, m) => {
        const cell = m * file.names.length + at;
        return {
          metric,
          known: columns.status[cell] !== UNSCORED,
          status: this._index.statuses[columns.status[cell]] ?? "",
          value: columns.value[cell],
          spread: columns.spread[metric]?.[at] ?? NaN,
          classZ: columns.class_z[metric]?.[at] ?? NaN,
          percentile: percentile(columns.percentile[cell]),
          classPercentile: percentile(columns.class_percentile[cell]),
        };
      });
      return {
        name: file.names[at],
        metrics: scores.filter((score) => score.known),
        sets: file.sets[at] ?? [],
        explained: file.explained[at],
        wrong: columns.wrong?.[at] ?? NaN,
        suggested: columns.suggested?.[at] ?? NONE,
      };
    }

    async _columns(path) {
      return unpackOnce(await load(`data/${this.name}/${path}`));
    }
  }

  // Columns are unpacked on first use and kept.
  const unpacked = new WeakMap();

  function unpackOnce(file) {
    if (!unpacked.has(file)) unpacked.set(file, unpackAll(file));
    return unpacked.get(file);
  }

  function unpackAll(columns) {
    const arrays = {};
    for (const [name, column] of Object.entries(columns)) {
      if (column.kind) arrays[name] = unpack(column);
      else if (name === "spread" || name === "class_z") arrays[name] = unpackAll(column);
    }
    return arrays;
  }

  async function openSplit(name) {
    if (!splits.has(name)) splits.set(name, load(`data/${name}.js`).then((index) => new Split(name, index)));
    return splits.get(name);
  }

  async function openReport() {
    const report = await load("data/report.js");
    const className = (label) => (label === NONE ? "no label" : (report.classes[label] ?? String(label)));
    return { ...report, className };
  }

  // The metric that a page shows unless the reader chooses another.
  function defaultMetric({ best }, { metrics }) {
    return best in metrics ? best : Object.keys(metrics)[0];
  }

  function isWrong(label, predicted) {
    return label !== NONE && predicted !== NONE && label !== predicted;
  }

  // "98%": what models that did not see an example make of its predicted class; "" if unknown.
  function certainty({ probability }, position) {
    const percent = probability?.[position] ?? UNKNOWN;
    return percent === UNKNOWN ? "" : `${percent}%`;
  }

  Object.assign(protoscore, { NONE, STEPS, certainty, defaultMetric, isWrong, openReport, openSplit });
})();
