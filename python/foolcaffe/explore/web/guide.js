// Six steps in the order of the post, each a few sentences beside the scene that they set up.
import { $, calm, h } from "./dom.js";

/** What each step says, which panels it shows, and what it sets. */
function steps(app) {
  const { names, state } = app, target = names[state.target], models = app.facts.models;
  const picture = app.pictures.has("astronaut") ? "astronaut" : [...app.pictures.keys()][0];
  const decay = (value) => models.findIndex((m) => m.decay === value && !m.from_zero);
  const post = Math.max(0, decay(100));
  return [
    {
      title: "A classifier is a set of templates",
      text: [
        "This classifier has one template for each class. It multiplies the picture with the template, pixel by pixel, and adds everything up; the class with the largest sum wins. That is all it does.",
        "In a template grey means that a pixel does not count, bright that it should be bright, dark that it should be dark, in each colour. Choose a class, and look at what the classifier looks for.",
      ],
      panels: ["gallery"],
      set: { picture, by: 0, view: "along", model: post },
    },
    {
      title: "Add a little of a template",
      text: [
        `The score of ${target} grows fastest when the picture moves along the template of ${target}. So add a fraction of it: drag the slider, or use the arrow keys.`,
        "Watch the picture, then the bars. The same grey levels at random places, on the right, do next to nothing.",
      ],
      panels: [],
      set: { picture, by: 0, view: "along", model: post },
      play: true,
    },
    {
      title: "Any start will do",
      text: [
        "Nothing in this needs a photograph. Noise, or flat grey, becomes any class in the same way, and the classifier is as sure of it as of any picture that it was trained with.",
        "Try the negative side as well: there the class is driven away.",
      ],
      panels: [],
      set: { picture: "noise", by: 0, view: "along", model: post },
      play: true,
    },
    {
      title: "Stronger regularization makes it harder, at a price",
      text: [
        "Weight decay keeps weights small. Move its slider: templates turn from noise to soft blobs, and the change that is needed grows until you see it.",
        "Accuracy stands beside it. A model that is harder to fool is not for that a better one. And a template that looks like noise may be the noise that training began with: compare with training from zero.",
      ],
      panels: ["regularization"],
      set: { picture, view: "along" },
    },
    {
      title: "Why so little is enough",
      text: [
        "The post shows it with ten numbers. Half a unit in each, always in the direction of its weight, adds up to five, and class 1 goes from 5 % to 88 %.",
        "A picture has 12,288 numbers. Move the dimensions: the same small change grows with every one of them.",
      ],
      panels: ["toy"],
      alone: true,
      set: { by: 0, view: "along" },
    },
    {
      title: "Not single pictures, but whole regions",
      text: [
        "Everything beyond the mark on the slider fools, not one lucky picture. Here is how near the region is: the smallest change that there can be, with a proof, and the price of every class from this picture.",
        "Save the picture: the file is checked from its own bytes, and Caffe confirms it. The flaw is not in depth or in training data; it is that the score is a sum that one can push from everywhere at once.",
      ],
      panels: ["minimum", "keep"],
      set: { picture, view: "flip", model: post },
    },
  ];
}

export const PANELS_OF = (app) => steps(app)[app.state.step].panels;

/** Whether the step shows the scene, too. */
export const SCENE_OF = (app) => !steps(app)[app.state.step].alone;

/** The guide's box: text, back, next, and an offer to move the slider. */
export function guide(app) {
  const go = (step) => app.set({ ...steps(app)[step].set, mode: "guided", step });
  $("back").addEventListener("click", () => go(app.state.step - 1));
  $("next").addEventListener("click", () => (app.state.step === 5 ? app.set({ mode: "free" }) : go(app.state.step + 1)));
  $("play").addEventListener("click", () => play(app));
  $("steps").append(...Array.from({ length: 6 }, (_, i) => h("li", {}, h("button", { type: "button", onclick: () => go(i) }, String(i + 1)))));
  app.views.push(({ shape }) => {
    if (!shape || app.state.mode !== "guided") return;
    const step = steps(app)[app.state.step];
    $("step-title").textContent = step.title;
    $("step-text").replaceChildren(...step.text.map((t) => h("p", {}, t)));
    $("back").disabled = app.state.step === 0;
    $("next").textContent = app.state.step === 5 ? "Go on freely" : "Next";
    $("play").hidden = !step.play;
    [...$("steps").children].forEach((item, i) => {
      const on = i === app.state.step;
      item.firstChild.setAttribute("aria-label", `Step ${i + 1}: ${steps(app)[i].title}`);
      if (on) item.firstChild.setAttribute("aria-current", "step");
      else item.firstChild.removeAttribute("aria-current");
    });
  });
}

/** Move the slider slowly to where the target has 99 %, or at once for readers who want less motion. */
function play(app) {
  const { levels, flip, template, range } = app.now;
  const end = Math.min(range, ((levels[2].alpha ?? flip ?? 0) * template.mean || range / 2) * 1.02);
  if (calm()) return app.set({ by: end, view: "along" });
  const begun = performance.now(), picture = app.state.picture, time = 2500;
  const frame = () => {
    const part = Math.min(1, (performance.now() - begun) / time);
    if (app.state.picture !== picture) return;
    app.set({ by: end * part, view: "along" });
    if (part < 1) requestAnimationFrame(frame);
  };
  frame();
}
