// The page's modules without a browser: goldens of real Caffe, PNGs, hashes, the smallest change.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs";
import test from "node:test";
import zlib from "node:zlib";

const root = new URL("../../", import.meta.url), web = new URL("python/foolcaffe/explore/web/", root);
const load = (name) => import(new URL(`${name}.js`, web));
const bytes = await load("bytes"), numbers = await load("numbers"), png = await load("png"), lines = await load("line");
const { Model } = await load("model"), { smallest, change, wholeImage } = await load("exact"), state = await load("state");

const page = fs.readFileSync(new URL("docs/explorer.html", root), "utf8");
const block = (id) => page.match(new RegExp(`id="${id}">([^<]*)<`))[1];
const facts = JSON.parse(block("facts")), size = facts.width * facts.height * 3;
const goldens = JSON.parse(fs.readFileSync(new URL("goldens.json", import.meta.url), "utf8"));
const models = await Promise.all(facts.models.map(async (m, i) => new Model(m, await png.inflate(bytes.fromBase64(block(`weights-${i}`))), size)));
const pictures = facts.pictures.map((p) => ({ ...p, rgb: bytes.fromBase64(p.pixels) }));

test("scores and confidences are real Caffe's, within the bound that the page states", () => {
  let compared = 0, worst = 0;
  for (const model of models)
    for (const { key, rgb } of pictures)
      for (const [name, image] of [["as it is", rgb], ["darker", rgb.map((v) => (v >> 1) + 3)]]) {
        const golden = goldens[`${model.facts.sha256.weights} ${key} ${name}`], { scores, probabilities } = model.look(image, 0);
        const errors = model.errors(image), p = numbers.softmax(golden);
        golden.forEach((g, k) => {
          assert.ok(Math.abs(scores[k] - g) <= errors[k] + 1e-6 * Math.abs(g), `${key} ${name} ${k}: ${scores[k]}, Caffe ${g}`);
          assert.ok(Math.abs(probabilities[k] - p[k]) <= 1e-3);
          worst = Math.max(worst, Math.abs(probabilities[k] - p[k]));
          compared++;
        });
      }
  assert.equal(compared, models.length * pictures.length * 2 * facts.classes.length);
  console.log(`largest difference in confidence: ${worst}`);
});

test("residuals of four bits are unpacked with their signs", () => {
  const packed = Uint8Array.from([3, 254, 5, 0x97, 0x0f]); // high 3, −2, 5; low 7, −7 | −1
  const tiny = { residual_bits: 4, step: 14, units: [0.5], offsets: [1], error_l1: [0], error_l2: [0], rounding: 0 };
  const model = new Model(tiny, packed, 3);
  assert.deepEqual([...model.whole[0]], [3 * 14 + 7, -2 * 14 - 7, 5 * 14 - 1]);
  assert.equal(model.scores(Uint8Array.from([1, 2, 3]))[0], 0.5 * (49 - 70 + 207) + 1);
  assert.throws(() => new Model(tiny, packed.slice(1), 3), /not complete/);
});

test("the Gram column is the product of templates", () => {
  const column = models[0].column(4), a = models[0].template(4).row, b = models[0].template(9).row;
  assert.ok(Math.abs(column[9] - a.reduce((s, v, i) => s + v * b[i], 0)) <= 1e-12 * Math.abs(column[4]));
});

test("winners along a line are those of every place on it", () => {
  const model = models[0], scores = model.scores(pictures[3].rgb), slopes = model.column(12), far = 128 / model.template(12).mean;
  const parts = lines.winners(scores, slopes, -far, far);
  assert.ok(parts.length > 2);
  for (let i = 0; i <= 400; i++) {
    const alpha = -far + (2 * far * i) / 400 + 1e-3, truth = numbers.best(scores.map((s, k) => s + alpha * slopes[k]));
    assert.equal([...parts].reverse().find((p) => p.from <= alpha).winner, truth);
  }
  const flip = lines.flips(scores, slopes, 12);
  assert.equal(parts.find((p) => p.winner === 12).from, flip);
  for (const p of [0.5, 0.9, 0.99]) {
    const alpha = lines.reaches(scores, slopes, 12, p, far);
    assert.ok(Math.abs(numbers.softmaxAt(scores.map((s, k) => s + alpha * slopes[k]), 12) - p) < 1e-6);
  }
});

test("a mark on the slider fools when the address has brought one there", () => {
  for (const [m, i, target] of [[0, 0, 12], [1, 3, 5], [6, 8, 2], [7, 10, 0]]) {
    const model = models[m], start = pictures[i].rgb, template = model.template(target), slopes = model.column(target);
    const guess = lines.flips(model.scores(start), slopes, target), most = 128 / template.mean;
    const alpha = lines.inEightBits(model, start, template, target, guess, most, (look) => look.verdict === "fools");
    const by = Math.round(alpha * template.mean * 1e6) / 1e6; // what the page's address holds
    assert.equal(model.look(numbers.add(start, template.row, by / template.mean), target).verdict, "fools");
    assert.ok(alpha >= 0.9 * guess && alpha < 1.6 * guess, `${alpha} ${guess}`);
  }
});

