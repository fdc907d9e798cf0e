
// The facts of the report, and what is worked out of them once for a process.

const data = JSON.parse(document.getElementById("data")?.textContent ?? '{"processes": []}');

/// The sight of a member in a dump, and whether it is the same activation as in the dump before.
const sightOf = (process, member, dump) => process.seen[dump][member] >> 1;
const isSame = (process, member, dump) => (process.seen[dump][member] & 1) === 1;

/// Prepares a process: its stacks merged by function, and the newest sight of everyone.
function prepare(process) {
  if (process.merged) return process;
  process.merged = merge(process);
  process.newest = Int32Array.from(process.names, (_, member) => {
    for (let dump = process.seen.length - 1; dump >= 0; dump--) {
      if (process.seen[dump][member] >= 0) return sightOf(process, member, dump);
    }
    return -1;
  });
  process.hasCpu = process.cpu.some((told) => told);
  process.order = order(process);
  return process;
}

/// The first of the merged frames: stacks on which there are only the runtime's.
const RUNTIME = 0;

/// The stacks as a tree of functions, whatever lines the calls are at. The runtime's frames with
/// which every thread begins are left out.
function merge(process) {
  const merged = { of: new Int32Array(process.callers.length), callers: [-1], functions: [-1], children: [[]] };
  const isRuntime = new Set(process.runtime);
  const known = new Map();
  process.callers.forEach((caller, node) => {
    const inner = caller >= 0 && merged.of[caller] !== RUNTIME;
    const outer = inner ? merged.of[caller] : -1;
    const name = process.calls[process.nodeCalls[node]][0];
    if (!inner && isRuntime.has(name)) return;
    const key = `${outer} ${name}`;
    let at = known.get(key);
    if (at === undefined) {
      at = merged.callers.length;
      known.set(key, at);
      merged.callers.push(outer);
      merged.functions.push(name);
      merged.children.push([]);
      if (outer >= 0) merged.children[outer].push(at);
    }
    merged.of[node] = at;
  });
  return merged;
}

/// The function of a merged frame.
function frameName(process, frame) {
  return frame === RUNTIME ? "(only the runtime's frames)" : process.functions[process.merged.functions[frame]];
}

/// Rows by cluster: the busy ones first, and of these the clusters of the first finding; within one
/// by name or number.
function order(process) {
  const { names, ids } = process;
  const collator = new Intl.Collator(undefined, { numeric: true });
  const byName = (a, b) =>
    names[a] || names[b] ? collator.compare(names[a], names[b]) : Number(ids[a]) - Number(ids[b]);
  const firsts = firstFindings(process);
  const rank = (member) => {
    const sight = process.sights[process.newest[member]];
    if (!sight) return [2, 0, 0];
    return [sight[0] === data.idle ? 1 : 0, firsts.get(sight[3]) ?? 1e9, sight[3] < 0 ? 1e9 : sight[3]];
  };
  const ranks = process.names.map((_, member) => rank(member));
  const byRank = (a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
  return Int32Array.from(process.names, (_, member) => member).sort(
    (a, b) => byRank(ranks[a], ranks[b]) || byName(a, b),
  );
}

/// For each cluster the place of the first finding that some of it are in.
function firstFindings(process) {
  const firsts = new Map();
  process.findings.forEach((finding, at) => {
    for (const member of finding.members) {
      const cluster = process.sights[process.newest[member]]?.[3] ?? -1;
      if (cluster >= 0 && !firsts.has(cluster)) firsts.set(cluster, at);
    }
  });
  return firsts;
}

/// What a member is called: its name, or its kind and number.
function nameOf(process, member) {
  return process.names[member] || `${data.kinds[process.kinds[member]]} ${process.ids[member]}`;
}

/// The functions of a stack, innermost first, each with its place.
function stackOf(process, node) {
  const frames = [];
  for (let at = node; at >= 0; at = process.callers[at]) {
    const [name, place] = process.calls[process.nodeCalls[at]];
    frames.push([process.functions[name], place]);
  }
  return frames;
}

/// `ChainedMap::get` of `victim::order_service::chained_map::ChainedMap::get`.
function shortName(name) {
  const words = name.split(/::|\.|\//).filter((word) => word);
  return words.length > 2 ? words.slice(-2).join(name.includes("::") ? "::" : ".") : name;
}

/// A column of the text in frames, in pixels.
const COLUMN = 7.3;

/// As much of a function's name as fits on a frame so many pixels wide: without its path, its own name
/// alone, and that cut, as it must be.
function labelOf(name, width) {
  const columns = Math.floor((width - 6) / COLUMN);
  if (columns < 3) return "";
  const short = shortName(name);
  const own = short.split(/::|\.|\//).pop() || short;
  return [name, short, own].find((label) => label.length <= columns) ?? `${own.slice(0, columns - 2)}..`;
}

/// Where a sight is: the signature of its cluster, or its innermost function.
function whereIs(process, sight) {
  if (!sight) return "";
  const signature = data.signatures[sight[3]];
  if (signature) return signature.split(" < ").map(shortName).join(" < ");
  return sight[2] < 0 ? "(no stack)" : process.functions[process.calls[process.nodeCalls[sight[2]]][0]];
}

/// A new element with text; never markup.
function element(name, text = "", classes = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = classes;
  return made;
}
