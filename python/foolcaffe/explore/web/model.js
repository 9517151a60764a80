// A linear classifier, score = w·x + b for each class, with weights that are whole numbers times a unit.
// Sums of whole weights times 8-bit pixels stay far below 2^53, so they are exact; what is not exact, that
// w is only nearly unit × whole, has a rigorous bound (foolcaffe/explore/weights.py).
import { best, softmax } from "./numbers.js";

const BLOCK = 256; // 32385 · 255 · 256 is below 2^31: sums of a block fit a 32-bit integer

export class Model {
  /** `facts` as foolcaffe.explore writes them, the weights' bytes, and the number of values of an image. */
  constructor(facts, bytes, size) {
    this.facts = facts;
    this.size = size;
    this.classes = facts.units.length;
    this.units = Float64Array.from(facts.units);
    this.offsets = Float64Array.from(facts.offsets);
    this.whole = unpack(bytes, this.classes, size, facts);
    this.columns = new Map();
    this.rows = new Map();
  }

  /** The scores of an 8-bit image, RGB. */
  scores(image) {
    return Float64Array.from(this.units, (unit, k) => unit * dot(this.whole[k], image) + this.offsets[k]);
  }

  /** A template: the weight row of a class, in score per grey level, with its mean size and its contrast. */
  template(k) {
    if (!this.rows.has(k)) {
      const row = Float64Array.from(this.whole[k], (q) => q * this.units[k]);
      const sizes = row.map(Math.abs), mean = sizes.reduce((a, b) => a + b, 0) / row.length;
      const contrast = sizes.sort()[Math.floor(0.995 * (row.length - 1))] || 1;
      if (this.rows.size > 64) this.rows.clear();
      this.rows.set(k, { row, mean: mean || 1e-300, contrast });
    }
    return this.rows.get(k);
  }

  /** A column of the Gram matrix: the products of all templates with that of class k. */
  column(k) {
    if (!this.columns.has(k)) {
      const own = this.whole[k];
      const out = this.whole.map((row, j) => {
        let sum = 0;
        for (let i = 0; i < row.length; i++) sum += own[i] * row[i];
        return sum * this.units[j] * this.units[k];
      });
      this.columns.set(k, Float64Array.from(out));
    }
    return this.columns.get(k);
  }

  /** For each class: by how much the score of an image may differ from that of the real weights in Caffe's floats. */
  errors(image) {
    let largest = 0, squares = 0;
    for (let i = 0; i < image.length; i++) {
      const d = Math.abs(image[i] - 127.5);
      squares += d * d;
      if (d > largest) largest = d;
    }
    const { error_l1: l1, error_l2: l2, rounding } = this.facts;
    return Float64Array.from(l1, (e, k) => Math.min(e * largest, l2[k] * Math.sqrt(squares)) + rounding);
  }

  /** How an 8-bit image is seen: scores, probabilities, best class, and whether "class t is best" is certain. */
  look(image, target) {
    const scores = this.scores(image), rival = best(scores, target), margin = scores[target] - scores[rival];
    const errors = this.errors(image), bound = errors[target] + errors[rival];
    const verdict = margin > bound ? "fools" : margin < -bound ? "does not" : "too close";
    return { scores, probabilities: softmax(scores), winner: best(scores), rival, margin, bound, verdict };
  }
}

/** Whole weights from the packed bytes: for each class its high bytes, then its residuals of 8 or 4 bits. */
function unpack(bytes, classes, size, { residual_bits: bits, step }) {
  const low = bits === 8 ? size : Math.ceil(size / 2), signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length !== classes * (size + low)) throw new Error("The weights in this page are not complete.");
  return Array.from({ length: classes }, (_, k) => {
    const row = new Int16Array(size), at = k * (size + low);
    for (let i = 0; i < size; i++) {
      const rest = bits === 8 ? signed[at + size + i]
        : i & 1 ? signed[at + size + (i >> 1)] >> 4 : (signed[at + size + (i >> 1)] << 28) >> 28;
      row[i] = step * signed[at + i] + rest;
    }
    return row;
  });
}

/** Σ row · image, exactly; four sums at a time, which is twice as fast as one. */
function dot(row, image) {
  let sum = 0;
  for (let from = 0; from < row.length; from += BLOCK) {
    const to = Math.min(from + BLOCK, row.length);
    let a = 0, b = 0, c = 0, d = 0, i = from;
    for (; i + 3 < to; i += 4) {
      a = (a + Math.imul(row[i], image[i])) | 0;
      b = (b + Math.imul(row[i + 1], image[i + 1])) | 0;
      c = (c + Math.imul(row[i + 2], image[i + 2])) | 0;
      d = (d + Math.imul(row[i + 3], image[i + 3])) | 0;
    }
    for (; i < to; i++) a = (a + Math.imul(row[i], image[i])) | 0;
    sum += a + b + c + d;
  }
  return sum;
}
