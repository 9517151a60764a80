// The lesson of the post: the same picture and target under models of weaker and stronger weight decay.
import { $, h, table } from "./dom.js";
import { flips, inEightBits } from "./line.js";
import { percent, short } from "./numbers.js";

/** A slider over the models, and what each of them needs to be fooled. */
export function regularization(app) {
  const slider = $("decay"), { models } = app.facts;
  const from = (zero) => models.map((m, i) => ({ m, i })).filter(({ m }) => Boolean(m.from_zero) === zero)
    .sort((a, b) => (a.m.decay ?? a.i) - (b.m.decay ?? b.i)).map(({ i }) => i);
  const groups = [from(false), from(true)].filter((g) => g.length);
  const group = () => groups.find((g) => g.includes(app.state.model));
  const name = (i) => (models[i].decay === undefined ? models[i].name : `weight decay ${models[i].decay}`);

  slider.addEventListener("input", () => app.set({ model: group()[Number(slider.value)] }));
  if (groups.length === 2)
    $("beginnings").append(...[["from small random weights", 0], ["from zero", 1]].map(([text, g]) => h("label", {},
      h("input", { type: "radio", name: "beginning", value: String(g), onchange: () => {
        const now = models[app.state.model].decay;
        app.set({ model: groups[g].find((i) => models[i].decay === now) ?? groups[g][0] });
      } }), ` ${text}`)));
  else $("beginnings").hidden = true;

  /** The mean change along the template that makes the target win, for one model; undefined if it is not loaded. */
  function needed(i) {
    const model = app.models[i], { target, picture } = app.state;
    if (!model) return undefined;
    const { rgb } = app.pictures.get(picture), template = model.template(target);
    const line = flips(model.scores(rgb), model.column(target), target);
    const alpha = inEightBits(model, rgb, template, target, line, 128 / template.mean, (look) => look.verdict === "fools");
    return alpha === null ? null : alpha * template.mean;
  }

  async function update({ base }) {
    if (!base) return;
    const list = group(), at = list.indexOf(app.state.model), facts = models[app.state.model];
    slider.max = String(list.length - 1);
    slider.value = String(at);
    slider.disabled = list.length < 2;
    slider.setAttribute("aria-valuetext", name(app.state.model));
    $("decay-shown").textContent = name(app.state.model);
    document.querySelectorAll("#beginnings input").forEach((r) => (r.checked = groups[r.value].includes(app.state.model)));
    $("made-of").textContent = madeOf(facts, app.state.target, app.names[app.state.target]);
    $("one-model").hidden = models.length > 1;
    if ($("regularization").hidden) return;
    if (!app.facts.parts) for (const i of list) await app.load(i);
    const rows = list.map((i) => ({ i, need: needed(i) })), most = Math.max(...rows.map((r) => r.need ?? 0), 1e-9);
    $("needed").replaceChildren(
      h("caption", {}, `What makes ${app.names[app.state.target]} win from this picture, and what the model is good for`),
      h("thead", {}, h("tr", {}, ...[models[list[0]].decay === undefined ? "model" : "weight decay", "mean change needed, grey levels", "right on new pictures", "among the best five"].map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", {}, ...rows.map(({ i, need }) => {
        const bar = h("span", { class: "bar", "aria-hidden": "true" }), { accuracy } = models[i];
        bar.style.setProperty("--part", (need ?? 0) / most);
        return h("tr", { class: i === app.state.model ? "current" : "" }, h("th", { scope: "row" }, models[i].decay === undefined ? models[i].name : String(models[i].decay)),
          h("td", {}, bar, need === undefined ? "not loaded yet" : need === null ? "never" : need === 0 ? "none: seen already" : short(need)),
          h("td", {}, accuracy ? percent(accuracy.top1) : "not known"), h("td", {}, accuracy ? percent(accuracy.top5) : "not known"));
      })));
    $("accuracy-note").textContent = facts.accuracy ? `Accuracy is measured on ${facts.accuracy.images.toLocaleString("en")} validation pictures; chance is ${percent(1 / app.names.length)}.` : "";
  }
  app.views.push((what) => update({ base: what.shape }));
}

function madeOf(facts, target, name) {
  const share = facts.initial_share?.[target];
  if (share === undefined) return "How this model was trained is not known, so it cannot be said how much of a template is what training began with.";
  if (facts.from_zero) return `Training began from zero: all of the template of ${name} was learnt.`;
  const text = share > 0.995 ? "More than 99 %" : share < 0.005 ? "Less than 1 %" : `About ${Math.round(100 * share)} %`;
  return `${text} of the energy of ${name}'s template is still the random noise that training began with (std ${facts.std}); the rest was learnt.`
    + (share > 0.8 ? " Most of what looks like a noisy pattern was never learnt." : "");
}
