// The main scene: image + α · template = result, the slider, and what the classifier sees, all from 8-bit pixels.
import { $, calm, h, paint, say, signed, table } from "./dom.js";
import { percent, short, top } from "./numbers.js";
import { fromDrawable, readPicture } from "./pictures.js";
import { sha256 } from "./bytes.js";

const BARS = 5;

/** Wire the scene to the state. `restore` takes the text that a PNG of this page carries. */
export function scene(app, restore) {
  const { width, height } = app.facts, slider = $("by");
  pictureList(app, restore);
  target(app);
  const marks = [];
  slider.addEventListener("input", () => {
    const begun = performance.now();
    app.set({ by: Number(slider.value), view: "along" });
    slider.getBoundingClientRect(); // what was changed is laid out before the clock is read
    app.took = performance.now() - begun;
  });
  slider.addEventListener("keydown", (event) => {
    const { range } = app.now, fine = event.shiftKey ? 0.1 : 1;
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -20, PageUp: 20 }[event.key];
    if (step) app.set({ by: Math.max(-range, Math.min(range, app.state.by + (step * fine * range) / 200)), view: "along" });
    else if (event.key === "Home" || event.key === "End") app.set({ by: event.key === "Home" ? -range : range, view: "along" });
    else return;
    event.preventDefault();
  });
  $("zero").addEventListener("click", () => app.set({ by: 0, view: "along" }));
  $("middle").addEventListener("change", () => app.set({ middle: $("middle").value }));
  let blinking = 0, hidden = false, later = 0;
  $("blink").addEventListener("click", () => {
    clearInterval(blinking);
    const on = $("blink").getAttribute("aria-pressed") !== "true";
    $("blink").setAttribute("aria-pressed", String(on));
    hidden = on;
    blinking = on && !calm() ? setInterval(() => ((hidden = !hidden), result()), 600) : 0;
    result();
  });

  const result = () => {
    const { image, start } = app.now;
    paint($("canvas-result"), hidden ? start.rgb : image, width, height);
    $("figure-result").classList.toggle("blinked", hidden);
  };

  const bars = Array.from({ length: BARS + 1 }, () => {
    const name = h("span", { class: "name" }), value = h("span", { class: "value" }), fill = h("span", { class: "fill" });
    return { item: h("li", {}, name, value, h("span", { class: "track", "aria-hidden": "true" }, fill)), name, value, fill };
  });
  $("bars").append(...bars.map((b) => b.item));

  function update({ base }) {
    const { now, state, names } = app, { look, seen, sizes, template, alpha, range } = now;
    if (base) {
      paint($("canvas-start"), now.start.rgb, width, height);
      describe("start", now.start.name, seen);
    }
    if (slider.max !== String(range)) [slider.min, slider.max] = [String(-range), String(range)];
    slider.value = String(state.by);
    const key = `${range}|${state.model}|${state.picture}|${state.target}`;
    if (marks.key !== key) {
      marks.key = key;
      drawMarks(app);
    }
    $("middle").value = state.middle;
    const { middle } = state, times = middle === "x10" ? 10 : 1, exact = state.view !== "along";
    if (middle === "template" && !exact) {
      const drawn = `${state.model}|${state.target}|${alpha < 0}`;
      if (marks.drawn !== drawn) paint($("canvas-middle"), signed(template.row, (alpha < 0 ? -1 : 1) * template.contrast), width, height);
      marks.drawn = drawn;
      $("caption-middle").textContent = `template of ${names[state.target]}`;
      $("note-middle").textContent = alpha ? `full contrast: ±${short(Math.abs(alpha) * template.contrast)} grey levels` : "nothing of it is added yet";
    } else {
      marks.drawn = "";
      const fullest = middle === "template" ? Math.max(1, sizes.largest) : 127.5 / times;
      paint($("canvas-middle"), signed(Int16Array.from(now.image, (v, i) => v - now.start.rgb[i]), fullest), width, height);
      $("caption-middle").textContent = exact ? "the smallest change" : "the change";
      $("note-middle").textContent = middle === "template" ? `full contrast: ±${short(fullest)} grey levels` : `grey is no change; drawn × ${times}`;
    }
    $("factor").textContent = exact ? "" : `${alpha < 0 ? "−" : ""}${short(Math.abs(alpha))} ×`;
    result();
    describe("result", "result", look);
    clearTimeout(later);
    later = setTimeout(noise); // behind the bars, which are what the eye follows
    $("mean").textContent = short(sizes.mean);
    $("largest").textContent = String(sizes.largest);
    $("l2").textContent = short(sizes.l2);
    showBars();
    verdict();
    $("by-shown").textContent = exact ? "the smallest" : short(state.by);
    slider.setAttribute("aria-valuetext", `${short(state.by)} grey levels on average; ${names[state.target]} ${percent(look.probabilities[state.target])}, best is ${names[look.winner]}`);
  }

  function noise() {
    const { image, look, sizes } = app.control();
    paint($("canvas-noise"), image, width, height);
    describe("noise", "the same amount, shuffled", look);
    $("note-noise").textContent = `mean change ${short(sizes.mean)}, the same grey levels at random places`;
  }

  function describe(id, caption, look) {
    const { names, state } = app;
    $(`caption-${id}`).textContent = caption;
    $(`seen-${id}`).textContent = `${names[look.winner]} ${percent(look.probabilities[look.winner])}`;
    $(`seen-${id}`).classList.toggle("target", look.winner === state.target);
    $(`canvas-${id}`).setAttribute("aria-label", `${caption}: seen as ${names[look.winner]}, ${percent(look.probabilities[look.winner])}`);
  }

  function showBars() {
    const { look } = app.now, { state, names } = app, shown = top(look.probabilities, BARS);
    if (!shown.includes(state.target)) shown.push(state.target);
    bars.forEach((bar, i) => {
      const k = shown[i];
      bar.item.hidden = k === undefined;
      if (k === undefined) return;
      bar.name.textContent = names[k];
      bar.value.textContent = percent(look.probabilities[k]);
      bar.fill.style.transform = `scaleX(${Math.max(0.003, look.probabilities[k])})`;
      bar.item.className = k === state.target ? "target" : "";
    });
  }

  function verdict() {
    const { look, seen } = app.now, { state, names } = app, name = names[state.target];
    let text, kind = "";
    if (seen.winner === state.target && look.winner === state.target) text = `The picture is seen as ${name} from the start: choose another class.`;
    else if (look.verdict === "fools") [text, kind] = [`Fooled: it sees ${name}.`, "yes"];
    else if (look.verdict === "too close") text = `Too close to call: ${name} and ${names[look.rival]} differ by less than the page's error of ${short(look.bound)}.`;
    else if (look.winner !== seen.winner) text = `No longer ${names[seen.winner]}, but ${names[look.winner]}; not yet ${name}.`;
    else text = `Still seen as ${names[look.winner]}.`;
    $("verdict").textContent = text;
    $("verdict").className = kind;
  }

  app.views.push(update);
}

