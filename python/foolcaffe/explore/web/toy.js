// The post's toy: ten numbers, a weight for each, a sum and a sigmoid; then the same small change in many dimensions.
import { $, h } from "./dom.js";
import { percent, short } from "./numbers.js";

const X = [2, -1, 3, -2, 2, 2, 1, -4, 5, 1], W = [-1, -1, 1, -1, 1, -1, 1, 1, -1, 1], EPS = 0.5;
const sigmoid = (s) => 1 / (1 + Math.exp(-s));

/** The toy's numbers: x as it is, x + ε·w, their scores and probabilities. */
export function toyNumbers(x, eps) {
  const changed = x.map((v, i) => v + eps * W[i]), sum = (a) => a.reduce((s, v, i) => s + v * W[i], 0);
  const before = sum(x), after = sum(changed);
  return { changed, before, after, p: sigmoid(before), changedP: sigmoid(after) };
}

/** The number of dimensions at a place 0..1 of its slider: from 10 to 12,288, evenly in the logarithm. */
export function dimensions(part) {
  return Math.round(10 * Math.pow(1228.8, part));
}

/** Wire the toy. Its numbers, ε and dimensions are one text in the page's state: x1_…_x10_ε_part. */
export function toy(app) {
  let x = [...X], shown = "";
  const keep = () => app.set({ toy: shown = [...x, eps.value, Number(part.value).toFixed(4)].join("_") });
  const inputs = X.map((_, i) => h("input", { type: "range", min: "-6", max: "6", step: "0.1", "aria-label": `x${i + 1}, its weight is ${W[i]}`,
    oninput: (event) => ((x[i] = Number(event.target.value)), update(), keep()) }));
  const cells = X.map((_, i) => {
    const value = h("output", {}), term = h("span", { class: "term" });
    $("toy-numbers").append(h("div", { class: "number" }, h("span", { class: "weight" }, `w = ${short(W[i])}`), inputs[i], value, term));
    return { value, term };
  });
  const eps = $("toy-eps"), part = $("toy-dimensions");
  for (const slider of [eps, part]) slider.addEventListener("input", () => (update(), keep()));
  $("toy-reset").addEventListener("click", () => app.set({ toy: "" }));
  app.views.push(() => {
    if (shown === app.state.toy) return;
    shown = app.state.toy;
    const values = shown ? shown.split("_").map(Number) : [...X, EPS, 0];
    x = values.slice(0, 10);
    [eps.value, part.value] = values.slice(10).map(String);
    update();
  });

  function update() {
    const e = Number(eps.value), { changed, before, after, p, changedP } = toyNumbers(x, e), d = dimensions(Number(part.value));
    let running = 0;
    x.forEach((v, i) => {
      running += changed[i] * W[i];
      inputs[i].value = String(v);
      cells[i].value.textContent = `${short(v)} → ${short(changed[i])}`;
      cells[i].term.textContent = `sum ${short(running)}`;
    });
    $("toy-eps-shown").textContent = short(e);
    $("toy-before").textContent = `${short(before)}: class 1 with ${percent(p)}`;
    $("toy-after").textContent = `${short(after)}: class 1 with ${percent(changedP)}`;
    $("toy-dimensions-shown").textContent = d.toLocaleString("en");
    part.setAttribute("aria-valuetext", `${d} dimensions`);
    const gain = e * d, least = 3 / d;
    $("toy-many").textContent = `With ${d.toLocaleString("en")} numbers, ${short(e)} in each adds ${short(gain)} to the score: from −3 to ${short(gain - 3)}, ${percent(sigmoid(gain - 3))}. To pass zero, ${short(least)} in each is enough.`;
    curve($("toy-curve"), before, after, gain - 3);
  }
  addEventListener("resize", update);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
  update();
  return update;
}

/** The sigmoid with the scores before and after, and in many dimensions. */
function curve(canvas, before, after, many) {
  const wide = canvas.clientWidth, tall = canvas.clientHeight, ratio = devicePixelRatio || 1;
  if (!wide) return;
  [canvas.width, canvas.height] = [wide * ratio, tall * ratio];
  const context = canvas.getContext("2d"), style = getComputedStyle(canvas), colour = (n) => style.getPropertyValue(n);
  context.scale(ratio, ratio);
  const at = (s) => [(Math.max(-10, Math.min(10, s)) / 20 + 0.5) * (wide - 20) + 10, (1 - sigmoid(s)) * (tall - 20) + 10];
  context.strokeStyle = colour("--many");
  context.lineWidth = 2;
  context.beginPath();
  for (let s = -10; s <= 10; s += 0.1) context.lineTo(...at(s));
  context.stroke();
  for (const [s, c, r] of [[many, "--green", 7], [before, "--blue", 7], [after, "--orange", 7]]) {
    context.fillStyle = colour(c);
    context.beginPath();
    context.arc(...at(s), r, 0, 7);
    context.fill();
  }
}
