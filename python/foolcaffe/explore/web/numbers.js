// Small arithmetic that every part of the page shares: softmax, order, seeded random numbers, numbers as text.

/** Softmax of scores, in double precision. */
export function softmax(scores) {
  const most = Math.max(...scores);
  const out = Float64Array.from(scores, (s) => Math.exp(s - most));
  const sum = out.reduce((a, b) => a + b, 0);
  for (let i = 0; i < out.length; i++) out[i] /= sum;
  return out;
}

/** The softmax of scores at one position. */
export function softmaxAt(scores, k) {
  return softmax(scores)[k];
}

/** log Σ exp of the values at `indices`. */
export function logSumExp(values, indices) {
  let most = -Infinity;
  for (const i of indices) most = Math.max(most, values[i]);
  if (most === -Infinity) return most;
  let sum = 0;
  for (const i of indices) sum += Math.exp(values[i] - most);
  return most + Math.log(sum);
}

/** Position of the largest value; `except` is left out. */
export function best(values, except = -1) {
  let found = -1;
  for (let i = 0; i < values.length; i++) if (i !== except && (found < 0 || values[i] > values[found])) found = i;
  return found;
}

/** Positions in order of falling values, the first `count` of them. */
export function top(values, count = values.length) {
  return Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b).slice(0, count);
}

/** A generator of numbers in 0..1 from a seed (mulberry32), the same in every browser. */
export function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A permutation of 0..count − 1 from a seed. */
export function permutation(count, seed) {
  const next = random(seed), order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Mean, largest and L2 size of the difference of two images, in grey levels. */
export function distances(a, b) {
  let sum = 0, largest = 0, squares = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i] - b[i]);
    sum += d;
    squares += d * d;
    if (d > largest) largest = d;
  }
  return { mean: sum / a.length, largest, l2: Math.sqrt(squares) };
}

/** A real change added to an image: rounded, clipped to 0..255, as a PNG holds it. */
export function add(start, change, factor, out = new Uint8Array(start.length)) {
  for (let i = 0; i < start.length; i++) {
    const v = Math.round(start[i] + factor * change[i]);
    out[i] = v < 0 ? 0 : v > 255 ? 255 : v;
  }
  return out;
}

/** A probability in percent; what is nearly sure or nearly impossible does not become 100 or 0. */
export function percent(p) {
  if (p >= 0.9995) return ">99.9\u00a0%";
  if (p > 0 && p < 0.0005) return "<0.1\u00a0%";
  return `${(100 * p).toFixed(1)}\u00a0%`;
}

/** A number with about three significant digits, a true minus sign, and thousands apart. */
export function short(value) {
  if (!Number.isFinite(value)) return "none";
  const size = Math.abs(value);
  const digits = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 4;
  const text = size !== 0 && size < 1e-4 ? size.toExponential(1) : size === Math.round(size) ? String(size) : size.toFixed(digits);
  const [whole, part] = text.split(".");
  const grouped = whole.includes("e") ? whole : whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return (value < 0 ? "−" : "") + grouped + (part ? `.${part}` : "");
}
