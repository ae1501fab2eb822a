// Decisions as files: JSON, to go on from and for `protoscore review --import`, and CSV.
(() => {
  "use strict";

  const { toCsv } = protoscore;
  const DECISIONS = ["keep", "relabel", "ambiguous", "exclude", "skip"];

  function asJson(review, { reviewer, decisions }) {
    const checked = review.checks.filter(({ id }) => decisions[id]);
    return `${JSON.stringify({
      queue: review.queue,
      reviewer,
      decisions: checked.map(({ id }) => ({ example_id: id, ...decisions[id] })),
    }, null, 1)}\n`;
  }

  function asCsv(review, { reviewer, decisions }) {
    const name = (label) => (label === null ? "" : review.classes[label]);
    const head = ["example_id", "split", "name", "given", "suggested", "wrong", "decision", "decided_label", "reviewer", "decided_at"];
    const rows = review.checks.filter(({ id }) => decisions[id]).map((check) => {
      const { decision, label, decided_at: when } = decisions[check.id];
      return [check.id, review.split, check.name ?? "", name(check.label), name(check.suggested), check.wrong, decision, name(label), reviewer, when];
    });
    return toCsv([head, ...rows]);
  }

  // Reads a file that `asJson` wrote.
  function readJson(text, review) {
    const wrong = (got) => new Error(`expected a file of this queue's decisions, got ${got}`);
    let content;
    try {
      content = JSON.parse(text);
    } catch {
      throw wrong("something else");
    }
    if (content?.queue !== review.queue) throw wrong(content?.queue ? "one of another queue" : "something else");
    if (typeof content.reviewer !== "string" || !content.reviewer) throw wrong("one without a reviewer");
    const known = new Set(review.checks.map(({ id }) => id));
    const decisions = {};
    for (const made of Array.isArray(content.decisions) ? content.decisions : []) {
      const { example_id: id, decision, label, decided_at: when } = made ?? {};
      const sound = known.has(id) && DECISIONS.includes(decision) && !Number.isNaN(Date.parse(when))
        && (decision === "relabel" ? typeof review.classes[label] === "string" : label === null);
      if (sound) decisions[id] = { decision, label, decided_at: when };
    }
    return { reviewer: content.reviewer, decisions };
  }

  Object.assign(protoscore, { DECISIONS, asCsv, asJson, readJson });
})();