test("the smallest change: proved by duality, met by the change, near it in 8 bits", () => {
  for (const [m, i, target, p] of [[0, 0, 12, null], [0, 3, 5, 0.99], [3, 1, 12, null], [6, 8, 2, 0.99]]) {
    const model = models[m], start = pictures[i].rgb, scores = model.scores(start);
    const found = smallest(model, scores, target, p), delta = change(model, found.weights);
    const l2 = Math.hypot(...delta), moved = scores.map((s, k) => s + delta.reduce((sum, v, j) => sum + v * model.template(k).row[j], 0));
    assert.ok(Math.abs(l2 - found.l2) <= 1e-6 * l2);
    assert.ok(Math.abs(found.bound - found.l2) <= 1e-4 * l2, `${found.bound} ${found.l2}`); // strong duality
    if (p === null) assert.ok(moved[target] >= moved[numbers.best(moved, target)] - 1e-5);
    else assert.ok(Math.abs(numbers.softmaxAt(moved, target) - p) < 1e-5);
    const image = wholeImage(model, start, delta, target, p), look = model.look(image, target);
    assert.equal(look.verdict, "fools");
    if (p) assert.ok(look.probabilities[target] >= p);
    const there = numbers.distances(image, start).l2;
    assert.ok(there >= found.bound && there <= 1.15 * found.bound, `${there} ${found.bound}`);
  }
});

test("two equal templates cannot be told apart, and no change is claimed", () => {
  const row = Uint8Array.from([100, 27, 5, 0, 0, 0]), twins = Uint8Array.from([...row, ...row]);
  const facts = { residual_bits: 8, step: 254, units: [1, 1], offsets: [1, 0], error_l1: [0, 0], error_l2: [0, 0], rounding: 0 };
  assert.equal(smallest(new Model(facts, twins, 3), [1, 0], 1), null);
});

test("SHA-256 and base64 are the standard's", () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 12288]) {
    const data = Uint8Array.from({ length }, (_, i) => i * 7);
    assert.equal(bytes.sha256(data), createHash("sha256").update(data).digest("hex"));
    assert.deepEqual(bytes.fromBase64(bytes.toBase64(data)), data);
  }
});

test("a PNG that is written is read again, with its text", async () => {
  const rgb = Uint8Array.from({ length: 5 * 7 * 3 }, (_, i) => (i * 31) & 255), text = JSON.stringify({ name: "größer 猫" });
  const file = png.encodePng(rgb, 5, 7, text), back = await png.decodePng(file);
  assert.deepEqual([back.width, back.height, back.text], [5, 7, text]);
  assert.deepEqual(back.rgb, rgb);
  const damaged = file.slice();
  damaged[damaged.length - 30] ^= 1;
  await assert.rejects(png.decodePng(damaged), /checksum/);
  await assert.rejects(png.decodePng(file.slice(0, 60)), /ends|complete/);
  assert.equal(await png.decodePng(Uint8Array.from([255, 216, 255])), null);
});

test("every filter of PNG is undone", async () => {
  const wide = 4, tall = 5, rows = [];
  for (let y = 0; y < tall; y++) rows.push(y, ...Array.from({ length: 3 * wide }, (_, i) => (y * 50 + i * 3) & 255));
  const chunk = (kind, body) => {
    const part = Buffer.concat([Buffer.from(kind), body]), out = Buffer.alloc(part.length + 8);
    out.writeUInt32BE(body.length, 0);
    part.copy(out, 4);
    out.writeUInt32BE(bytes.crc32(part), part.length + 4);
    return out;
  };
  const head = Buffer.from([0, 0, 0, wide, 0, 0, 0, tall, 8, 2, 0, 0, 0]);
  const file = Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", head), chunk("IDAT", zlib.deflateSync(Buffer.from(rows))), chunk("IEND", Buffer.alloc(0))]);
  const { rgb } = await png.decodePng(new Uint8Array(file)), at = (x, y, c) => (x < 0 || y < 0 ? 0 : rgb[3 * (y * wide + x) + c]);
  for (let y = 0; y < tall; y++) for (let x = 0; x < wide; x++) for (let c = 0; c < 3; c++) {
    const raw = (y * 50 + (3 * x + c) * 3) & 255, a = at(x - 1, y, c), b = at(x, y - 1, c), d = at(x - 1, y - 1, c), p = a + b - d;
    const near = [a, b, d].reduce((m, v) => (Math.abs(p - v) < Math.abs(p - m) ? v : m), a);
    assert.equal(at(x, y, c), (raw + [0, a, b, (a + b) >> 1, near][y]) & 255);
  }
});

test("the state goes into an address and comes back; nonsense becomes sentences", () => {
  const keys = new Map(facts.pictures.map((p) => [p.key, p])), begin = { model: 0, picture: "cat", target: 1, by: 0, view: "along", mode: "guided", step: 0, hide: [], middle: "template", order: "name", toy: "" };
  const wanted = { ...begin, model: 3, picture: "rocket", target: 5, by: -2.5, view: "sure", mode: "teach", hide: ["toy"], middle: "x10", order: "price", toy: "2_-1_3_-2_2_2_1_-4.5_5_1_0.25_0.6000" };
  assert.deepEqual(state.parse(state.format(wanted, facts), begin, facts, keys), { state: wanted, problems: [] });
  const odd = state.parse("#model=<b>&picture=../x&target=&by=NaN&mode=evil&step=99&toy=1_2&order=size&%%%&constructor=1", begin, facts, keys);
  assert.deepEqual(odd.state, begin);
  assert.ok(odd.problems.length >= 5);
  assert.ok(odd.problems.every((p) => p.endsWith(".")));
});

test("numbers as text", () => {
  assert.deepEqual([0, 5, -3, 0.5, 12345.6, 0.00001, Infinity].map(numbers.short), ["0", "5", "−3", "0.50", "12,346", "1.0e-5", "none"]);
  assert.deepEqual([0, 0.0001, 0.5, 0.9999].map(numbers.percent), ["0.0\u00a0%", "<0.1\u00a0%", "50.0\u00a0%", ">99.9\u00a0%"]);
});

test("a permutation holds every place once", () => {
  assert.deepEqual([...numbers.permutation(500, 3)].sort((a, b) => a - b), Array.from({ length: 500 }, (_, i) => i));
  assert.notDeepEqual(numbers.permutation(500, 3), numbers.permutation(500, 4));
});
