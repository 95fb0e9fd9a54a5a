/* One key answers, the next item is there already: a few items are held ahead, answers leave in the background. */
import { csrfToken, post } from "./http.js";
import { Outbox } from "./outbox.js";
import { Sending } from "./sending.js";
import { Showing } from "./showing.js";
import { toast } from "./toast.js";

const UNDO_MOST = 20, RECENT_SHOWN = 6, REFILL_AT = 3, LOOK_AGAIN_MS = 10_000, SOON_MS = 500, PACE_FROM = 5, PACE_LEAST_S = 20;
const IDLE_MS = 60_000; // longer than this without a sign of life does not count as looking
const DOUBLE_TAP_MS = 400; // the second half of a double tap would answer an item that nobody has seen
const LEFT_ALONE_MS = 10 * 60_000; // after this long the items go back to the others

const page = document.getElementById("annotate");
const words = page.dataset;
const settings = JSON.parse(document.getElementById("settings").textContent);
const find = (id) => document.getElementById(id);
const say = (text, n, t) => text.replace("{n}", n).replace("{t}", t);
const uuid = () => crypto.randomUUID?.() ?? "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) =>
  (+c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (+c / 4)))).toString(16));

const outbox = new Outbox(settings);
const showing = new Showing(find("stage"), settings.media, words);
const queue = [];
let current = null;
const history = [];
const sending = new Sending({ outbox, words, settings, ahead: () => queue.length + (current ? 1 : 0) });
let claiming = false, waitTimer = null, lastSign = performance.now();
let shownAt = 0, looked = 0, answered = settings.answered, total = settings.answered + settings.left;
const times = [];

/* ---- items ---- */

async function claimMore() {
  if (claiming || queue.length >= REFILL_AT) return;
  claiming = true;
  clearTimeout(waitTimer);
  try {
    const count = settings.ahead - queue.length;
    const reply = await post(settings.urls.claims, { user: settings.user, count });
    const kept = outbox.items(); // answered here, not yet known there
    const until = Date.now() + settings.lease * 1000;
    for (const item of reply.items) {
      if (!kept.has(item.item) && !holds(item.item)) queue.push(showing.prepare({ ...item, until }));
    }
    if (!current && queue.length) next();
    else if (!current && reply.waiting) nothingFree(reply.waiting);
  } catch (error) {
    outbox.noticed(error);
    if (!current) blank(outbox.state === "login" ? "loginNeeded" : "away");
  } finally {
    claiming = false;
  }
}

const holds = (id) => current?.item === id || queue.some((entry) => entry.item === id);

function next() {
  current = queue.shift() ?? null;
  find("answers").disabled = !current;
  find("ranout").hidden = true;
  if (current) show();
  else blank({ ok: "loading", login: "loginNeeded" }[outbox.state] ?? "away");
  claimMore();
}

function show() {
  find("blank").hidden = true;
  showing.show(current);
  looked = 0;
  shownAt = performance.now();
  lastSign = performance.now();
  page.dataset.item = current.item;
  if (settings.kind === "verify" && current.asked) ask(current.asked);
}

function ask(asked) {
  find("question").textContent = say(words.textVerify, asked.name);
  const waits = settings.media === "audio" && !current.heard;
  allowYes(!waits);
  for (const button of find("classes").querySelectorAll("[data-class]")) {
    button.disabled = Number(button.dataset.class) === asked.id;
  }
}

function allowYes(open) {
  find("yes").disabled = !open;
  find("yes").classList.toggle("btn-waiting", !open);
  const note = find("yes-waits");
  if (note) note.hidden = open;
}

function nothingFree(waiting) {
  const { state } = waiting;
  if (outbox.keys().length && outbox.state === "ok") { // the last answers are still on their way
    waitTimer = setTimeout(claimMore, SOON_MS);
    return;
  }
  const left = waiting.next_free_seconds;
  const time = left === null ? "" : left < 90 ? say(words.textSecond, left) : say(words.textMinute, Math.round(left / 60));
  blank(state, { busy: waiting.with_others, yours: waiting.with_you }[state] ?? answered, time);
  find("skipped-again").hidden = !waiting.skipped;
  if (state === "busy" || state === "yours") waitTimer = setTimeout(claimMore, Math.min(LOOK_AGAIN_MS, Math.max(1000, (left ?? 10) * 1000)));
}

