// For a class: hide what is not for now, predict before it is shown, spot the changed picture, a sheet to print.
import { $, h, paint, say } from "./dom.js";
import { flips, inEightBits } from "./line.js";
import { add, percent, random, short } from "./numbers.js";
import { PANELS } from "./state.js";

const TITLES = { gallery: "Templates", regularization: "Regularization", minimum: "Smallest change", keep: "Save and share", toy: "Toy", research: "For researchers" };

export function teach(app) {
  hiding(app);
  predict(app);
  quiz(app);
  $("print").addEventListener("click", () => {
    sheet(app);
    print();
  });
}

function hiding(app) {
  $("hide").append(...PANELS.map((panel) => h("label", {}, h("input", { type: "checkbox", value: panel, onchange: (event) => {
    const hide = app.state.hide.filter((p) => p !== panel);
    app.set({ hide: event.target.checked ? hide : [...hide, panel] });
  } }), ` ${TITLES[panel]}`)));
  app.views.push(({ shape }) => shape && document.querySelectorAll("#hide input").forEach((box) => (box.checked = !app.state.hide.includes(box.value))));
}

/** A start and a target that differ, a change that flips it, from a generator of random numbers. */
function pick(app, next) {
  const model = app.now.model, keys = [...app.pictures.keys()].filter((k) => k !== "grey");
  for (let tries = 0; tries < 200; tries++) {
    const key = keys[Math.floor(next() * keys.length)], rgb = app.pictures.get(key).rgb, scores = model.scores(rgb);
    const target = Math.floor(next() * app.names.length), winner = scores.indexOf(Math.max(...scores));
    if (target === winner) continue;
    const template = model.template(target), line = flips(scores, model.column(target), target);
    const alpha = inEightBits(model, rgb, template, target, line, 60 / template.mean, (look) => look.verdict === "fools");
    if (alpha) return { key, rgb, target, winner, alpha, mean: alpha * template.mean };
  }
  return null;
}

/** Predict before it is revealed: which class wins at a place of the slider? */
function predict(app) {
  const score = { right: 0, asked: 0 }, next = random(Date.now());
  const reset = () => {
    score.right = score.asked = 0;
    document.body.classList.remove("secret");
    $("predict-answers").replaceChildren();
    $("predict-text").textContent = "";
    $("predict-score").textContent = "";
  };
  $("predict-reset").addEventListener("click", reset);
  $("predict").addEventListener("click", async () => {
    const found = pick(app, next);
    if (!found) return say("No question was found for these pictures.", true);
    const part = [0.4, 0.8, 1.2, 1.6][Math.floor(next() * 4)];
    document.body.classList.add("secret");
    await app.set({ picture: found.key, target: found.target, by: Math.min(128, found.mean * part), view: "along" });
    const { look, seen } = app.now, right = look.winner;
    const choices = [...new Set([seen.winner, found.target, look.winner, Math.floor(next() * app.names.length)])].slice(0, 4).sort((a, b) => a - b);
    $("predict-text").textContent = `Of ${app.names[found.target]}, ${short(app.state.by)} grey levels were added to ${app.now.start.name}, which was seen as ${app.names[seen.winner]}. What does the classifier see now?`;
    $("predict-answers").replaceChildren(...choices.map((k) => h("button", { type: "button", onclick: () => {
      score.asked++;
      if (k === right) score.right++;
      document.body.classList.remove("secret");
      $("predict-text").textContent = `${k === right ? "Right" : "No"}: it sees ${app.names[right]}, ${percent(app.now.look.probabilities[right])}.`;
      $("predict-score").textContent = `${score.right} of ${score.asked} right`;
      $("predict-answers").replaceChildren();
    } }, app.names[k])));
  });
  app.views.push(({ shape }) => {
    if (shape && app.state.mode !== "teach") document.body.classList.remove("secret");
  });
}

