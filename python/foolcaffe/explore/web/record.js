// The experiment as a JSON record, with the keys of foolcaffe.fool's, and back.
import { fromBase64, sha256, toBase64 } from "./bytes.js";
import { percent, top } from "./numbers.js";

/** The record of what is shown. With the pixels of the start it is enough to repeat everything. */
export function record(app) {
  const { now, state, facts } = app, { seen, look, sizes, start, model } = now, { target, view } = state;
  const named = (k) => ({ id: k, wnid: facts.classes[k].wnid, name: app.names[k] });
  const best = (l) => top(l.probabilities, 3).map((k) => ({ ...named(k), confidence: l.probabilities[k] }));
  return {
    target: named(target),
    criterion: view === "sure" ? { confidence: 0.99 } : "flip",
    start: start.name,
    before: best(seen),
    after: best(look),
    confidence_before: seen.probabilities[target],
    confidence_after: look.probabilities[target],
    l2: sizes.l2,
    linf: sizes.largest,
    mean_abs: sizes.mean,
    method: view === "along" ? "gradient" : "exact",
    options: {},
    factor: view === "along" ? now.alpha : null,
    ...(view === "along" ? {} : { certificate: { norm: "l2", floats: now.exact[view].bound, reached: now.exact[view].l2 } }),
    success: { image: look.verdict === "fools" },
    engine: "foolcaffe.explore, in a browser",
    model: model.facts.model,
    sha256: { start: sha256(start.rgb), ...model.facts.sha256 },
    explorer: {
      by: state.by, view, margin: look.margin, error_bound: look.bound,
      height: facts.height, width: facts.width, pixels: toBase64(start.rgb),
    },
  };
}

/** The state that a record describes: { patch, rgb, name }. Throws an Error with a sentence if it is not for this page. */
export function restored(text, app) {
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Error("The experiment in this PNG is damaged; its picture was taken as it is.");
  }
  const wanted = data?.explorer, model = app.facts.models.findIndex((m) => m.sha256.weights === data?.sha256?.weights);
  const target = app.facts.classes.findIndex((c) => c.wnid === data?.target?.wnid);
  if (model < 0 || target < 0) throw new Error("The experiment in this PNG is of a model that this page has not; its picture was taken as it is.");
  let rgb = new Uint8Array();
  try {
    rgb = fromBase64(String(wanted?.pixels));
  } catch {
    // has the wrong length then
  }
  if (rgb.length !== app.size || !Number.isFinite(wanted.by) || Math.abs(wanted.by) > 128 || !["along", "flip", "sure"].includes(wanted.view))
    throw new Error("The experiment in this PNG is damaged; its picture was taken as it is.");
  return { patch: { model, target, by: wanted.by, view: wanted.view }, rgb, name: String(data.start ?? "own picture").slice(0, 40) };
}

/** The experiment in one line. */
export function summary(r) {
  return `${r.start} → ${r.target.name} ${percent(r.confidence_after)}, mean change ${r.mean_abs.toFixed(2)} grey levels`;
}
