/* The field above many classes: it narrows them, and Enter answers with the first. */
const search = document.getElementById("search"), classes = document.getElementById("classes");

function narrow() {
  const wanted = search.value.trim().toLowerCase();
  let any = false;
  for (const button of classes.querySelectorAll("[data-class]")) {
    button.hidden = !button.dataset.name.toLowerCase().includes(wanted);
    any ||= !button.hidden;
  }
  document.getElementById("no-match").hidden = any;
}

export function clearSearch() {
  if (search?.value) { search.value = ""; narrow(); }
}

search?.addEventListener("input", narrow);
search?.addEventListener("keydown", (event) => {
  if (event.code !== "Enter" || event.isComposing) return;
  event.preventDefault();
  const first = classes.querySelector("[data-class]:not([hidden], :disabled)");
  if (search.value.trim() && first) { search.blur(); first.click(); }
});
