// The smallest change, in L2, that makes a linear classifier see the target: found on the Gram matrix, with a proof.
//
// A change δ is Σ c_k w_k, so all one needs of 12,288 pixels is how templates multiply. "The target is best" is one
// half-space for each rival. "It has probability p" is convex: half-spaces that touch it are added where it is violated.
// Every set of half-spaces contains the true set, so the least distance to it is a lower bound for every image.
import { add, best, distances, logSumExp } from "./numbers.js";

/** λ ≥ 0 that maximises λ·d − ½ λᵀHλ, one coordinate at a time, from a start. */
function coordinateDescent(h, d, lam) {
  const scale = Math.max(...d.map(Math.abs), 1e-300);
  for (let sweep = 0; sweep < 20000; sweep++) {
    let moved = 0;
    for (let r = 0; r < d.length; r++) {
      let slope = d[r];
      for (let s = 0; s < d.length; s++) slope -= h[r][s] * lam[s];
      const next = Math.max(0, lam[r] + slope / h[r][r]);
      moved = Math.max(moved, Math.abs(next - lam[r]) * h[r][r]);
      lam[r] = next;
    }
    if (moved <= 1e-11 * scale) break;
  }
  return lam;
}

/** The smallest change towards `target`, for p null ("just flips") or a probability.
 *
 *  `scores` are those of the start; `slack` is by how much scores may be wrong: the bound allows for it.
 *  Returns { weights: c (one number a class), l2, bound }, or null if no change does it. `bound` is proved: no image,
 *  of whatever kind, is nearer to the start and has the property.
 */
export function smallest(model, scores, target, p = null, slack = 0) {
  const classes = scores.length, rivals = [];
  for (let k = 0; k < classes; k++) if (k !== target) rivals.push(k);
  const limit = p === null ? 0 : Math.log((1 - p) / p);
  let rows = [], moves = [], deficits = [], lam = [], moved = new Float64Array(classes);
  const scale = Math.max(1, Math.abs(scores[best(scores)] - scores[target]));
  for (let round = 0; round < 200; round++) {
    const ahead = Float64Array.from(scores, (s, k) => s + moved[k] - scores[target] - moved[target]);
    const row = new Map([[target, 1]]);
    let excess;
    if (p === null) {
      const worst = best(ahead, target);
      excess = ahead[worst];
      row.set(worst, -1);
    } else {
      const total = logSumExp(ahead, rivals);
      excess = total - limit;
      const shares = rivals.map((k) => Math.exp(ahead[k] - total)), least = classes > 256 ? 3e-3 : 1e-5;
      const kept = shares.reduce((sum, s) => sum + (s >= least ? s : 0), 0);
      excess += Math.log(kept); // fewer rivals are easier to pass: still a bound
      rivals.forEach((k, i) => shares[i] >= least && row.set(k, -shares[i] / kept));
    }
    if (excess <= 1e-7 * scale) break;
    const move = new Float64Array(classes);
    for (const [k, c] of row) model.column(k).forEach((g, j) => (move[j] += c * g));
    let gained = 0, length = 0;
    for (const [k, c] of row) [gained, length] = [gained + c * moved[k], length + c * move[k]];
    if (!(length > 1e-12 * model.column(target)[target])) return null;
    rows.push(row);
    moves.push(move);
    deficits.push(excess + gained);
    const products = rows.map((r) => moves.map((m) => [...r].reduce((sum, [k, c]) => sum + c * m[k], 0)));
    lam = coordinateDescent(products, deficits, [...lam, 0]);
    if (!lam.every(Number.isFinite)) return null;
    const used = lam.map((l) => l > 0); // half-spaces that do not touch are dropped; they come back if they are needed
    [rows, moves, deficits, lam] = [rows, moves, deficits, lam].map((list) => list.filter((_, r) => used[r]));
    moved = new Float64Array(classes);
    moves.forEach((m, r) => m.forEach((g, k) => (moved[k] += lam[r] * g)));
  }
  const weights = new Float64Array(classes);
  rows.forEach((row, r) => row.forEach((c, k) => (weights[k] += lam[r] * c)));
  const square = weights.reduce((sum, c, k) => sum + c * moved[k], 0);
  const reward = lam.reduce((sum, l, r) => sum + l * (deficits[r] - slack), 0);
  return { weights, l2: Math.sqrt(Math.max(square, 0)), bound: Math.sqrt(Math.max(2 * reward - square, 0)) };
}

/** Σ c_k w_k, in grey levels. */
export function change(model, weights) {
  const out = new Float64Array(model.size);
  weights.forEach((c, k) => {
    if (Math.abs(c) < 1e-9) return;
    const factor = c * model.units[k], row = model.whole[k];
    for (let i = 0; i < out.length; i++) out[i] += factor * row[i];
  });
  return out;
}

/** An 8-bit image near start + δ that certainly has the property, or null. Rounding loses a little of what δ gains:
 *  where it does, single grey levels are changed that gain most for what they cost; or all of δ is made larger. */
export function wholeImage(model, start, delta, target, p = null) {
  const limit = p === null ? 0 : Math.log((1 - p) / p);
  const others = Array.from({ length: model.classes }, (_, k) => k).filter((k) => k !== target);
  const missing = (image) => {
    const { scores, margin, bound } = model.look(image, target);
    return { scores, gap: Math.max(-margin, p === null ? -Infinity : logSumExp(scores, others) - scores[target] - limit) + bound };
  };
  const found = [];
  const repaired = add(start, delta, 1);
  for (let round = 0; round < 40; round++) {
    const { scores, gap } = missing(repaired);
    if (gap < 0) {
      found.push(repaired);
      break;
    }
    if (!repair(model, start, delta, repaired, target, shares(scores, others, p === null ? gap / 3 : 1), gap)) break;
  }
  let low = 1, high = 8;
  if (!found.length && missing(add(start, delta, high)).gap < 0) {
    for (let n = 0; n < 14; n++) {
      const middle = (low + high) / 2;
      if (missing(add(start, delta, middle)).gap < 0) high = middle;
      else low = middle;
    }
    found.push(add(start, delta, high));
  }
  found.sort((a, b) => distances(a, start).l2 - distances(b, start).l2);
  return found[0] ?? null;
}

/** How much each rival counts: those that are ahead most, the more so the lower the temperature. */
function shares(scores, others, temperature) {
  const cooled = scores.map((s) => s / temperature), total = logSumExp(cooled, others);
  return others.map((k) => [k, Math.exp(cooled[k] - total)]).filter(([, s]) => s > 1e-3);
}

/** Change single grey levels of `image` until about `gap` is gained against the rivals; false if nothing is left. */
function repair(model, start, delta, image, target, rivals, gap) {
  const gain = Float64Array.from(model.template(target).row);
  for (const [k, share] of rivals) {
    const factor = share * model.units[k], row = model.whole[k];
    for (let i = 0; i < gain.length; i++) gain[i] -= factor * row[i];
  }
  const value = Float64Array.from(gain, (g, i) => {
    const next = image[i] + Math.sign(g);
    if (next < 0 || next > 255) return 0;
    return Math.abs(g) / Math.max(0.5 - Math.sign(g) * (start[i] + delta[i] - image[i]), 1e-3);
  });
  let gained = 0;
  for (const i of Array.from(value.keys()).sort((a, b) => value[b] - value[a])) {
    if (value[i] === 0 || gained >= gap) break;
    image[i] += Math.sign(gain[i]);
    gained += Math.abs(gain[i]);
  }
  return gained > 0;
}
