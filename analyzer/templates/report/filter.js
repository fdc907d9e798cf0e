
// Who is shown: the fields of the form, and the frame that was chosen among the stacks.

const filter = { process: 0, text: "", activity: -1, pool: -1, cluster: -1, finding: "", frame: -1 };

/// The process that is shown.
const current = () => prepare(data.processes[filter.process]);

/// The members that the filter lets through, in the order of the rows.
function matching() {
  const process = current();
  const text = filter.text.trim().toLowerCase();
  const sights = matchingSights(process, text);
  const finding = process.findings.find((one) => one.id === filter.finding);
  const concerned = finding && new Set([...finding.members, ...finding.victims, ...finding.holders]);
  return process.order.filter((member) => {
    if (filter.pool >= 0 && process.pools[member] !== filter.pool) return false;
    if (filter.finding && !(concerned && concerned.has(member))) return false;
    const named = !text || `${process.names[member]} ${process.ids[member]}`.toLowerCase().includes(text);
    return process.seen.some((seen) => {
      const match = seen[member] < 0 ? 0 : sights[seen[member] >> 1];
      return match === 2 || (match === 1 && named);
    });
  });
}

/// For each sight: 0 for what is not wanted, 2 for what is and has the text on its stack, 1 for
/// what is wanted if the member's name has the text.
function matchingSights(process, text) {
  const functions = process.functions.map((name) => text !== "" && name.toLowerCase().includes(text));
  const hasText = new Uint8Array(process.callers.length);
  const inFrame = new Uint8Array(process.callers.length);
  process.callers.forEach((caller, node) => {
    hasText[node] = functions[process.calls[process.nodeCalls[node]][0]] || (caller >= 0 && hasText[caller]) ? 1 : 0;
    const within = caller >= 0 && inFrame[caller] && process.merged.of[caller] !== RUNTIME;
    inFrame[node] = process.merged.of[node] === filter.frame || within ? 1 : 0;
  });
  return process.sights.map(([activity, , node, cluster]) => {
    if (filter.activity >= 0 && activity !== filter.activity) return 0;
    if (filter.cluster >= 0 && cluster !== filter.cluster) return 0;
    if (filter.frame >= 0 && !(node >= 0 && inFrame[node])) return 0;
    return text && node >= 0 && hasText[node] ? 2 : 1;
  });
}

const field = (id) => document.getElementById(id);

/// Fills the choices of the form for the process that is shown.
function fillChoices() {
  const process = current();
  const clusters = new Set(process.sights.map((sight) => sight[3]).filter((cluster) => cluster in data.signatures));
  choices("process", data.processes.map((one, at) => [at, one.title]));
  choices("activity", [[-1, "anything"], ...data.activities.map(([, words], at) => [at, words])]);
  choices("pool", [[-1, "any"], ...process.poolNames.map((name, at) => [at, name])]);
  choices("cluster", [[-1, "any"], ...[...clusters].sort((a, b) => a - b).map((at) => [at, `c${at + 1} ${data.signatures[at]}`])]);
  choices("finding", [["", "any"], ...process.findings.map((finding) => [finding.id, finding.id])]);
  showLegend(process);
  document.querySelector(".process-choice").hidden = data.processes.length < 2;
}

/// The colours that are there.
function showLegend(process) {
  const there = new Set(process.sights.map(([activity]) => activity));
  const items = data.activities.flatMap(([name, words], at) => {
    if (!there.has(at)) return [];
    const item = element("li", words);
    item.prepend(element("i", "", name));
    return [item];
  });
  if (process.hasCpu) {
    const ramp = element("i", "", "ramp");
    const item = element("li", "the stronger the colour, the more CPU since the dump before; in the first, since the thread began");
    item.prepend(ramp);
    items.push(item);
  }
  if (process.seen.length > 1) items.push(element("li", "\u25ac same activation as in the dump before"));
  field("legend").replaceChildren(...items);
}

function choices(id, options) {
  field(id).replaceChildren(...options.map(([value, words]) => {
    const option = element("option", words.length > 70 ? `${words.slice(0, 68)}...` : words);
    option.value = value;
    return option;
  }));
  field(id).value = filter[id];
}

/// Changes the filter, and shows what it lets through.
function choose(change) {
  const other = "process" in change && change.process !== filter.process;
  if (other) Object.assign(filter, { pool: -1, cluster: -1, finding: "", frame: -1 });
  Object.assign(filter, change);
  fillChoices();
  field("text").value = filter.text;
  show();
}

function listenToForm() {
  const form = field("filter");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    choose({ text: "", activity: -1, pool: -1, cluster: -1, finding: "", frame: -1 });
  });
  for (const id of ["process", "activity", "pool", "cluster"]) {
    field(id).addEventListener("change", (event) => choose({ [id]: Number(event.target.value) }));
  }
  field("finding").addEventListener("change", (event) => choose({ finding: event.target.value }));
  field("text").addEventListener("input", (event) => choose({ text: event.target.value }));
}