function blank(state, n = 0, time = "") {
  const box = find("blank");
  const name = state[0].toUpperCase() + state.slice(1);
  const sentence = state === "busy" && n === 1 ? words.textBusyOne : words[`text${name}More`];
  box.querySelector("[data-title]").textContent = words[`text${name}`];
  box.querySelector("[data-sentence]").textContent = say(sentence, n, time);
  if (state === "loginNeeded") sending.ask();
  box.querySelector("[data-leave]").hidden = !["done", "closed", "busy", "yours"].includes(state);
  find("skipped-again").hidden = true;
  box.hidden = false;
  box.dataset.state = state;
  delete page.dataset.item;
  showing.clear();
}

/* ---- answers ---- */

function sign() {
  const now = performance.now();
  looked += Math.min(IDLE_MS, now - lastSign);
  lastSign = now;
}

function answer(kind, { label = null, reason = "", said }) {
  if (!current) return;
  sign();
  const given = { client_id: uuid(), item: current.item, answer: kind, label, reason, seconds: Math.round(looked) / 1000 };
  outbox.add("answer", given);
  history.unshift({ entry: current, given, said, state: "waits" });
  history.length = Math.min(history.length, UNDO_MOST);
  if (kind !== "skip") { answered += 1; times.push(given.seconds); } else total = Math.max(answered, total - 1);
  next();
  recent();
  resetSearch();
}

function undo() {
  const last = history.shift();
  if (!last) return;
  if (!outbox.cancel(last.given.client_id)) {
    last.entry.returning = true;
    outbox.add("withdraw", { client_id: last.given.client_id });
  }
  if (last.given.answer === "skip") total += 1; else { answered -= 1; times.pop(); }
  if (current) queue.unshift(current);
  current = last.entry;
  find("answers").disabled = false;
  show();
  recent();
}

function recent() {
  const undoButton = find("undo");
  undoButton.disabled = !history.length;
  undoButton.querySelector("[data-words]").textContent = history.length ? say(words.textUndo, history[0].said) : words.textUndoPlain;
  find("recent").replaceChildren(...history.slice(0, RECENT_SHOWN).map((row) => {
    const box = document.createElement("span");
    box.className = "strip-item";
    if (row.entry.thumb) box.append(row.entry.thumb);
    const text = document.createElement("span"), name = document.createElement("b"), state = document.createElement("span");
    name.textContent = row.said;
    state.className = "caption";
    state.textContent = { waits: words.textWaits, surplus: words.textSurplusShort, refused: words.textRefusedShort }[row.state] ?? words.textSent;
    text.append(name, document.createElement("br"), state);
    box.append(text);
    return box;
  }));
  find("answered").textContent = answered;
  total = Math.max(total, answered);
  find("total").textContent = total;
  find("progress").max = Math.max(1, total);
  find("progress").value = answered;
  const mean = times.reduce((sum, one) => sum + one, 0) / times.length;
  const left = (total - answered) * mean;
  find("pace").textContent = times.length < PACE_FROM || left < PACE_LEAST_S ? "" : say(words.textPace,
    left < 90 ? say(words.textSecond, Math.round(left)) : say(words.textMinute, Math.round(left / 60)));
}

/* ---- what comes back ---- */

outbox.addEventListener("back", claimMore);
outbox.addEventListener("answered", ({ detail }) => {
  const row = history.find(({ given }) => given.client_id === detail.client_id);
  if (row) row.state = detail.outcome;
  if (detail.outcome === "refused") toast(words.textRefused, "bad");
  if (detail.outcome === "surplus") toast(words.textSurplus, "warn");
  recent();
});
outbox.addEventListener("sent:withdraw", ({ detail }) => {
  for (const entry of [current, ...queue]) if (entry?.returning && detail.held) entry.until = Date.now() + settings.lease * 1000;
});

/* ---- keeping and giving back what is reserved ---- */

async function renew() {
  if (performance.now() - lastSign < LEFT_ALONE_MS) {
    const items = [current, ...queue].filter(Boolean).map((entry) => entry.item);
    try {
      const { held } = items.length ? await post(settings.urls.renew, { user: settings.user, items }) : { held: [] };
      const until = Date.now() + settings.lease * 1000;
      for (const entry of [current, ...queue]) if (entry && held.includes(entry.item)) entry.until = until;
    } catch (error) {
      outbox.noticed(error);
    }
  }
  checkLeases();
}

