/* Browse: sizes, filters without empty fields, selection by mouse and keyboard, actions on it. */
const grid = () => document.getElementById("grid");

/* ---- sizes ---- */
function setSize(size) {
  grid()?.classList.toggle("grid-s", size === "s");
  grid()?.classList.toggle("grid-l", size === "l");
  for (const button of document.querySelectorAll("[data-size]")) button.setAttribute("aria-pressed", String(button.dataset.size === size));
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-size]");
  if (!button) return;
  localStorage.setItem("winnow-browse-size", button.dataset.size);
  setSize(button.dataset.size);
});
const rememberedSize = () => localStorage.getItem("winnow-browse-size") || "m";
setSize(rememberedSize());

/* ---- the address stays short: empty fields of the filter are left out ---- */
document.addEventListener("formdata", (event) => {
  if (event.target.id !== "filter") return;
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

/* A link into an item carries the filter, also one too long to be written on every tile. */
function carry(event) {
  const link = event.target.closest?.(".tile-media");
  if (link && !link.search) link.search = location.search;
}
document.addEventListener("pointerdown", carry);
document.addEventListener("focusin", carry);
