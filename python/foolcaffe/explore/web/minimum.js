// The smallest change that fools, with its proof, and the price of every class from this picture.
import { $, h, table } from "./dom.js";
import { distances, short } from "./numbers.js";

/** Buttons for the smallest changes, their figures, and the price wall. */
export function minimum(app) {
  for (const view of ["flip", "sure", "along"]) $(`view-${view}`).addEventListener("click", () => app.set({ view }));
  $("wall-button").addEventListener("click", wall);

  async function wall() {
    const { names } = app, prices = await app.prices();
    if (!prices.values) return;
    const order = prices.values.map((_, k) => k).sort((a, b) => (prices.values[a] ?? Infinity) - (prices.values[b] ?? Infinity) || a - b);
    const most = Math.max(...prices.values.filter(Number.isFinite), 1e-9);
    $("wall").replaceChildren(h("div", { class: "wall", role: "group", "aria-label": "Price of every class" }, ...order.map((k) => {
      const value = prices.values[k], bar = h("span", { class: "bar", "aria-hidden": "true" });
      bar.style.setProperty("--part", (value ?? most) / most);
      return h("button", { type: "button", class: k === app.state.target ? "target" : "", onclick: () => app.set({ target: k, view: "flip" }) },
        h("span", { class: "name" }, names[k]), bar, h("span", { class: "value" }, value === null ? "never" : value === 0 ? "seen already" : short(value)));
    })));
    $("wall-note").textContent = "Smallest L2 change that is proved to be needed, in grey levels. A class opens with its smallest change.";
    wall.key = `${app.state.model}|${app.state.picture}`;
  }

  let shown = "";
  app.views.push(({ base }) => {
    if (!base && shown === app.state.view) return;
    shown = app.state.view;
    const { state, now, names } = app, exact = now.exact[state.view];
    for (const view of ["flip", "sure", "along"]) {
      $(`view-${view}`).setAttribute("aria-pressed", String(state.view === view));
      $(`view-${view}`).disabled = view !== "along" && now.seen.winner === state.target && view === "flip";
    }
    if (base && wall.key && wall.key !== `${state.model}|${state.picture}`) {
      $("wall").replaceChildren();
      $("wall-note").textContent = "";
    }
    if (state.view === "along") {
      $("proof").replaceChildren(now.minimum ? `No picture of any kind that is nearer than L2 ${short(now.minimum.bound)} is seen as ${names[state.target]}.` : `The picture is seen as ${names[state.target]} already.`);
      return;
    }
    if (!exact?.image) return $("proof").replaceChildren(`${names[state.target]} cannot be reached from here.`);
    const sizes = distances(exact.image, now.start.rgb);
    $("proof").replaceChildren(table(state.view === "sure" ? `At least 99 % ${names[state.target]}` : `${names[state.target]} just wins`, ["what", "L2, grey levels"], [
      ["proved: no picture is nearer", short(exact.bound)],
      ["the smallest change of real numbers, without regard to black and white", short(exact.l2)],
      ["the 8-bit picture that is shown", short(sizes.l2)],
    ]));
  });
}
