// The page's one state and what follows from it. Views read `app.now` and are told when something changed.
import { fromBase64 } from "./bytes.js";
import { $, say } from "./dom.js";
import { inflate } from "./png.js";
import { change, smallest, wholeImage } from "./exact.js";
import { flips, inEightBits, reaches, winners } from "./line.js";
import { Model } from "./model.js";
import { add, distances, permutation } from "./numbers.js";
import { included } from "./pictures.js";
import { format, parse } from "./state.js";

const RANGES = [1, 2, 4, 8, 16, 32, 64, 128]; // grey levels on either side of the slider
const SURE = 0.99;

export class App {
  constructor(facts) {
    this.facts = facts;
    this.size = facts.width * facts.height * 3;
    this.names = facts.classes.map((c) => c.names[0]);
    this.models = facts.models.map(() => null);
    this.pictures = included(facts);
    this.views = [];
    this.order = permutation(this.size, 7);
    this.image = new Uint8Array(this.size);
    this.shuffled = new Uint8Array(this.size);
    const first = [...this.pictures.keys()][0];
    this.state = { model: 0, picture: first, target: 0, by: 0, view: "along", mode: "guided", step: 0, hide: [], middle: "template", order: "name", toy: "" };
    this.now = null;
  }

  /** Begin with the state of the page's address. */
  async start() {
    await this.load(this.state.model);
    this.state.target = this.suggestion();
    this.fallback = { ...this.state };
    await this.restore(location.hash);
    addEventListener("popstate", () => this.restore(location.hash));
  }

