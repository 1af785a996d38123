// Keys, copying, and a log that follows its end. Everything else works without this.

// Who does not look needs no stream; a browser has few connections to one host. A page that comes to be hidden gives its own
// back (hx-sse), and so does this for one that was opened behind another.
document.addEventListener("htmx:before:request", e => { if (document.hidden) e.preventDefault(); });

const rows = () => [...document.querySelectorAll("[data-row]")].filter(a => a.offsetParent !== null);

document.addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const typing = e.target.closest("input, textarea, select");
  if (typing) {
    if (e.key === "Escape") typing.blur();
    return;
  }
  if (e.key === "/") {
    const search = document.querySelector("#search");
    if (!search) return;
    e.preventDefault();
    search.focus();
    search.select();
  } else if (e.key === "j" || e.key === "k") {
    const all = rows(), at = all.indexOf(document.activeElement);
    const next = all[e.key === "j" ? at + 1 : Math.max(0, at - 1)];
    if (next) next.focus();
  }
});

document.addEventListener("click", async e => {
  const button = e.target.closest("[data-copy]");
  if (!button) return;
  const told = document.querySelector("#told");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    told.textContent = "Copied: " + button.dataset.copy;
    button.textContent = "Copied";
  } catch {
    told.textContent = "Cannot copy: select the command instead";
    button.textContent = "Select it";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

// What is looked for in a list of runs hides the others, also after the list has changed.
const filter = () => {
  const input = document.querySelector("[data-search]");
  if (!input) return;
  const words = input.value.toLowerCase().split(/\s+/);
  for (const row of document.querySelectorAll(input.dataset.search)) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every(w => text.includes(w));
  }
};
document.addEventListener("input", filter);

// A log follows its end as long as its reader is there, and holds the last lines only.
const most = 3000;
const log = document.querySelector("[data-follow]");
let atEnd = true;
const follow = () => {
  if (!log) return;
  while (log.childElementCount > most) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
};
if (log) log.addEventListener("scroll", () => { atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40; });
new MutationObserver(() => { filter(); follow(); }).observe(document.querySelector("#live, #lines") || document.body, { childList: true, subtree: true });
follow();
