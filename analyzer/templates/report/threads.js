
// One row a thread, one cell a dump. Only the rows in sight exist.

const ROW = 22;
const HIGHEST = 20 * ROW;
const list = { shown: new Int32Array(), chosen: -1 };

function showThreads(shown) {
  const process = current();
  list.shown = shown;
  list.chosen = -1;
  field("thread").replaceChildren(element("p", "Choose a thread to see its stack.", "quiet"));
  const height = Math.min(HIGHEST, Math.max(3, shown.length) * ROW);
  field("sheet").style.height = `${shown.length * ROW}px`;
  field("rows").style.height = `${height}px`;
  field("overview").height = height;
  field("rows").classList.toggle("many", process.seen.length > 12);
  field("rows").scrollTop = 0;
  const left = process.leftOut ? `; ${process.leftOut} more left out of the pictures` : "";
  const stacks = process.stacksLeftOut ? `; ${process.stacksLeftOut} stacks left out` : "";
  const frame = filter.frame < 0 ? "" : ` in ${frameName(process, filter.frame)}`;
  field("shown").textContent = `${shown.length} of ${process.names.length} shown${frame}${left}${stacks}`;
  showHeads(process);
  drawRows();
  drawOverview();
}

function showHeads(process) {
  const cells = element("span", "", "cells");
  process.seen.forEach((_, dump) => cells.append(element("span", String(dump + 1), "cell")));
  field("heads").classList.toggle("many", process.seen.length > 12);
  field("heads").replaceChildren(element("span", "thread"), cells, element("span", "where"));
}

function drawRows() {
  const rows = field("rows");
  const first = Math.max(0, Math.floor(rows.scrollTop / ROW) - 5);
  const last = Math.min(list.shown.length, first + Math.ceil(rows.clientHeight / ROW) + 10);
  const drawn = [];
  for (let at = first; at < last; at++) drawn.push(row(at));
  field("sheet").replaceChildren(...drawn);
  if (list.chosen >= 0) rows.setAttribute("aria-activedescendant", `row-${list.chosen}`);
  else rows.removeAttribute("aria-activedescendant");
}

function row(at) {
  const process = current();
  const member = list.shown[at];
  const made = element("div", "", "row");
  const cells = element("span", "", "cells");
  const words = process.seen.map((_, dump) => {
    const [name, does] = activityOf(process, member, dump);
    const same = isSame(process, member, dump) && process.seen[dump][member] >= 0;
    const used = cpuOf(process, member, dump);
    const cell = element("span", "", `cell ${name}${same ? " same" : ""}`);
    cell.style.setProperty("--strength", `${strength(process, used)}%`);
    cell.title = `dump ${dump + 1}: ${does}${cpuWords(used)}${same ? ", same activation as before" : ""}`;
    cells.append(cell);
    return `${does}${cpuWords(used)}`;
  });
  const where = whereIs(process, process.sights[process.newest[member]]);
  const name = element("span", nameOf(process, member));
  name.title = nameOf(process, member);
  const place = element("span", where);
  place.title = where.replaceAll(" < ", "\n");
  made.append(name, cells, place);
  made.id = `row-${at}`;
  made.setAttribute("role", "option");
  made.setAttribute("aria-selected", String(at === list.chosen));
  made.setAttribute("aria-label", `${nameOf(process, member)}: ${words.join(", ")}; in ${where}`);
  made.setAttribute("aria-setsize", String(list.shown.length));
  made.setAttribute("aria-posinset", String(at + 1));
  made.style.top = `${at * ROW}px`;
  return made;
}

/// The class and the words for what a member does in a dump.
function activityOf(process, member, dump) {
  if (process.seen[dump][member] < 0) return ["absent", "not there"];
  return data.activities[process.sights[sightOf(process, member, dump)][0]];
}

/// The tenths of a CPU that a member used, and since when; null where that is not told.
function cpuOf(process, member, dump) {
  const letter = process.cpu[dump]?.[member] ?? "-";
  if (letter === "-") return null;
  const tenths = parseInt(letter, 36);
  return tenths < 10 ? { tenths, since: "the dump before" } : { tenths: tenths - 10, since: "it began" };
}

function cpuWords(used) {
  if (!used) return "";
  const share = used.tenths === 0 ? "less than 10% of a CPU" : `${used.tenths * 10}% of a CPU or more`;
  return `, ${share} since ${used.since}`;
}

/// How strong a cell's colour is, in percent: full where nobody's CPU time is told.
function strength(process, used) {
  return process.hasCpu ? Math.min(100, 50 + (used?.tenths ?? 0) * 6) : 100;
}

/// All rows as a strip, each a part of a pixel or more.
function drawOverview() {
  const process = current();
  const canvas = field("overview");
  const brush = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const probe = element("i");
  document.body.append(probe);
  const colors = data.activities.map(([name]) => {
    probe.style.color = style.getPropertyValue(`--${name}`);
    return getComputedStyle(probe).color;
  });
  probe.remove();
  brush.clearRect(0, 0, canvas.width, canvas.height);
  const width = canvas.width / process.seen.length;
  for (let y = 0; y < canvas.height && list.shown.length > 0; y++) {
    const member = list.shown[Math.floor((y / canvas.height) * list.shown.length)];
    process.seen.forEach((seen, dump) => {
      if (seen[member] < 0) return;
      brush.fillStyle = colors[process.sights[seen[member] >> 1][0]];
      brush.globalAlpha = strength(process, cpuOf(process, member, dump)) / 100;
      brush.fillRect(dump * width, y, width, 1);
    });
  }
}

function chooseRow(at) {
  if (list.shown.length === 0) return;
  list.chosen = Math.max(0, Math.min(list.shown.length - 1, at));
  const rows = field("rows");
  const top = list.chosen * ROW;
  if (top < rows.scrollTop) rows.scrollTop = top;
  if (top + ROW > rows.scrollTop + rows.clientHeight) rows.scrollTop = top + ROW - rows.clientHeight;
  drawRows();
  showThread(list.shown[list.chosen]);
}

function listenToThreads() {
  const rows = field("rows");
  rows.addEventListener("scroll", () => requestAnimationFrame(drawRows));
  rows.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) chooseRow(Number(row.id.slice(4)));
  });
  rows.addEventListener("keydown", (event) => {
    const page = Math.floor(rows.clientHeight / ROW);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    chooseRow(list.chosen + steps[event.key]);
  });
  field("overview").addEventListener("click", (event) => {
    const share = event.offsetY / field("overview").clientHeight;
    chooseRow(Math.floor(share * list.shown.length));
  });
}