function checkLeases() {
  const now = Date.now();
  for (let index = queue.length - 1; index >= 0; index -= 1) {
    if (queue[index].until < now && outbox.state === "ok") queue.splice(index, 1); // somebody else may have it now
  }
  const ranOut = current && current.until < now;
  find("ranout").hidden = !ranOut;
  if (ranOut) find("ranout").textContent = say(words.textRanout, new Date(current.until).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
}

addEventListener("pagehide", () => {
  const items = [current, ...queue].filter(Boolean).map((entry) => entry.item);
  if (!items.length) return;
  const form = new FormData();
  form.append("csrfmiddlewaretoken", csrfToken());
  form.append("items", JSON.stringify(items));
  navigator.sendBeacon(settings.urls.release, form);
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
addEventListener("beforeunload", (event) => { if (outbox.keptInMemory && !outbox.isOpen) event.preventDefault(); });

/* ---- buttons and keys ---- */

function resetSearch() {
  const search = find("search");
  if (search?.value) { search.value = ""; filterClasses(); }
}

function filterClasses() {
  const wanted = find("search").value.trim().toLowerCase();
  let any = false;
  for (const button of find("classes").querySelectorAll("[data-class]")) {
    button.hidden = !button.dataset.name.toLowerCase().includes(wanted);
    any ||= !button.hidden;
  }
  find("no-match").hidden = any;
}

function toggleGuideline() {
  const isNarrow = matchMedia("(max-width: 820px)").matches;
  const name = isNarrow ? "guideline-open" : "guideline-closed";
  const now = page.classList.toggle(name);
  const isOpen = isNarrow ? now : !now;
  for (const button of document.querySelectorAll("[data-guideline]")) button.setAttribute("aria-expanded", String(isOpen));
  if (!isNarrow) try { localStorage.setItem("winnow:guideline", isOpen ? "open" : "closed"); } catch { /* only a convenience */ }
  if (isNarrow && isOpen) find("guideline").scrollIntoView();
}

page.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (event.detail > 1 && performance.now() - shownAt < DOUBLE_TAP_MS && button.closest("#answers")) return;
  if (event.detail) button.blur(); // pressed by pointer: Space must not press it again
  if (button.dataset.class) answer("class", { label: Number(button.dataset.class), said: button.dataset.name });
  else if (button.dataset.answer === "unsure") answer("unsure", { said: words.textUnsure });
  else if (button.dataset.answer === "skip") answer("skip", { said: words.textSkip });
  else if (button.id === "yes") answer("class", { label: current?.asked.id, said: current?.asked.name });
  else if (button.id === "no") answer("unsure", { reason: say(words.textNot, current?.asked.name), said: say(words.textNot, current?.asked.name) });
  else if (button.id === "unusable" && current) find("reasons").showModal();
  else if (button.dataset.reasonNow) answer("unusable", { reason: button.dataset.reasonNow, said: words.textUnusable });
  else if (button.id === "undo") undo();
  else if (button.id === "zoom") showing.zoom();
  else if (button.id === "play" && current) showing.toggle();
  else if (button.id === "replay" && current) showing.replay();
  else if (button.hasAttribute("data-guideline")) toggleGuideline();
  else if (button.id === "skipped-again") post(settings.urls.skipped, { user: settings.user }).then(claimMore, (error) => outbox.noticed(error));
});
find("reasons").addEventListener("click", (event) => {
  const reason = event.target.closest("[data-reason]")?.dataset.reason;
  if (!reason) return;
  find("reasons").close();
  answer("unusable", { reason, said: words.textUnusable });
});
find("search")?.addEventListener("input", filterClasses);
find("search")?.addEventListener("keydown", (event) => {
  if (event.code !== "Enter" || event.isComposing) return;
  event.preventDefault();
  const only = [...find("classes").querySelectorAll("[data-class]:not([hidden], :disabled)")];
  if (find("search").value.trim() && only.length) { event.target.blur(); only[0].click(); }
});
find("stage").addEventListener("wave:ended", () => { if (current) { current.heard = true; if (settings.kind === "verify") allowYes(true); } });
addEventListener("keydown", (event) => {
  sign();
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches?.("input") || document.querySelector("dialog[open]")) return;
  if (event.code === "Minus" || event.code === "NumpadSubtract") showing.whole();
  if (event.code === "KeyG") toggleGuideline(); // its button is away while the guideline is
});
addEventListener("pointermove", () => { if (performance.now() - lastSign > 1000) sign(); }, { passive: true });

try { if (localStorage.getItem("winnow:guideline") === "closed") page.classList.add("guideline-closed"); } catch { /* only a convenience */ }
setInterval(renew, settings.renew * 1000);
setInterval(checkLeases, 5000);
recent();
await outbox.ready;
outbox.flush();
claimMore();
