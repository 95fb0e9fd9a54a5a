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

/* What somebody reads stays where it is when the page refills: also at the end, when much is added above,
   and at the top, where a verdict then comes in above the matrix. */
let reading = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target?.id !== "run-live") return;
  const titles = [...document.querySelectorAll("#run-live h2[id]")].map(({ id }) => ({ id, top: topOf(id) }));
  reading = titles.find(({ top }) => top >= 0 && top < innerHeight) ?? titles.findLast(({ top }) => top < 0);
});

const topOf = (id) => document.getElementById(id)?.getBoundingClientRect().top;

document.addEventListener("htmx:afterSwap", (event) => {
  mark();
  if (reading && topOf(reading.id) !== undefined) scrollBy({ top: topOf(reading.id) - reading.top, behavior: "instant" });
  reading = null;
  if (event.detail.target?.id === "cell-items") event.detail.target.scrollIntoView({ block: "nearest" });
});
mark();
