// PNG files, written and read by the page itself: a canvas is never asked for pixels that are saved or scored, because
// browsers may alter them to protect their users from being recognised.
import { adler32, crc32 } from "./bytes.js";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
export const KEYWORD = "foolcaffe";

/** The bytes of an 8-bit RGB PNG, with a text chunk (iTXt, UTF-8) under the keyword "foolcaffe". */
export function encodePng(rgb, width, height, text) {
  const rows = new Uint8Array(height * (3 * width + 1));
  for (let y = 0; y < height; y++) rows.set(rgb.subarray(3 * width * y, 3 * width * (y + 1)), y * (3 * width + 1) + 1);
  const head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, 2, 0, 0, 0], 8);
  const utf8 = new TextEncoder();
  const chunks = [
    chunk("IHDR", head),
    chunk("iTXt", join([utf8.encode(KEYWORD), [0, 0, 0, 0, 0], utf8.encode(text)])),
    chunk("IDAT", stored(rows)),
    chunk("IEND", []),
  ];
  return join([SIGNATURE, ...chunks]);
}

/** Pixels and text of a PNG of 8 bits that is not interlaced; null for other files, which a browser may read.
 *  Throws an Error with a sentence if the file is a damaged PNG. Transparency is laid over white. */
export async function decodePng(bytes) {
  if (!SIGNATURE.every((v, i) => bytes[i] === v)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data = [];
  let header = null, palette = null, alpha = null, text = null, ended = false;
  for (let at = 8; at + 12 <= bytes.length && !ended; ) {
    const length = view.getUint32(at), body = bytes.subarray(at + 8, at + 8 + length);
    if (at + 12 + length > bytes.length) throw new Error("The PNG ends in the middle of a part.");
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (crc32(bytes.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length))
      throw new Error(`The PNG is damaged: the checksum of its part ${JSON.stringify(kind)} is wrong.`);
    if (kind === "IHDR") header = { width: view.getUint32(at + 8), height: view.getUint32(at + 12), rest: body.slice(8) };
    else if (kind === "PLTE") palette = body;
    else if (kind === "tRNS") alpha = body;
    else if (kind === "IDAT") data.push(body);
    else if (kind === "iTXt") text = ownText(body) ?? text;
    else if (kind === "IEND") ended = true;
    at += 12 + length;
  }
  if (!header || header.rest.length !== 5 || !data.length || !ended) throw new Error("The PNG is not complete.");
  const [depth, colour, , , interlaced] = header.rest, channels = CHANNELS[colour];
  if (depth !== 8 || interlaced || !channels || header.width * header.height > 4e6 || (alpha && colour !== 3)) return null;
  const stride = header.width * channels, expected = (stride + 1) * header.height;
  const raw = await inflate(join(data), expected).catch(() => []);
  if (raw.length !== expected) throw new Error("The PNG is damaged: its pixels cannot be unpacked.");
  unfilter(raw, stride, channels, header.height);
  return { ...header, rgb: toRgb(raw, header, colour, channels, palette, alpha), text };
}

function ownText(body) {
  const key = new TextEncoder().encode(KEYWORD);
  if (!key.every((v, i) => body[i] === v) || body.slice(key.length, key.length + 5).some((v) => v)) return null;
  return new TextDecoder().decode(body.subarray(key.length + 5));
}

function join(parts) {
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function chunk(kind, body) {
  const out = new Uint8Array(body.length + 12), view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  out.set([...kind].map((c) => c.charCodeAt(0)), 4);
  out.set(body, 8);
  view.setUint32(body.length + 8, crc32(out.subarray(4, body.length + 8)));
  return out;
}

/** A zlib stream that stores its bytes without compressing them. */
function stored(bytes) {
  const parts = [[0x78, 0x01]];
  for (let at = 0; at < bytes.length; at += 65535) {
    const part = bytes.subarray(at, at + 65535), last = at + 65535 >= bytes.length ? 1 : 0, n = part.length;
    parts.push([last, n & 255, n >> 8, ~n & 255, (~n >> 8) & 255], part);
  }
  const sum = adler32(bytes);
  return join([...parts, [sum >>> 24, (sum >>> 16) & 255, (sum >>> 8) & 255, sum & 255]]);
}

/** Bytes out of a zlib stream. Throws if it is damaged, or if there are more than `most`. */
export async function inflate(bytes, most = Infinity) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader(), parts = [];
  let length = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    length += part.value.length;
    if (length > most) throw new Error("There are more bytes than expected.");
  }
  return join(parts);
}

/** Undo the filters of all rows, in place. */
function unfilter(raw, stride, channels, height) {
  for (let y = 0; y < height; y++) {
    const at = y * (stride + 1) + 1, kind = raw[at - 1];
    if (kind > 4) throw new Error("The PNG is damaged: it uses an unknown filter.");
    for (let i = 0; i < stride; i++) {
      const a = i >= channels ? raw[at + i - channels] : 0, b = y ? raw[at + i - stride - 1] : 0;
      const c = y && i >= channels ? raw[at + i - stride - 1 - channels] : 0;
      const pa = Math.abs(b - c), pb = Math.abs(a - c), pc = Math.abs(a + b - 2 * c);
      const paeth = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      raw[at + i] += [0, a, b, (a + b) >> 1, paeth][kind];
    }
  }
}

function toRgb(raw, { width, height }, colour, channels, palette, alpha) {
  const out = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = y * (width * channels + 1) + 1 + x * channels, to = 3 * (y * width + x);
      let opaque = 255, pixel;
      if (colour === 3) {
        pixel = palette ? palette.subarray(3 * raw[from], 3 * raw[from] + 3) : [];
        if (pixel.length !== 3) throw new Error("The PNG is damaged: a pixel has a colour that its palette lacks.");
        opaque = alpha?.[raw[from]] ?? 255;
      } else {
        pixel = channels < 3 ? [raw[from], raw[from], raw[from]] : raw.subarray(from, from + 3);
        if (channels === 2 || channels === 4) opaque = raw[from + channels - 1];
      }
      for (let i = 0; i < 3; i++) out[to + i] = Math.round((pixel[i] * opaque + 255 * (255 - opaque)) / 255);
    }
  return out;
}
