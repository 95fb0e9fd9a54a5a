/* Browse: sizes, filters without empty fields, selection by mouse and keyboard, actions on it. */
import { HttpError, LoginNeeded, post } from "./http.js";
import { loginNeeded, toast } from "./toast.js";

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

/* ---- selection ---- */
const checks = () => [...document.querySelectorAll("#grid .tile-check")];
const chosen = () => checks().filter((check) => check.checked);
let anchor = null;      // where a range begins
let isEvery = false;    // all items of the filter are selected, not only those of this page
let shownAt = performance.now();  // since when the person has looked at this selection

function tell() {
  const bar = document.getElementById("actions");
  if (!bar?.querySelector("[data-selected-count]")) return;
  const tiles = chosen().map((check) => check.closest(".tile"));
  const total = Number(document.getElementById("browse-count")?.dataset.total), isAll = tiles.length === checks().length;
  isEvery &&= isAll;
  const words = (name, n) => bar.dataset[name].replace("{n}", n);
  const flagged = tiles.filter((tile) => tile.hasAttribute("data-flagged")).length;
  const inTest = tiles.filter((tile) => tile.dataset.split === "test").length;
  bar.querySelector("[data-selected-count]").textContent = isEvery ? words("textEvery", total) : words("textSelected", tiles.length);
  bar.querySelector("[data-selected-flagged]").textContent = flagged && !isEvery ? words("textFlagged", flagged) : "";
  const pill = bar.querySelector("[data-selected-test]");
  pill.hidden = !inTest || isEvery; // of all, the server asks before test items change
  pill.textContent = words("textTest", inTest);
  const take = bar.querySelector("[data-select-every]");
  take.hidden = !isAll || isEvery || !(total > tiles.length);
  take.textContent = words("textTake", total);
  bar.querySelector("[name=all]").disabled = !isEvery;
  for (const button of bar.querySelectorAll("[data-only-shown]")) button.disabled = isEvery;
}

function set(check, checked) {
  if (!chosen().length) shownAt = performance.now();
  check.checked = checked;
}

function setRange(from, to, checked) {
  const all = checks();
  const [first, last] = [all.indexOf(from), all.indexOf(to)].sort((a, b) => a - b);
  for (const check of all.slice(Math.max(0, first), last + 1)) set(check, checked);
}

function clearSelection() {
  for (const check of chosen()) check.checked = false;
  anchor = null;
  tell();
}

document.addEventListener("click", (event) => {
  const target = event.target;
  const check = target.closest?.("#grid .tile-check");
  const media = target.closest?.("#grid .tile-media");
  if (check) {
    if (event.shiftKey && anchor) setRange(anchor, check, check.checked);
    anchor = check;
    tell();
  } else if (media && (event.shiftKey || event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    const own = media.closest(".tile").querySelector(".tile-check");
    if (event.shiftKey && anchor) setRange(anchor, own, true);
    else set(own, !own.checked);
    anchor = own;
    tell();
  }
  if (target.closest?.("[data-clear]")) clearSelection();
  if (target.closest?.("[data-select-all]")) { for (const one of checks()) set(one, true); tell(); }
  if (target.closest?.("[data-select-every]")) { isEvery = true; tell(); }
  if (target.closest?.("[data-undo], a[href='#undo']")) { event.preventDefault(); undo(); }
});
document.addEventListener("mousedown", (event) => {
  if (event.shiftKey && event.target.closest?.("#grid")) event.preventDefault();  // no text selection
});

/* ---- keyboard: arrows walk, Space selects, Shift with arrows takes a range ---- */
const links = () => [...document.querySelectorAll("#grid .tile-media")];

function columns(all) {
  const top = all[0].getBoundingClientRect().top;
  const next = all.findIndex((link) => link.getBoundingClientRect().top > top + 2);
  return next < 0 ? all.length : next;
}

function walk(event, focused) {
  const all = links();
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(all), ArrowDown: columns(all) }[event.code];
  const here = all.indexOf(focused);
  const next = all[here < 0 ? 0 : here + step];
  event.preventDefault();
  if (!next) return;
  const checkOf = (link) => link.closest(".tile").querySelector(".tile-check");
  if (event.shiftKey && here >= 0) {
    anchor ??= checkOf(focused);
    setRange(anchor, checkOf(next), true);
    tell();
  }
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (!grid() || event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isLoose = event.target === document.body || event.target.id === "main";
  const tile = event.target.closest?.("#grid .tile");
  if (!isLoose && !tile) return;
  const focused = tile?.querySelector(".tile-media");
  if (event.code.startsWith("Arrow") && links().length) walk(event, focused);
  else if (event.code === "Space" && focused) {
    event.preventDefault();
    const check = tile.querySelector(".tile-check");
    set(check, !check.checked);
    anchor = check;
    tell();
  } else if (event.code === "KeyK" && focused) {
    event.preventDefault();
    tile.querySelector("[data-play]")?.click();
  }
}, true);

