// Building and painting elements. Text always goes in as text, never as markup.

/** The element with an id. */
export function $(id) {
  return document.getElementById(id);
}

/** A new element: properties (on… are listeners, others attributes), then children: elements or text. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((c) => c != null));
  return element;
}

/** Show an RGB image in a canvas at its own size; the style sheet makes it larger. */
export function paint(canvas, rgb, width, height) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const data = new ImageData(width, height), to = data.data;
  for (let i = 0, j = 0; i < rgb.length; i += 3, j += 4) {
    to[j] = rgb[i];
    to[j + 1] = rgb[i + 1];
    to[j + 2] = rgb[i + 2];
    to[j + 3] = 255;
  }
  canvas.getContext("2d").putImageData(data, 0, 0);
}

/** Numbers around zero as a picture: zero is grey, ±contrast is full contrast. */
export function signed(values, contrast) {
  return Uint8Array.from(values, (v) => Math.min(255, Math.max(0, Math.round(127.5 + (127.5 * v) / contrast))));
}

/** A table: heads, rows of cells; numbers are aligned to the right. */
export function table(caption, heads, rows) {
  return h("table", {}, h("caption", {}, caption),
    h("thead", {}, h("tr", {}, ...heads.map((t) => h("th", { scope: "col" }, t)))),
    h("tbody", {}, ...rows.map((cells) => h("tr", {}, ...cells.map((c, i) =>
      i ? h("td", {}, c) : h("th", { scope: "row" }, c))))));
}

/** Offer bytes as a file. */
export function download(name, bytes, type) {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** Say a sentence to everybody, screen readers included. */
export function say(text, bad = false) {
  const status = $("status");
  status.textContent = text;
  status.classList.toggle("bad", bad);
  status.hidden = !text;
}

/** Whether the reader has asked for less motion. */
export function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