/** Marks under the slider, and the same as buttons. */
function drawMarks(app) {
  const { range } = app.now, list = app.marks(), rail = $("rail"), taken = [[], [], []];
  const place = (by) => (by + range) / (2 * range);
  rail.replaceChildren(...list.filter((m) => m.kind !== "none").map(({ by, label, kind }) => {
    const mark = h("span", { class: `mark ${kind}` }, h("span", { class: "text" }, label.replace(/ wins$/, "").replace("certified ", "")));
    const at = place(by), width = 0.008 * label.length + 0.015;
    const row = taken.findIndex((used) => used.every((u) => Math.abs(u.at - at) > (u.width + width) / 2));
    if (row < 0) mark.classList.add("bare");
    else taken[row].push({ at, width });
    mark.style.setProperty("--at", at);
    mark.style.setProperty("--row", Math.max(row, 0));
    return mark;
  }));
  $("scale").replaceChildren(...[-1, -0.5, 0, 0.5, 1].map((part) => h("span", {}, short(part * range))));
  $("marks").replaceChildren(...list.slice(0, 14).map(({ by, label, kind }) => h("li", { class: kind },
    kind === "none" ? label : h("button", { type: "button", onclick: () => app.set({ by, view: "along" }) }, `${label}: ${short(by)}`))));
}

