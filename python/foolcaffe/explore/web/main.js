// Reads what the page carries, and puts its parts together.
import { App } from "./app.js";
import { chart } from "./chart.js";
import { $, h, say } from "./dom.js";
import { gallery } from "./gallery.js";
import { guide, PANELS_OF, SCENE_OF } from "./guide.js";
import { keep } from "./keep.js";
import { minimum } from "./minimum.js";
import { regularization } from "./regularization.js";
import { research } from "./research.js";
import { scene } from "./scene.js";
import { MODES, PANELS } from "./state.js";
import { teach } from "./teach.js";
import { toy } from "./toy.js";

/** Which panels are in sight follows from the mode, the step, and what a teacher has hidden. */
function panels(app, toyUpdate) {
  for (const mode of MODES) $(`mode-${mode}`).addEventListener("click", () => app.set({ mode }));
  app.views.push(({ shape }) => {
    if (!shape) return;
    const { mode, hide } = app.state, shown = mode === "guided" ? PANELS_OF(app) : PANELS.filter((p) => !hide.includes(p));
    for (const panel of PANELS) $(panel).hidden = !shown.includes(panel);
    const guided = mode === "guided";
    if (guided !== ($("scene").previousElementSibling.id !== "teach")) // the guide's panels come first, what it speaks of
      for (const panel of PANELS) guided ? $("scene").before($(panel)) : $("page").append($(panel));
    $("scene").hidden = guided && !SCENE_OF(app);
    $("scene").classList.toggle("plain", guided && shown.length > 0);
    $("guide").hidden = !guided;
    $("teach").hidden = mode !== "teach";
    document.body.dataset.mode = mode;
    for (const m of MODES) $(`mode-${m}`).setAttribute("aria-pressed", String(m === mode));
    toyUpdate();
  });
}

function credits(app) {
  const { pictures, models, classes, dataset } = app.facts;
  $("credits").append(...pictures.filter((p) => p.credit).map((p) => h("li", {}, `${p.name}: ${p.credit}`)));
  $("about-model").textContent = `${classes.length} classes of the dataset “${dataset}”, ${models.length} model${models.length > 1 ? "s" : ""}.`;
}

async function begin() {
  const begun = performance.now(), app = new App(JSON.parse($("facts").textContent));
  document.body.classList.toggle("embed", new URLSearchParams(location.search).has("embed"));
  panels(app, toy(app));
  const restore = keep(app);
  scene(app, (text) => restore(text));
  chart(app);
  guide(app);
  gallery(app);
  regularization(app);
  minimum(app);
  teach(app);
  research(app);
  credits(app);
  await app.start();
  $("page").hidden = false;
  for (const view of app.views) view({ base: true, shape: true }); // what is drawn to the size it has needs to be seen
  document.body.dataset.ready = String(Math.round(performance.now() - begun));
}

begin().catch((error) => {
  console.error(error);
  say(`This page cannot go on: ${error.message}`, true);
});
