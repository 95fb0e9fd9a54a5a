/* The run page: keeps the chosen cell marked and its items shown while the page refills. */
let chosen = null;

const name = (cell) => `${cell.given}\n${cell.predicted}`;

function mark() {
  for (const link of document.querySelectorAll(".matrix td a[data-given]")) {
    if (chosen && name(link.dataset) === name(chosen)) link.parentElement.setAttribute("aria-current", "true");
    else link.parentElement.removeAttribute("aria-current");
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".matrix td a[data-given]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  chosen = { given: link.dataset.given, predicted: link.dataset.predicted };
  mark();
});
document.addEventListener("htmx:afterSwap", mark);
