/* The run page: marks the cell or head whose items stand below, also after the page refilled. */
const CHOOSERS = "a[data-given]";
const name = (given, predicted) => `${given}\n${predicted}`;

function mark() {
  const shown = document.querySelector("#cell-items [data-chosen-given]");
  const chosen = shown && name(shown.dataset.chosenGiven, shown.dataset.chosenPredicted);
  for (const link of document.querySelectorAll(`.matrix ${CHOOSERS}`)) {
    const isChosen = shown && name(link.dataset.given, link.dataset.predicted) === chosen;
    const isHead = shown && link.closest("th") && (link.dataset.given ? link.dataset.given === shown.dataset.chosenGiven : link.dataset.predicted === shown.dataset.chosenPredicted);
    if (isChosen || isHead) link.parentElement.setAttribute("aria-current", "true");
    else link.parentElement.removeAttribute("aria-current");
  }
}

document.addEventListener("htmx:afterSwap", (event) => {
  mark();
  if (event.detail.target?.id === "cell-items") event.detail.target.scrollIntoView({ block: "nearest" });
});
mark();
