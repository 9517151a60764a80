// All templates, as many as there are: only those in sight are elements.
import { $, h, paint, signed } from "./dom.js";
import { smallest } from "./exact.js";
import { short } from "./numbers.js";

const CELL = 112, ROW = 142, AHEAD = 2;

/** A listbox of templates; the arrow keys move in it, Enter chooses the target. */
export function gallery(app) {
  const box = $("templates"), inner = $("templates-inner"), order = $("order");
  let list = [], active = 0, columns = 1, cells = new Map(), prices = { key: "" };

  const key = () => `${app.state.model}|${app.state.picture}`;

  function note(k) {
    const { model, seen } = app.now;
    if (order.value === "price") {
      const price = prices.key === key() ? prices.values[k] : undefined;
      return k === seen.winner ? "seen already" : price === undefined ? "…" : price === null ? "out of reach" : `L2 ${short(price)}`;
    }
    if (order.value !== "similarity") return `class ${k}`;
    const column = app.now.slopes, own = column[app.state.target];
    return `cosine ${short(column[k] / Math.sqrt(own * model.facts.norms[k] ** 2))}`;
  }

  function sort() {
    const { names, now } = app, value = {
      name: null,
      similarity: (k) => -now.slopes[k] / model(k),
      price: (k) => (prices.key !== key() ? 0 : k === now.seen.winner ? -1 : prices.values[k] ?? Infinity),
    }[order.value];
    function model(k) {
      return now.model.facts.norms[k] || 1;
    }
    list = names.map((_, k) => k);
    list.sort(value ? (a, b) => value(a) - value(b) || a - b : (a, b) => names[a].localeCompare(names[b], "en") || a - b);
    active = Math.max(0, list.indexOf(app.state.target));
  }

  function render() {
    if (!box.clientWidth) return;
    columns = Math.max(1, Math.floor(box.clientWidth / CELL));
    inner.style.height = `${Math.ceil(list.length / columns) * ROW}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - AHEAD) * columns;
    const last = Math.min(list.length, (Math.ceil((box.scrollTop + box.clientHeight) / ROW) + AHEAD) * columns);
    const kept = new Map();
    for (let i = first; i < last; i++) {
      const k = list[i], cell = cells.get(k) ?? make(k);
      cell.style.transform = `translate(${(i % columns) * CELL}px, ${Math.floor(i / columns) * ROW}px)`;
      cell.setAttribute("aria-posinset", String(i + 1));
      cell.setAttribute("aria-selected", String(k === app.state.target));
      cell.classList.toggle("active", i === active);
      cell.lastChild.textContent = note(k);
      kept.set(k, cell);
    }
    cells = kept;
    inner.replaceChildren(...kept.values());
    box.setAttribute("aria-activedescendant", kept.has(list[active]) ? `template-${list[active]}` : "");
  }

  function make(k) {
    const { row, contrast } = app.now.model.template(k), canvas = h("canvas", { "aria-hidden": "true" });
    paint(canvas, signed(row, contrast), app.facts.width, app.facts.height);
    return h("div", { role: "option", id: `template-${k}`, class: "cell", "aria-setsize": String(app.names.length),
      onclick: () => choose(k) }, canvas, h("span", { class: "name" }, app.names[k]), h("span", { class: "note" }));
  }

  function choose(k) {
    app.set({ target: k, view: "along" });
  }

  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Enter" || event.key === " ") choose(list[active]);
    else if (step) {
      active = Math.max(0, Math.min(list.length - 1, active + step));
      const top = Math.floor(active / columns) * ROW;
      if (top < box.scrollTop) box.scrollTop = top;
      if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
      render();
    } else return;
    event.preventDefault();
  });
  box.addEventListener("scroll", render);
  addEventListener("resize", render);
  order.addEventListener("change", () => app.set({ order: order.value }));

  /** The smallest change to every class, a few at a time, so that the page stays alive. */
  async function price() {
    const wanted = key(), { model, seen, start } = app.now;
    if (prices.key === wanted) return prices;
    const values = [], slack = 2 * Math.max(...model.errors(start.rgb));
    for (let k = 0, begun = performance.now(); k < app.names.length; k++) {
      values.push(k === seen.winner ? 0 : smallest(model, seen.scores, k, null, slack)?.bound ?? null);
      if (performance.now() - begun < 30) continue;
      $("order-note").textContent = `${k + 1} of ${app.names.length} classes`;
      await new Promise((done) => setTimeout(done));
      if (key() !== wanted) return prices;
      begun = performance.now();
    }
    $("order-note").textContent = "";
    return (prices = { key: wanted, values });
  }
  app.prices = price;

  let shown = -1, sorted = "";
  app.views.push(async ({ base, shape }) => {
    const other = sorted !== app.state.order;
    if (!shape && !other) return;
    if (shown !== app.state.model) cells = new Map();
    shown = app.state.model;
    order.value = sorted = app.state.order;
    if ((base || other) && sorted === "price") await price();
    if (base || other) sort();
    if (other) box.scrollTop = 0;
    render();
  });
}
