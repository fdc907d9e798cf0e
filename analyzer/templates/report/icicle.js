
// The stacks of those who are shown, over all dumps, root frames on top.

const LEVEL = 20;
/// Frames that are narrower, in pixels, are not drawn.
const NARROWEST = 2;
const icicle = { counts: [], kinds: [] };

function showStacks(shown) {
  const process = current();
  const { merged } = process;
  const activities = data.activities.length;
  const bySight = new Int32Array(process.sights.length);
  for (const seen of process.seen) for (const member of shown) if (seen[member] >= 0) bySight[seen[member] >> 1]++;
  icicle.counts = new Int32Array(merged.callers.length);
  icicle.kinds = new Int32Array(merged.callers.length * activities);
  process.sights.forEach(([activity, , node], sight) => {
    if (node >= 0) icicle.kinds[merged.of[node] * activities + activity] += bySight[sight];
  });
  for (let at = merged.callers.length - 1; at >= 0; at--) {
    const caller = merged.callers[at];
    for (let kind = 0; kind < activities; kind++) {
      const count = icicle.kinds[at * activities + kind];
      icicle.counts[at] += count;
      if (caller >= 0) icicle.kinds[caller * activities + kind] += count;
    }
  }
  drawStacks(process);
}

function drawStacks(process) {
  const { merged } = process;
  const box = field("icicle");
  const width = box.clientWidth || 900;
  const drawn = [];
  let depth = 0;
  const path = [];
  for (let at = filter.frame; at >= 0; at = merged.callers[at]) path.unshift(at);
  for (const at of path) drawn.push(frameAt(process, at, 0, width, depth++));
  const roots = [];
  merged.callers.forEach((caller, at) => { if (caller < 0) roots.push(at); });
  let deepest = depth;
  const queue = [[path.length ? merged.children[filter.frame] : roots, 0, width, depth, path.length ? icicle.counts[filter.frame] : sum(roots)]];
  while (queue.length) {
    const [frames, left, wide, level, total] = queue.pop();
    let x = left;
    for (const at of frames.slice().sort((a, b) => icicle.counts[b] - icicle.counts[a])) {
      const share = total ? (icicle.counts[at] / total) * wide : 0;
      if (share < NARROWEST) break;
      drawn.push(frameAt(process, at, x, share, level));
      deepest = Math.max(deepest, level + 1);
      queue.push([merged.children[at], x, share, level + 1, icicle.counts[at]]);
      x += share;
    }
  }
  box.replaceChildren(...drawn);
  box.style.height = `${Math.min(560, deepest * LEVEL + 2)}px`;
}

const sum = (frames) => frames.reduce((total, at) => total + icicle.counts[at], 0);

function frameAt(process, at, left, width, level) {
  const name = frameName(process, at);
  const count = icicle.counts[at];
  const made = element("button", labelOf(name, width), "frame");
  const dumps = process.seen.length;
  made.type = "button";
  made.title = `${name}\n${count} in ${dumps} dump${dumps === 1 ? "" : "s"}`;
  made.setAttribute("role", "treeitem");
  made.setAttribute("aria-level", String(level + 1));
  made.setAttribute("aria-label", `${name}, ${count}`);
  made.dataset.frame = at;
  made.tabIndex = level === 0 && left === 0 ? 0 : -1;
  Object.assign(made.style, { left: `${left}px`, top: `${level * LEVEL}px`, width: `${Math.max(1, width - 0.5)}px`, background: colors(at, count) });
  return made;
}

/// The colours of what those in a frame do, each as wide as its share.
function colors(at, count) {
  const kinds = data.activities.map(([name], kind) => [name, icicle.kinds[at * data.activities.length + kind]]);
  let share = 0;
  const parts = kinds.filter(([, many]) => many > 0).map(([name, many]) => {
    const from = share;
    share += (many / count) * 100;
    return `var(--${name}) ${from}% ${share}%`;
  });
  return `linear-gradient(to right, ${parts.join(", ")})`;
}

function listenToStacks() {
  const box = field("icicle");
  const enter = (frame) => {
    choose({ frame: frame === filter.frame ? current().merged.callers[frame] : frame });
    box.querySelector(`[data-frame="${filter.frame}"]`)?.focus();
  };
  box.addEventListener("click", (event) => {
    const frame = event.target.closest(".frame");
    if (frame) enter(Number(frame.dataset.frame));
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && filter.frame >= 0) choose({ frame: current().merged.callers[filter.frame] });
    const frame = event.target.closest(".frame");
    const next = frame && neighbour(box, frame, event.key);
    if (next) {
      event.preventDefault();
      next.focus();
    }
  });
  addEventListener("resize", () => drawStacks(current()));
}

/// The frame that an arrow key leads to.
function neighbour(box, frame, key) {
  const at = Number(frame.dataset.frame);
  const { callers } = current().merged;
  const frames = [...box.children];
  const level = frames.filter((other) => other.style.top === frame.style.top)
    .sort((a, b) => parseFloat(a.style.left) - parseFloat(b.style.left));
  switch (key) {
    case "ArrowUp": return box.querySelector(`[data-frame="${callers[at]}"]`);
    case "ArrowDown": return frames.find((other) => callers[other.dataset.frame] === at);
    case "ArrowLeft": return level[level.indexOf(frame) - 1];
    case "ArrowRight": return level[level.indexOf(frame) + 1];
    default: return null;
  }
}
