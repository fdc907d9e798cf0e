
// Flame graphs: the page holds them; here they are gone into, walked through and searched.

/// Makes one come to life.
function listenToFlame(part) {
  const picture = part.querySelector("svg");
  const frames = [...picture.querySelectorAll("g")].map(readFrame);
  const flame = { part, picture, frames, shown: frames[0] };
  const frameOf = (event) => frames.find((frame) => frame.group === event.target.closest("g"));
  const point = (event) => { part.querySelector(".pointed").textContent = frameOf(event)?.title.replace("\n", ": ") ?? ""; };
  picture.addEventListener("pointerover", point);
  picture.addEventListener("focusin", point);
  picture.addEventListener("click", (event) => {
    const frame = frameOf(event);
    if (frame) enterFrame(flame, frame === flame.shown ? callerOf(flame, frame) : frame);
  });
  picture.addEventListener("keydown", (event) => pressInFlame(flame, frameOf(event), event));
  const form = part.querySelector("form");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => findInFlame(flame, form.querySelector("input").value.trim().toLowerCase()));
  addEventListener("resize", () => frames.forEach((frame) => labelFrame(flame, frame)));
  frames[0].group.tabIndex = 0;
  enterFrame(flame, flame.shown, false);
}

function readFrame(group) {
  const rect = group.querySelector("rect");
  const title = group.querySelector("title").textContent;
  group.setAttribute("role", "button");
  group.setAttribute("aria-label", title.replace("\n", ": "));
  group.tabIndex = -1;
  const number = (name) => parseFloat(rect.getAttribute(name));
  return { group, rect, title, name: title.split("\n")[0], x: number("x"), width: number("width"), y: number("y") };
}

/// Whether a frame lies within the width of another; figures in the page are rounded.
const isWithin = (inner, outer) => inner.x >= outer.x - 0.002 && inner.x + inner.width <= outer.x + outer.width + 0.002;

function callerOf(flame, frame) {
  const callers = flame.frames.filter((other) => other.y < frame.y && isWithin(frame, other));
  return callers.reduce((nearest, other) => (other.y > nearest.y ? other : nearest), flame.frames[0]);
}

/// Shows a frame and what it calls on the whole width, beneath its callers.
function enterFrame(flame, shown, focuses = true) {
  flame.shown = shown;
  for (const frame of flame.frames) {
    const isCaller = frame.y < shown.y && isWithin(shown, frame);
    frame.group.style.display = isCaller || (frame.y >= shown.y && isWithin(frame, shown)) ? "" : "none";
    frame.group.classList.toggle("caller", isCaller);
    frame.left = isCaller ? 0 : ((frame.x - shown.x) / shown.width) * 100;
    frame.wide = isCaller ? 100 : (frame.width / shown.width) * 100;
    frame.rect.setAttribute("x", `${frame.left}%`);
    frame.rect.setAttribute("width", `${frame.wide}%`);
    labelFrame(flame, frame);
  }
  if (focuses) focusFrame(flame, shown);
}

/// As much of its name as fits.
function labelFrame(flame, frame) {
  const label = labelOf(frame.name, (frame.wide / 100) * flame.picture.clientWidth);
  let text = frame.group.querySelector("text");
  if (!label) return text?.remove();
  if (!text) {
    text = document.createElementNS("http://www.w3.org/2000/svg", "text");
    text.setAttribute("y", String(frame.y + 12));
    frame.group.append(text);
  }
  text.setAttribute("x", `${frame.left}%`);
  text.textContent = label;
}

function focusFrame(flame, frame) {
  flame.frames.forEach((other) => { other.group.tabIndex = other === frame ? 0 : -1; });
  frame.group.focus();
}

function pressInFlame(flame, frame, event) {
  if (!frame) return;
  const drawn = flame.frames.filter((other) => other.group.style.display !== "none");
  const level = drawn.filter((other) => other.y === frame.y).sort((a, b) => a.x - b.x);
  const steps = {
    ArrowLeft: () => level[level.indexOf(frame) - 1],
    ArrowRight: () => level[level.indexOf(frame) + 1],
    ArrowUp: () => callerOf(flame, frame),
    ArrowDown: () => widest(drawn.filter((other) => other.y > frame.y && callerOf(flame, other) === frame)),
  };
  if (event.key === "Enter" || event.key === " ") enterFrame(flame, frame === flame.shown ? callerOf(flame, frame) : frame);
  else if (event.key === "Escape") enterFrame(flame, callerOf(flame, flame.shown));
  else if (event.key in steps) {
    const next = steps[event.key]();
    if (next) focusFrame(flame, next);
  } else return;
  event.preventDefault();
}

const widest = (frames) => frames.reduce((most, frame) => (frame.width > (most?.width ?? 0) ? frame : most), null);

/// Marks the functions whose names have a text, and says what share of all is in them.
function findInFlame(flame, text) {
  const found = flame.frames.filter((frame) => text && frame.name.toLowerCase().includes(text));
  flame.frames.forEach((frame) => frame.group.classList.toggle("found", found.includes(frame)));
  const outer = found.filter((frame) => !found.some((other) => other.y < frame.y && isWithin(frame, other)));
  const share = outer.reduce((sum, frame) => sum + frame.width, 0);
  flame.part.querySelector("output").textContent = text ? `${share.toFixed(1)}% of all is in ${found.length} frames` : "";
}