  /** A class that the picture is not: the one that has the largest score but for the first. */
  suggestion() {
    const scores = this.models[this.state.model].scores(this.pictures.get(this.state.picture).rgb);
    const order = Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a]);
    const rocket = this.facts.classes.findIndex((c) => c.wnid === "rocket");
    return rocket >= 0 && order[0] !== rocket ? rocket : order[1] ?? 0;
  }

  async restore(hash) {
    const pixels = new URLSearchParams(hash.replace(/^#/, "")).get("pixels");
    const problems = pixels === null ? [] : this.addFromLink(pixels, hash);
    const found = parse(hash, this.fallback, this.facts, this.pictures);
    problems.push(...found.problems);
    await this.set(found.state, { keep: true });
    say(problems.join(" "), true);
  }

  addFromLink(pixels, hash) {
    try {
      const rgb = fromBase64(pixels), key = new URLSearchParams(hash.slice(1)).get("picture") ?? "";
      if (rgb.length !== this.size || !/^own-\w{1,12}$/.test(key)) throw new Error();
      this.pictures.set(key, { name: "own picture", credit: "", rgb });
      return [];
    } catch {
      return ["The link's picture is damaged."];
    }
  }

  /** Weights of a model, read from the page or loaded in parts. */
  async load(index) {
    if (this.models[index]) return;
    const element = $(`weights-${index}`);
    let bytes;
    if (element) {
      bytes = await inflate(fromBase64(element.textContent));
      element.textContent = "";
    } else {
      const parts = [];
      for (let i = 0; i < this.facts.parts; i++) {
        say(`Loading ${this.facts.models[index].name}: part ${i + 1} of ${this.facts.parts}.`);
        const answer = await fetch(`weights/${index}/${i}`);
        if (!answer.ok) throw new Error("The weights cannot be loaded; is the server still running?");
        parts.push(await answer.arrayBuffer());
      }
      bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
      say("");
    }
    this.models[index] = new Model(this.facts.models[index], bytes, this.size);
  }

  /** Change the state. `keep` leaves the address as it is. */
  async set(patch, { keep = false } = {}) {
    const before = this.state, next = { ...before, ...patch };
    if (!this.models[next.model]) {
      try {
        await this.load(next.model);
      } catch (error) {
        return say(error.message, true);
      }
    }
    next.by = Math.round(next.by * 1e6) / 1e6; // so that the address holds it exactly
    this.state = next;
    const base = !this.now || ["model", "picture", "target"].some((k) => before[k] !== next[k]);
    if (base) this.rebase();
    this.move();
    const what = { base, shape: base || before.mode !== next.mode || before.step !== next.step || before.hide !== next.hide };
    for (const view of this.views) view(what);
    if (!keep) this.remember(base || what.shape);
  }

  /** Write the state into the address: at once, or when a drag has come to rest. */
  remember(atOnce) {
    clearTimeout(this.timer);
    const write = () => {
      const text = format(this.state, this.facts);
      if (text !== location.hash) history.pushState(null, "", text);
    };
    if (atOnce) write();
    else this.timer = setTimeout(write, 400);
  }

  /** What depends on model, picture and target. */
  rebase() {
    const { target } = this.state, model = this.models[this.state.model], start = this.pictures.get(this.state.picture);
    const seen = model.look(start.rgb, target), template = model.template(target), slopes = model.column(target);
    const most = RANGES[RANGES.length - 1] / template.mean;
    const real = (guess, holds) => inEightBits(model, start.rgb, template, target, guess, most, holds);
    const flip = real(flips(seen.scores, slopes, target), (look) => look.verdict === "fools");
    const levels = [0.5, 0.9, SURE].map((p) => ({
      p, alpha: real(reaches(seen.scores, slopes, target, p, most), (look) => look.probabilities[target] >= p),
    }));
    const minimum = seen.winner === target ? null : smallest(model, seen.scores, target, null, 2 * Math.max(...model.errors(start.rgb)));
    this.now = { model, start, target, seen, template, slopes, flip, levels, minimum, exact: {} };
  }

  /** What depends on the slider too: the 8-bit image, and how it is seen. */
  move() {
    const { now, state } = this, { model, start, template, target } = now;
    let far = state.by;
    const last = [now.levels[2].alpha, now.flip].find((a) => a !== null && a * template.mean <= 96) ?? 0;
    far = Math.max(Math.abs(far), (last * template.mean) / 0.8);
    now.range = RANGES.find((r) => r >= far) ?? RANGES[RANGES.length - 1];
    now.alpha = state.by / template.mean;
    now.image = state.view === "along" ? add(start.rgb, template.row, now.alpha, this.image) : this.exact(state.view).image;
    if (!now.image) {
      say(`No 8-bit picture was found that is ${state.view === "flip" ? "seen as" : "seen with 99 % as"} ${this.names[target]}.`, true);
      now.image = add(start.rgb, template.row, 0, this.image);
    }
    now.look = model.look(now.image, target);
    now.sizes = distances(now.image, start.rgb);
  }

  /** The control: the very same changes of grey levels, at random places. */
  control() {
    const { model, start, target, image } = this.now, { order, shuffled } = this;
    for (let i = 0; i < this.size; i++) {
      const v = start.rgb[i] + image[order[i]] - start.rgb[order[i]];
      shuffled[i] = v < 0 ? 0 : v > 255 ? 255 : v;
    }
    return { image: shuffled, look: model.look(shuffled, target), sizes: distances(shuffled, start.rgb) };
  }

  /** The smallest change: { image, l2, bound }, found once for each start, target and model. */
  exact(view) {
    const { model, start, target, seen, exact } = this.now, p = view === "sure" ? SURE : null;
    if (!exact[view]) {
      const found = smallest(model, seen.scores, target, p, 2 * Math.max(...model.errors(start.rgb)));
      const delta = found && change(model, found.weights);
      exact[view] = { ...found, delta, image: found && wholeImage(model, start.rgb, delta, target, p) };
    }
    return exact[view];
  }

  /** Places on the slider worth knowing: [{ by, label }], in order. */
  marks() {
    const { seen, slopes, template, range, target, flip, levels, minimum, model } = this.now, { mean } = template;
    const out = winners(seen.scores, slopes, -range / mean, range / mean).slice(1).filter(({ winner }) => winner !== target)
      .map(({ from, winner }) => ({ by: from * mean, label: `${this.names[winner]} wins`, kind: "winner" }));
    if (flip) out.push({ by: flip * mean, label: `${this.names[target]} wins`, kind: "target" });
    if (flip === null) out.push({ by: 0, label: `${this.names[target]} never wins`, kind: "none" });
    for (const { p, alpha } of levels)
      if (alpha) out.push({ by: alpha * mean, label: `${Math.round(100 * p)} % ${this.names[target]}`, kind: "level" });
    if (minimum) out.push({ by: (minimum.bound / Math.sqrt(model.column(target)[target])) * mean, label: "certified minimum", kind: "bound" });
    return out.filter((m) => Math.abs(m.by) <= range).sort((a, b) => a.by - b.by);
  }
}
