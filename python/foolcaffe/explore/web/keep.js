// Taking the experiment along: a PNG that fools, the start, a link.
import { sha256, toBase64 } from "./bytes.js";
import { $, download, say } from "./dom.js";
import { decodePng, encodePng } from "./png.js";
import { record, restored, summary } from "./record.js";
import { format } from "./state.js";

/** The PNG of what is shown: written, its own bytes read again and scored. Throws an Error if it does not fool. */
export async function foolingPng(app) {
  const { now, state, facts, names } = app, { model, seen } = now, name = names[state.target];
  if (seen.winner === state.target) throw new Error(`The start is seen as ${name} already, so there is nothing to fool; choose another class.`);
  const r = record(app), bytes = encodePng(now.image, facts.width, facts.height, JSON.stringify(r));
  const back = await decodePng(bytes), look = model.look(back.rgb, state.target);
  if (look.verdict === "does not") throw new Error(`This picture is not seen as ${name} yet, but as ${names[look.winner]}; move the slider on.`);
  if (look.verdict !== "fools") throw new Error(`${name} wins by less than the page can be sure of (${look.bound.toFixed(4)}); move the slider a little on.`);
  if (back.rgb.some((v, i) => v !== now.image[i])) throw new Error("The PNG does not hold the picture that is shown; please report this.");
  return { bytes, record: r, name: file(app, "png") };
}

function file(app, ending) {
  const { now, state, facts } = app;
  return `${now.start.name}-to-${facts.classes[state.target].wnid}`.replace(/[^\w.-]+/g, "_") + `.${ending}`;
}

/** Wire the buttons. Returns the function that restores an experiment from a PNG's text. */
export function keep(app) {
  $("save").addEventListener("click", async () => {
    try {
      const png = await foolingPng(app);
      download(png.name, png.bytes, "image/png");
      say(`Saved ${png.name}: read again from its own bytes, it fools. ${summary(png.record)}.`);
    } catch (error) {
      say(error.message, true);
    }
  });
  $("save-start").addEventListener("click", () => {
    const { now, facts } = app;
    download(`${now.start.name.replace(/[^\w.-]+/g, "_")}.png`, encodePng(now.start.rgb, facts.width, facts.height, "{}"), "image/png");
  });
  $("save-record").addEventListener("click", async () => {
    const r = record(app), { image } = app.now, png = encodePng(image, app.facts.width, app.facts.height, JSON.stringify(r));
    r.sha256.png = sha256(png);
    download(file(app, "json"), new TextEncoder().encode(`${JSON.stringify(r, null, 2)}\n`), "application/json");
  });
  $("link").addEventListener("click", async () => {
    const own = app.state.picture.startsWith("own-");
    const text = location.href.split("#")[0] + format(app.state, app.facts) + (own ? `&pixels=${toBase64(app.now.start.rgb)}` : "");
    $("link-text").value = text;
    $("link-text").hidden = false;
    $("link-text").select();
    try {
      await navigator.clipboard.writeText(text);
      say(`The link was copied.${own ? " It carries your picture, 64 pixels wide, in its text." : ""}`);
    } catch {
      say("Copy the link from the field.");
    }
  });
  return async (text) => {
    if (text === "{}") return false;
    try {
      const { patch, rgb, name } = restored(text, app);
      await app.usePicture(rgb, name);
      await app.set(patch);
      say(`The experiment was restored: ${summary(record(app))}.`);
      return true;
    } catch (error) {
      say(error.message, true);
      return false;
    }
  };
}
