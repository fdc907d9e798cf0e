
// Brings the page to life: shows what needs scripts, and listens.

function show() {
  const shown = matching();
  showThreads(shown);
  showStacks(shown);
}

function listenToPage() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const process = (id) => Math.max(0, data.processes.findIndex((one) => one.id === id));
    const nobody = { text: "", activity: -1, pool: -1, cluster: -1, finding: "", frame: -1 };
    const { finding, cluster } = button.dataset;
    if (finding) {
      const at = data.processes.findIndex((one) => one.findings.some((other) => other.id === finding));
      choose({ ...nobody, process: Math.max(0, at), finding });
    } else if (cluster) {
      choose({ ...nobody, process: process(button.dataset.process), cluster: Number(cluster) });
    } else {
      return;
    }
    field("threads").scrollIntoView();
    field("rows").focus({ preventScroll: true });
    chooseRow(0);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input, select")) return;
    event.preventDefault();
    field("text").focus();
  });
}

function listenToTheme() {
  const button = field("theme");
  const themes = ["system", "light", "dark"];
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const next = themes[(themes.indexOf(root.dataset.theme ?? "system") + 1) % themes.length];
    root.dataset.theme = next;
    button.textContent = `Theme: ${next}`;
    if (data.processes.length) drawOverview();
  });
}

listenToTheme();
document.querySelectorAll(".scripted").forEach((part) => { part.hidden = false; });
document.querySelectorAll(".flame").forEach(listenToFlame);
if (data.processes.length) {
  fillChoices();
  listenToForm();
  listenToThreads();
  listenToStacks();
  listenToPage();
  show();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawOverview);
}
document.documentElement.dataset.ready = "";
