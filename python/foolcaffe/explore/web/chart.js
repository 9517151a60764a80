// All scores as straight lines over the slider, with a cursor; the table beside it has the same in numbers.
import { $, table } from "./dom.js";
import { percent, short, top } from "./numbers.js";

/** Draw into #lines; the cursor is an element of its own, so that a move of the slider redraws nothing. */
export function chart(app) {
  const canvas = $("lines"), cursor = $("cursor"), details = $("lines-table");
  let drawn = "";

  function draw() {
    const { seen, slopes, template, range } = app.now, { target } = app.state;
    const wide = canvas.clientWidth, tall = canvas.clientHeight, ratio = devicePixelRatio || 1;
    if (!wide) return;
    [canvas.width, canvas.height] = [Math.round(wide * ratio), Math.round(tall * ratio)];
    const context = canvas.getContext("2d"), style = getComputedStyle(canvas), colour = (name) => style.getPropertyValue(name);
    context.scale(ratio, ratio);
    const at = (k, by) => seen.scores[k] + (by / template.mean) * slopes[k];
    let low = Infinity, high = -Infinity;
    seen.scores.forEach((_, k) => [-range, range].forEach((by) => ([low, high] = [Math.min(low, at(k, by)), Math.max(high, at(k, by))])));
    const y = (v) => tall - 6 - ((v - low) / (high - low || 1)) * (tall - 12);
    const line = (k, stroke, width) => {
      context.strokeStyle = stroke;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(0, y(at(k, -range)));
      context.lineTo(wide, y(at(k, range)));
      context.stroke();
    };
    context.fillStyle = colour("--line");
    context.fillRect(wide / 2, 0, 1, tall);
    seen.scores.forEach((_, k) => k !== target && k !== seen.winner && line(k, colour("--many"), seen.scores.length > 60 ? 0.5 : 1));
    if (seen.winner !== target) line(seen.winner, colour("--blue"), 2.5);
    line(target, colour("--orange"), 3);
    $("lines-low").textContent = short(low);
    $("lines-high").textContent = short(high);
  }

  function numbers() {
    if (!details.open) return;
    const { look, seen } = app.now;
    $("lines-rows").replaceChildren(table("Scores at the slider's place, from the 8-bit picture, highest first",
      ["class", "score", "score at 0", "probability"],
      top(look.scores).map((k) => [app.names[k], look.scores[k].toFixed(3), seen.scores[k].toFixed(3), percent(look.probabilities[k])])));
  }

  details.addEventListener("toggle", numbers);
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  app.views.push(({ base, shape }) => {
    const { range, seen } = app.now, { names, state } = app;
    if (base) $("lines-legend").replaceChildren(...legend(names[state.target], seen.winner === state.target ? null : names[seen.winner]));
    if (base || shape || drawn !== range) draw();
    drawn = range;
    cursor.hidden = state.view !== "along"; // the smallest change is not on these lines
    cursor.style.setProperty("--at", (Math.max(-range, Math.min(range, state.by)) + range) / (2 * range));
    numbers();
  });
}

function legend(target, winner) {
  const part = (kind, text) => {
    const span = document.createElement("span");
    span.className = `key ${kind}`;
    span.textContent = text;
    return span;
  };
  return [part("orange", target), ...(winner ? [part("blue", winner)] : []), part("many", "all other classes")];
}
