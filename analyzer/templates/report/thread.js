
// The thread that was chosen: what it does in each dump, its stack, its findings.

function showThread(member) {
  const process = current();
  const seen = process.seen.flatMap((dump, at) => (dump[member] >= 0 ? [at] : []));
  showThreadIn(process, member, seen[seen.length - 1], seen);
}

function showThreadIn(process, member, dump, seen) {
  const [activity, state, node] = process.sights[sightOf(process, member, dump)];
  const id = `${data.kinds[process.kinds[member]]} ${process.ids[member]}`;
  const words = [id, data.activities[activity][1], process.states[state]].filter((word) => word);
  const frames = stackOf(process, node);
  const title = element("h3", nameOf(process, member));
  const text = frames.map(([name, place]) => (place ? `${name} (${place})` : name)).join("\n");
  const copy = element("button", "Copy the stack", "small");
  copy.type = "button";
  copy.addEventListener("click", () => copyText(`"${nameOf(process, member)}" ${words.join(", ")}\n${text}\n`, copy));
  const buttons = element("div", "", "dumps");
  for (const at of seen) {
    const button = element("button", `dump ${at + 1}`, "small");
    button.type = "button";
    button.title = process.dumps[at];
    button.setAttribute("aria-pressed", String(at === dump));
    button.addEventListener("click", () => showThreadIn(process, member, at, seen));
    buttons.append(button);
  }
  field("thread").replaceChildren(
    title, element("p", words.join(", "), "quiet"), findingsOf(process, member), buttons, copy, stackList(frames),
  );
}

function stackList(frames) {
  const made = element("ol", frames.length ? "" : "(no stack)", "frames");
  for (const [name, place] of frames) {
    const item = element("li");
    item.append(element("code", name), " ", element("span", place, "quiet"));
    made.append(item);
  }
  return made;
}

/// Links to the findings that a member is in.
function findingsOf(process, member) {
  const line = element("p");
  for (const finding of process.findings) {
    for (const [role, words] of [["members", "in"], ["victims", "suffers from"], ["holders", "holds what is waited for in"]]) {
      if (!finding[role].includes(member)) continue;
      const link = element("a", finding.id);
      link.href = `#${finding.id}`;
      line.append(line.childNodes.length ? "; " : "", `${words} `, link);
    }
  }
  return line;
}

async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
}
