// What happens along image + α · template. Before rounding and clipping every score is a straight line in α.
import { add, best, logSumExp } from "./numbers.js";

/** The classes that win between two values of α, as [{ from, winner }], in order. */
export function winners(scores, slopes, from, to) {
  const at = (alpha) => best(scores.map((s, k) => s + alpha * slopes[k]));
  const out = [{ from, winner: at(from) }];
  for (let alpha = from; out.length <= scores.length; ) {
    const now = out[out.length - 1].winner;
    let next = Infinity, winner = -1;
    for (let k = 0; k < scores.length; k++) {
      if (slopes[k] <= slopes[now]) continue;
      const cross = (scores[now] - scores[k]) / (slopes[k] - slopes[now]);
      if (cross >= alpha && (cross < next || (cross === next && slopes[k] > slopes[winner]))) [next, winner] = [cross, k];
    }
    if (next > to) break;
    alpha = next;
    out.push({ from: alpha, winner });
  }
  return out;
}

/** The probability of the target at α, as its log-odds against all others. */
function odds(scores, slopes, target, alpha) {
  const others = [];
  for (let k = 0; k < scores.length; k++) if (k !== target) others.push(k);
  const moved = Float64Array.from(scores, (s, k) => s + alpha * slopes[k]);
  return moved[target] - logSumExp(moved, others);
}

/** The smallest α ≥ 0 where the target has probability p: 0 if it has it already, null if it never has up to `to`. */
export function reaches(scores, slopes, target, p, to) {
  const wanted = Math.log(p / (1 - p)), steps = 64;
  if (odds(scores, slopes, target, 0) >= wanted) return 0;
  for (let i = 1; i <= steps; i++) {
    let low = (to * (i - 1)) / steps, high = (to * i) / steps;
    if (odds(scores, slopes, target, high) < wanted) continue;
    for (let n = 0; n < 40; n++) {
      const middle = (low + high) / 2;
      if (odds(scores, slopes, target, middle) < wanted) low = middle;
      else high = middle;
    }
    return high;
  }
  return null;
}

/** The smallest α ≥ 0 where the target is the best class, or null. */
export function flips(scores, slopes, target) {
  let least = 0, most = Infinity;
  for (let k = 0; k < scores.length; k++) {
    const behind = scores[k] - scores[target], gain = slopes[target] - slopes[k];
    if (k === target) continue;
    if (gain > 0) least = Math.max(least, behind / gain);
    else if (gain < 0) most = Math.min(most, behind / gain);
    else if (behind > 0) return null;
  }
  return least <= most ? least : null;
}

/** A factor of a template as the page's address holds it: in millionths of a grey level of change on average. */
export function rounded(alpha, mean) {
  return Math.round(alpha * mean * 1e6) / 1e6 / mean;
}

/** The smallest factor from which on the 8-bit picture has a property that the straight line has from `guess` on.
 *  Rounding and above all clipping make it larger; null if it is beyond `most`. */
export function inEightBits(model, start, { row, mean }, target, guess, most, holds) {
  if (!guess) return guess;
  const test = (alpha) => holds(model.look(add(start, row, rounded(alpha, mean)), target));
  let low = 0, high = guess;
  while (!test(high)) {
    if (high >= most) return null;
    [low, high] = [high, Math.min(most, high * 1.15)];
  }
  if (low === 0 && !test(0.9 * guess)) low = 0.9 * guess;
  for (let n = 0; n < 9; n++) {
    const middle = (low + high) / 2;
    if (test(middle)) high = middle;
    else low = middle;
  }
  return rounded(high, mean);
}