/* ---- actions ---- */
let waiting = null;  // what was sent and needs a word about test items

async function refresh() {
  const place = links().indexOf(document.activeElement.closest?.(".tile")?.querySelector(".tile-media"));
  const scroll = window.scrollY;
  await window.htmx.ajax("GET", location.href, { target: "#browse", select: "#browse", swap: "outerHTML" });
  setSize(rememberedSize());
  anchor = null;
  isEvery = false;
  tell();
  window.scrollTo(0, scroll);
  if (place >= 0) links()[Math.min(place, links().length - 1)]?.focus({ preventScroll: true });
}

function failed(error) {
  if (error instanceof LoginNeeded) loginNeeded();
  else if (error instanceof HttpError) toast(error.body?.text || document.body.dataset.textError, "bad");
  else toast(document.body.dataset.textOffline, "bad");
}

async function send(form) {
  const bar = document.getElementById("actions");
  try {
    const answer = await post(bar.dataset.actionUrl, form, { isPatient: true });
    await refresh();
    toast(answer.text, "good", { url: "#undo", text: bar.dataset.textUndo });
  } catch (error) {
    if (error instanceof HttpError && error.status === 409) ask(form, error.body.text);
    else failed(error);
  }
}

function ask(form, text) {
  waiting = form;
  const dialog = document.getElementById("confirm-test");
  dialog.querySelector("[data-test-words]").textContent = text;
  dialog.showModal();
}

async function undo() {
  for (const old of document.querySelectorAll("#toasts a[href='#undo']")) old.closest(".notice").remove();
  try {
    const answer = await post(document.getElementById("actions").dataset.undoUrl, new URLSearchParams(), { isPatient: true });
    await refresh();
    toast(answer.text, "good");
  } catch (error) { failed(error); }
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("#selection, [data-selection]");
  const button = event.submitter;
  if (!form || !button?.name || button.value === "like") return;
  event.preventDefault();
  const sent = new URLSearchParams(new FormData(form, button));
  sent.set("seconds", ((performance.now() - shownAt) / 1000).toFixed(1));
  button.closest("dialog")?.close();
  send(sent);
});
document.addEventListener("click", (event) => {
  const choice = event.target.closest?.("[data-test-choice]");
  if (!choice || !waiting) return;
  choice.closest("dialog").close();
  waiting.set(choice.dataset.testChoice, "1");
  send(waiting);
  waiting = null;
});

/* Enter in a field of a dialog presses that dialog's own button, not the first of the form. */
document.addEventListener("keydown", (event) => {
  const field = event.target.closest?.("[data-enter]");
  if (!field || event.code !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  field.closest("dialog").querySelector(`button[name="action"][value="${field.dataset.enter}"]`).click();
});

/* ---- brushing the histogram: drag over bars to take their whole range ---- */
let brushed = null;
const bar = (event) => event.target.closest?.(".browse-histogram a[href]:not(.menu-body a)");
document.addEventListener("dragstart", (event) => { if (bar(event)) event.preventDefault(); });
document.addEventListener("pointerdown", (event) => { brushed = bar(event) ?? null; });
document.addEventListener("pointerup", (event) => {
  const last = bar(event);
  if (!brushed || !last || last === brushed) return;
  const all = [...brushed.parentElement.querySelectorAll("a")];
  const [from, to] = [brushed, last].sort((a, b) => all.indexOf(a) - all.indexOf(b));
  const query = new URLSearchParams(from.getAttribute("href").slice(1));
  const high = new URLSearchParams(to.getAttribute("href").slice(1)).get("max");
  if (high === null) query.delete("max"); else query.set("max", high);
  location.search = query.toString();
});

tell();
document.addEventListener("htmx:oobAfterSwap", tell); // the count comes after the items

/* ---- the item page: a click on the picture enlarges it there ---- */
const ENLARGED = 3;
document.addEventListener("click", (event) => {
  const stage = event.target.closest?.("[data-zoom]");
  if (!stage) return;
  const box = stage.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
  stage.style.setProperty("--zoom", ENLARGED);
  if (stage.classList.toggle("zoomed")) stage.scrollTo(x * (stage.scrollWidth - box.width), y * (stage.scrollHeight - box.height));
});