/** Which of the two was changed? It becomes harder with every right answer. */
function quiz(app) {
  const score = { right: 0, asked: 0, level: 0 }, next = random(Date.now() + 1), { width, height } = app.facts;
  let now = null;
  const ask = () => {
    const found = pick(app, next);
    if (!found) return say("No question was found for these pictures.", true);
    const times = Math.max(1.02, 6 * Math.pow(0.75, score.level)), { row } = app.now.model.template(found.target);
    const changed = add(found.rgb, row, found.alpha * times);
    now = { ...found, changed, second: next() < 0.5, winner: app.now.model.look(changed, found.target) };
    paint($("quiz-a"), now.second ? found.rgb : changed, width, height);
    paint($("quiz-b"), now.second ? changed : found.rgb, width, height);
    $("quiz-pair").hidden = false;
    $("quiz-text").textContent = `One of the two is seen as ${app.names[now.winner.winner]}. Which was changed?`;
    document.querySelectorAll("#quiz-pair button").forEach((b) => (b.disabled = false));
  };
  const answer = (second) => {
    score.asked++;
    const right = second === now.second;
    if (right) [score.right, score.level] = [score.right + 1, score.level + 1];
    $("quiz-text").textContent = `${right ? "Right" : "No"}: the ${now.second ? "second" : "first"} was changed, by ${short(app.now.model.template(now.target).mean * now.alpha * Math.max(1.02, 6 * Math.pow(0.75, right ? score.level - 1 : score.level)))} grey levels on average; the classifier is ${percent(now.winner.probabilities[now.winner.winner])} sure.`;
    $("quiz-score").textContent = `${score.right} of ${score.asked} right`;
    document.querySelectorAll("#quiz-pair button").forEach((b) => (b.disabled = true));
  };
  $("quiz").addEventListener("click", ask);
  $("quiz-first").addEventListener("click", () => answer(false));
  $("quiz-second").addEventListener("click", () => answer(true));
  $("quiz-reset").addEventListener("click", () => {
    Object.assign(score, { right: 0, asked: 0, level: 0 });
    $("quiz-pair").hidden = true;
    $("quiz-text").textContent = $("quiz-score").textContent = "";
  });
}

/** Questions and answers about what is shown, for paper. */
function sheet(app) {
  const { now, names, state, facts } = app, name = names[state.target], levels = now.levels.map((l) => (l.alpha === null ? "never" : short(l.alpha * now.template.mean)));
  const flip = now.flip === null ? "never" : short(now.flip * now.template.mean), accuracy = now.model.facts.accuracy;
  const questions = [
    [`What does the classifier see in “${now.start.name}” before anything is added?`, `${names[now.seen.winner]}, ${percent(now.seen.probabilities[now.seen.winner])}.`],
    [`How many grey levels of ${name}'s template, on average, must be added until ${name} wins?`, `${flip}, of 255.`],
    [`And until it has 50, 90 and 99 %?`, `${levels.join(", ")}.`],
    ["What does the same amount of change do at random places, and why?", "Next to nothing: the changes add to the score here and take away there, and cancel."],
    [`Why is a straight line drawn for every class?`, "The score is a sum of products. Along one direction it changes by the same amount with every step."],
    ["How small can the change be, if it need not follow the template?", now.minimum ? `No picture nearer than L2 ${short(now.minimum.bound)} does it.` : "It is seen as that class already."],
    ["Ten numbers change by 0.5 each. By how much can the score of the toy change? And with 12,288 numbers?", "By 5; by 6,144."],
    ["What does stronger weight decay change?", `Templates become smooth, more must be changed, and accuracy is not better for that${accuracy ? ` (this model: ${percent(accuracy.top1)})` : ""}.`],
  ];
  $("sheet").replaceChildren(h("h1", {}, "Drag a picture along a template: questions"), h("p", {}, `Picture: ${now.start.name}. Target: ${name}. Model: ${now.model.facts.model}. ${facts.classes.length} classes.`),
    h("ol", {}, ...questions.map(([q]) => h("li", {}, q, h("div", { class: "space" })))), h("h1", { class: "answers" }, "Answers"),
    h("ol", {}, ...questions.map(([, a]) => h("li", {}, a))));
}
