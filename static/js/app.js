/* What every page needs: keys, theme, htmx manners, menus, dialogs, times. */
import { startKeys } from "./keys.js";
import { csrfToken } from "./http.js";
import { isLoginPage, loginNeeded, toast } from "./toast.js";

const MINUTE = 60, HOUR = 3600, DAY = 86400, REFRESH_MS = 30_000, LEAVING_MS = 20_000;

/* In the words of the filter `ago`, so that nothing moves when they are written anew. */
function relative(date, now = Date.now()) {
  const seconds = (date.getTime() - now) / 1000;
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "auto" });
  const size = Math.abs(seconds);
  if (size < MINUTE) return words.format(0, "second");
  if (size < HOUR) return words.format(Math.round(seconds / MINUTE), "minute");
  if (size < DAY) return words.format(Math.round(seconds / HOUR), "hour");
  if (size < 14 * DAY) return words.format(Math.round(seconds / DAY), "day");
  return date.toISOString().slice(0, 10);
}

function dress(root) {
  for (const time of root.querySelectorAll("time[data-relative]")) time.textContent = relative(new Date(time.dateTime));
  for (const bar of root.querySelectorAll("[data-width]")) bar.style.width = `${bar.dataset.width}%`;
  for (const element of root.querySelectorAll("[data-key]")) {
    if (element.matches("a, button, input, select, textarea, summary")) {
      const names = element.dataset.key.split(/\s+/).map((code) => code.replace("Mod", "Control").replace(/(Key|Digit|Numpad)(?=\w$)/, ""));
      element.setAttribute("aria-keyshortcuts", names.join(" "));
    }
    for (const cap of element.querySelectorAll("kbd.keycap")) cap.setAttribute("aria-hidden", "true");
  }
}

function markTheme() {
  const choice = document.documentElement.dataset.themeChoice || "auto";
  for (const button of document.querySelectorAll("[data-theme-choice]:not(html)")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
  }
}

function closeMenus(except = null) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
}

/* A page that shows a job shows its outcome when it has ended. Nobody is interrupted while typing,
   nor on the way to another page: a reload would cancel that way. A page that was only left for a
   download is reloaded later. */
let leftAt = -Infinity;
window.addEventListener("beforeunload", () => { leftAt = performance.now(); });
function showOutcome() {
  const wait = leftAt + LEAVING_MS - performance.now();
  const isTyping = document.activeElement?.matches("input, textarea, select") || document.querySelector("dialog[open]");
  if (wait > 0) setTimeout(showOutcome, wait);
  else if (!isTyping) location.reload();
}
document.body.addEventListener("job-ended", showOutcome);

document.addEventListener("click", (event) => {
  const target = event.target;
  closeMenus(target.closest("details.menu"));
  const confirming = target.closest("[data-confirm]:not(form)");
  if (confirming && !window.confirm(confirming.dataset.confirm)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  const theme = target.closest("button[data-theme-choice]");
  if (theme) { window.winnowTheme(theme.dataset.themeChoice); markTheme(); }
  target.closest("[data-dismiss]")?.closest(".notice")?.remove();
  const opener = target.closest("[data-dialog]");
  if (opener) document.querySelector(opener.dataset.dialog)?.showModal();
  if (target.closest("[data-close]")) target.closest("dialog")?.close();
  if (target.closest("[data-print]")) window.print();
  const copier = target.closest("[data-copy]");
  if (copier) copyText(copier);
}, true);

async function copyText(button) {
  const source = document.querySelector(button.dataset.copy);
  await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
  toast(button.dataset.copied || "✓", "good");
}

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) { event.preventDefault(); event.stopImmediatePropagation(); }
}, true);

document.addEventListener("change", (event) => {
  if (event.target.closest("form[data-submit]")) event.target.form.requestSubmit();
});

document.addEventListener("keydown", (event) => {
  if (event.code !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); event.preventDefault(); }
});

document.addEventListener("htmx:configRequest", (event) => { event.detail.headers["X-CSRFToken"] = csrfToken(); });
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status === 401 || isLoginPage(xhr.responseURL)) {
    event.detail.shouldSwap = false;
    event.detail.isError = false;
    loginNeeded();
  }
});
document.addEventListener("htmx:responseError", (event) => {
  const { xhr } = event.detail;
  const isShort = xhr.getResponseHeader("content-type")?.startsWith("text/plain") && xhr.responseText.length < 300;
  toast(isShort ? xhr.responseText : `${document.body.dataset.textError} (${xhr.status})`, "bad");
});
document.addEventListener("htmx:sendError", () => toast(document.body.dataset.textOffline, "bad"));
document.addEventListener("htmx:load", (event) => dress(event.target)); // also what review.js puts in without htmx
for (const name of ["htmx:afterSwap", "htmx:oobAfterSwap"]) document.addEventListener(name, () => dress(document)); // before it is painted
document.addEventListener("winnow:toast", (event) => toast(event.detail.text, event.detail.tone));

/* Filters are open beside the items and closed above them. */
if (window.matchMedia("(max-width: 820px)").matches) {
  for (const more of document.querySelectorAll("details[data-narrow-closed]")) { more.open = false; delete more.dataset.narrowClosed; }
}

startKeys();
dress(document);
markTheme();
const tabs = document.querySelector(".tabs"), tab = tabs?.querySelector("[aria-current]");
if (tab) tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2; // scrollIntoView would let the first Tab begin there
function markMoreTabs() {
  tabs.classList.toggle("more-before", tabs.scrollLeft > 1);
  tabs.classList.toggle("more-after", tabs.scrollLeft + tabs.clientWidth < tabs.scrollWidth - 1);
}
if (tabs) { tabs.addEventListener("scroll", markMoreTabs, { passive: true }); new ResizeObserver(markMoreTabs).observe(tabs); }
const refused = document.querySelector(".field.has-errors"); // it may stand far down a long form
refused?.closest("dialog")?.showModal();
refused?.querySelector("input:not([type=hidden]), select, textarea")?.focus({ preventScroll: true });
refused?.scrollIntoView({ block: "nearest" });
setInterval(() => dress(document), REFRESH_MS);
