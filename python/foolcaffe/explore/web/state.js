// The whole state of the page as text behind the # of its address, so that a link, Back and Forward restore it.

export const MODES = ["guided", "free", "teach"];
export const VIEWS = ["along", "flip", "sure"];
export const PANELS = ["gallery", "regularization", "minimum", "keep", "toy", "research"];
export const MIDDLES = ["template", "x1", "x10"];
export const ORDERS = ["name", "similarity", "price"];
export const STEPS = 6;
const MOST = 128; // grey levels

/** The state as text. */
export function format(state, facts) {
  const out = new URLSearchParams({
    model: facts.models[state.model].name,
    picture: state.picture,
    target: facts.classes[state.target].wnid,
    by: String(state.by),
    mode: state.mode,
  });
  if (state.view !== "along") out.set("view", state.view);
  if (state.middle !== "template") out.set("middle", state.middle);
  if (state.order !== "name") out.set("order", state.order);
  if (state.toy) out.set("toy", state.toy);
  if (state.mode === "guided") out.set("step", String(state.step + 1));
  if (state.hide.length) out.set("hide", state.hide.join(","));
  return `#${out}`;
}

/** The state that a text means, on top of a given one, and a sentence for each part that means nothing. */
export function parse(text, state, facts, pictures) {
  const next = { ...state }, problems = [];
  for (const [key, value] of new URLSearchParams(text.replace(/^#/, ""))) {
    const shown = JSON.stringify(value.slice(0, 40));
    if (key === "model") {
      const found = facts.models.findIndex((m) => m.name === value);
      if (found >= 0) next.model = found;
      else problems.push(`The link names the model ${shown}, which this page has not.`);
    } else if (key === "picture") {
      if (pictures.has(value)) next.picture = value;
      else problems.push(`The link names the picture ${shown}, which this page has not; choose it again.`);
    } else if (key === "target") {
      const found = facts.classes.findIndex((c) => c.wnid === value);
      if (found >= 0) next.target = found;
      else problems.push(`The link names the class ${shown}, which this classifier has not.`);
    } else if (key === "by") {
      const number = Number(value);
      if (value.trim() && Math.abs(number) <= MOST) next.by = number;
      else problems.push(`The link's change ${shown} is not a number from −${MOST} to ${MOST}.`);
    } else if (key === "mode" && MODES.includes(value)) next.mode = value;
    else if (key === "view" && VIEWS.includes(value)) next.view = value;
    else if (key === "middle" && MIDDLES.includes(value)) next.middle = value;
    else if (key === "order" && ORDERS.includes(value)) next.order = value;
    else if (key === "toy" && /^(-?\d(\.\d)?_){10}[01](\.\d{1,2})?_[01](\.\d{1,4})?$/.test(value)) next.toy = value;
    else if (key === "step" && Number(value) >= 1 && Number(value) <= STEPS) next.step = Math.floor(Number(value)) - 1;
    else if (key === "hide") next.hide = value.split(",").filter((p) => PANELS.includes(p));
    else if (key !== "pixels") problems.push(`The link has a part that means nothing here: ${JSON.stringify(key.slice(0, 40))}.`);
  }
  return { state: next, problems };
}
