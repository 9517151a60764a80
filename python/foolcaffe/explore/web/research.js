// For a researcher: floats against 8 bits, error bounds, hashes, the record, and the commands that repeat it.
import { $, h, table } from "./dom.js";
import { percent, softmaxAt, short } from "./numbers.js";
import { record } from "./record.js";

export function research(app) {
  const update = () => {
    if ($("research").hidden || !$("research-more").open) return;
    const { now, state, names, facts } = app, { model, look, seen, slopes, target } = now, along = state.view === "along";
    const line = seen.scores.map((s, k) => s + now.alpha * slopes[k]), p = softmaxAt(line, target);
    $("readout").replaceChildren(table("Straight line against 8-bit picture", ["what", "on the line, real numbers", "8-bit picture"], [
      [`score of ${names[target]}`, along ? line[target].toFixed(4) : "not on the line", look.scores[target].toFixed(4)],
      [`score of ${names[look.rival]}, its best rival`, along ? line[look.rival].toFixed(4) : "not on the line", look.scores[look.rival].toFixed(4)],
      [`probability of ${names[target]}`, along ? percent(p) : "not on the line", percent(look.probabilities[target])],
      ["margin", along ? (line[target] - line[look.rival]).toFixed(4) : "not on the line", look.margin.toFixed(4)],
      ["the margin's error is at most", "", look.bound.toFixed(4)],
      ["last move of the slider, ms", "", app.took === undefined ? "none yet" : app.took.toFixed(1)],
    ]));
    $("hashes").replaceChildren(table("Files, by their SHA-256", ["file", "SHA-256"], Object.entries(model.facts.sha256)));
    const wnid = facts.classes[target].wnid, start = `${now.start.name.replace(/[^\w.-]+/g, "_")}.png`;
    const goal = state.view === "sure" ? "--confidence 0.99" : "--flip";
    $("commands").textContent = `python -m foolcaffe.fool --model ${model.facts.model} --class ${wnid} --image ${start} --method ${along ? "gradient" : "exact"} ${goal}\npython -m foolcaffe.verify SAVED.png --model ${model.facts.model}`;
    const shown = record(app);
    shown.explorer.pixels = `${shown.explorer.pixels.slice(0, 24)}…`;
    $("record").textContent = JSON.stringify(shown, null, 2);
    $("bits").textContent = `Weights are held as whole numbers with residuals of ${model.facts.residual_bits} bits; sums with 8-bit pixels are exact. The bound holds for every picture, and includes what Caffe's float32 sums may lose.`;
  };
  $("research-more").addEventListener("toggle", update);
  app.views.push(update);
}