/** Buttons for all pictures, and the ways to bring one's own. */
function pictureList(app, restore) {
  const { width, height } = app.facts, list = $("pictures");
  const draw = () => list.replaceChildren(...[...app.pictures].map(([key, { name, rgb }]) => {
    const canvas = h("canvas", { "aria-hidden": "true" });
    paint(canvas, rgb, width, height);
    return h("button", { type: "button", "data-key": key, title: name, "aria-pressed": String(key === app.state.picture),
      onclick: () => app.set({ picture: key, view: "along" }) }, canvas, h("span", {}, name));
  }));
  const use = async (rgb, name) => {
    const key = `own-${sha256(rgb).slice(0, 8)}`;
    app.pictures.set(key, { name, credit: "", rgb });
    await app.set({ picture: key, view: "along", by: 0 });
    say(`${name} was read. It stays on this machine.`);
  };
  app.usePicture = use;
  const read = async (file) => {
    try {
      say("Reading the picture.");
      const { rgb, text } = await readPicture(file, width, height);
      if (text !== null && (await restore(text))) return;
      await use(rgb, (file.name || "own picture").replace(/\.\w+$/, "").slice(0, 40) || "own picture");
    } catch (error) {
      say(error.message, true);
    }
  };
  $("file").addEventListener("change", () => {
    if ($("file").files[0]) read($("file").files[0]);
    $("file").value = "";
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) read(file);
    else say("That was not a picture file; drop one from a folder.", true);
  });
  addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) read(file);
  });
  camera(app, use);
  app.views.push(({ base }) => {
    if (!base) return;
    if (list.children.length !== app.pictures.size) draw();
    for (const button of list.children) button.setAttribute("aria-pressed", String(button.dataset.key === app.state.picture));
  });
}

function camera(app, use) {
  const dialog = $("camera-dialog"), video = $("video");
  let stream = null;
  $("camera").addEventListener("click", async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      return say("The camera cannot be used: there is none, or the browser was not allowed to use it.", true);
    }
    video.srcObject = stream;
    dialog.showModal();
    await video.play();
  });
  dialog.addEventListener("close", () => stream?.getTracks().forEach((track) => track.stop()));
  $("camera-cancel").addEventListener("click", () => dialog.close());
  $("camera-take").addEventListener("click", () => {
    if (!video.videoWidth) return;
    const { width, height } = app.facts;
    use(fromDrawable(video, video.videoWidth, video.videoHeight, width, height), "from the camera");
    dialog.close();
  });
}

/** The class to reach, by name, id or wnid. */
function target(app) {
  const input = $("target");
  $("classes").append(...app.names.map((name) => h("option", { value: name })));
  const choose = () => {
    const text = input.value.trim().toLowerCase();
    if (!text) return (input.value = app.names[app.state.target]);
    const matches = [
      (c, k) => String(k) === text || c.wnid.toLowerCase() === text || c.names[0].toLowerCase() === text,
      (c) => c.names.some((n) => n.toLowerCase() === text),
      (c) => c.names.some((n) => n.toLowerCase().startsWith(text)),
      (c) => c.names.some((n) => n.toLowerCase().includes(text)),
    ];
    for (const match of matches) {
      const found = app.facts.classes.findIndex(match);
      if (found >= 0) return app.set({ target: found, view: "along" });
    }
    say(`No class is called ${JSON.stringify(input.value.slice(0, 40))}; choose one from the list.`, true);
    input.value = app.names[app.state.target];
  };
  input.addEventListener("change", choose);
  input.addEventListener("focus", () => input.select());
  app.views.push(({ base }) => base && (input.value = app.names[app.state.target]));
}
