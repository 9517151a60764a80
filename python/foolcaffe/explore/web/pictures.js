// Pictures to begin with: those of the page, noise, grey, and the reader's own, which never leave this machine.
import { h } from "./dom.js";
import { random } from "./numbers.js";
import { fromBase64 } from "./bytes.js";
import { decodePng } from "./png.js";

const LARGEST_FILE = 100e6, LARGEST_PIXELS = 120e6;

/** All pictures that the page comes with: key → { name, credit, rgb }. */
export function included(facts) {
  const size = facts.width * facts.height * 3, out = new Map();
  for (const p of facts.pictures) out.set(p.key, { name: p.name, credit: p.credit, rgb: fromBase64(p.pixels) });
  const next = random(1);
  out.set("noise", { name: "noise", credit: "", rgb: Uint8Array.from({ length: size }, () => next() * 256) });
  out.set("grey", { name: "grey", credit: "", rgb: new Uint8Array(size).fill(128) });
  return out;
}

/** Read a file that the reader gave. Returns { rgb, text }: the picture at the classifier's size, and the experiment
 *  that a PNG of this page carries (else null). Throws an Error with a sentence for people. */
export async function readPicture(file, width, height) {
  const name = JSON.stringify((file.name || "the picture").slice(0, 60));
  if (!file.size) throw new Error(`${name} is empty.`);
  if (file.size > LARGEST_FILE) throw new Error(`${name} has ${Math.round(file.size / 1e6)} MB; a picture of at most 100 MB was expected.`);
  const head = new Uint8Array(await file.slice(0, 1024).arrayBuffer()), begin = new TextDecoder().decode(head).trimStart();
  if (file.type === "image/svg+xml" || /^(<\?xml|<!|<svg)/i.test(begin))
    throw new Error(`${name} is a drawing (SVG) or a document, not a picture of pixels; save it as PNG or JPEG first.`);
  if (head[0] === 137 && head[1] === 80) {
    const png = await decodePng(new Uint8Array(await file.arrayBuffer()));
    if (png) return { rgb: fit(png.rgb, png.width, png.height, width, height), text: png.text };
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${name} is not a picture that this browser can read; JPEG, PNG, GIF or WebP was expected.`);
  }
  if (bitmap.width * bitmap.height > LARGEST_PIXELS)
    throw new Error(`${name} has ${Math.round((bitmap.width * bitmap.height) / 1e6)} million pixels; at most 120 million were expected.`);
  const rgb = fromDrawable(bitmap, bitmap.width, bitmap.height, width, height);
  bitmap.close();
  return { rgb, text: null };
}

/** Pixels of a bitmap or video frame. Here, and only here, a canvas is read: if a browser alters what is read, the
 *  altered picture is what is shown, scored and saved from then on, so nothing disagrees. */
export function fromDrawable(source, wide, tall, width, height) {
  const shrink = Math.min(1, (8 * Math.max(width, height)) / Math.min(wide, tall));
  const canvas = h("canvas", { width: Math.max(1, Math.round(wide * shrink)), height: Math.max(1, Math.round(tall * shrink)) });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let i = 0, j = 0; i < rgba.length; i += 4, j += 3) rgb.set(rgba.subarray(i, i + 3), j);
  return fit(rgb, canvas.width, canvas.height, width, height);
}

/** The largest part in the middle with the classifier's proportions, every new pixel the mean of those it covers. */
export function fit(rgb, wide, tall, width, height) {
  if (wide === width && tall === height) return rgb;
  const scale = Math.min(wide / width, tall / height), left = (wide - scale * width) / 2, top = (tall - scale * height) / 2;
  const out = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const x0 = left + x * scale, x1 = x0 + scale, y0 = top + y * scale, y1 = y0 + scale;
      let area = 0, sums = [0, 0, 0];
      for (let v = Math.floor(y0); v < Math.min(tall, Math.ceil(y1 - 1e-9)); v++)
        for (let u = Math.floor(x0); u < Math.min(wide, Math.ceil(x1 - 1e-9)); u++) {
          const part = (Math.min(u + 1, x1) - Math.max(u, x0)) * (Math.min(v + 1, y1) - Math.max(v, y0));
          area += part;
          for (let c = 0; c < 3; c++) sums[c] += part * rgb[3 * (v * wide + u) + c];
        }
      for (let c = 0; c < 3; c++) out[3 * (y * width + x) + c] = Math.round(sums[c] / area);
    }
  return out;
}
