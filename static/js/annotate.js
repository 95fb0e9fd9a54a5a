/* One key answers, the next item is there already: a few items are held ahead, answers leave in the background. */
import { Feedback } from "./feedback.js";
import { GuidelinePanel } from "./guideline.js";
import { csrfToken, getJson, post } from "./http.js";
import { Outbox } from "./outbox.js";
import { clearSearch } from "./search.js";
import { Sending } from "./sending.js";
import { Showing } from "./showing.js";
import { Strip, duration } from "./strip.js";
import { toast } from "./toast.js";

const UNDO_MOST = 20, REFILL_AT = 3, LOOK_AGAIN_MS = 10_000, SOON_MS = 500;
const IDLE_MS = 60_000; // longer than this without a sign of life does not count as looking
const DOUBLE_TAP_MS = 400; // the second half of a double tap would answer an item that nobody has seen
const LEFT_ALONE_MS = 10 * 60_000; // after this long the items go back to the others
const CHECK_MS = 5000;
const STOPPED = ["paused", "ended"];
const VERDICTS = ["passed", "failed", "waived"]; // of a qualification, with what comes next
const LEAVE = ["done", "closed", "busy", "yours", "unqualified", ...STOPPED, ...VERDICTS];
const WITH_REASON = ["unqualified", ...STOPPED, ...VERDICTS];

const page = document.getElementById("annotate");
const words = document.getElementById("words").dataset;
const settings = JSON.parse(document.getElementById("settings").textContent);
const find = (id) => document.getElementById(id);
const say = (text, n, t) => text.replace("{n}", n).replace("{t}", t);
const look = () => getJson(settings.urls.status).catch((error) => { outbox.noticed(error); throw error; });
const uuid = () => crypto.randomUUID?.() ?? "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) =>
  (+c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (+c / 4)))).toString(16));
const lease = () => Date.now() + settings.lease * 1000;

const queue = [], history = [];
const returned = new Map(); // handed out again before it was known here that their answers had arrived
const CLAIM = `winnow:claim:${settings.user}:${settings.round}`; // a reload repeats the request, too
let current = null, claiming = false, isAskedMeanwhile = false, waitTimer = null, lastSign = performance.now(), shownAt = 0, looked = 0;

const outbox = new Outbox(settings);
const showing = new Showing({ stage: find("stage"), media: settings.media, words, look });
const strip = new Strip({ words, history, standing: settings });
const sending = new Sending({ outbox, words, settings, ahead: () => held().length });
const feedback = new Feedback({ next: () => next() });
const guideline = new GuidelinePanel({ page, settings, seen: (id) => outbox.add("seen", { client_id: uuid(), guideline: id }) });

/* ---- items ---- */

const held = () => [current, ...queue].filter(Boolean);
const holds = (id) => held().some((entry) => entry.item === id);

async function claimMore() {
  isAskedMeanwhile = claiming;
  if (claiming || queue.length >= REFILL_AT) return;
  claiming = true;
  clearTimeout(waitTimer);
  const isAllSaid = !outbox.toSend().length;
  try {
    const reply = await claim(settings.ahead - queue.length);
    if (STOPPED.includes(reply.waiting?.state)) await stopAfterThis();
    take(reply, isAllSaid);
  } catch (error) {
    outbox.noticed(error);
    if (!current) blank(outbox.state === "login" ? "loginNeeded" : "away");
    if (outbox.state === "ok") waitTimer = setTimeout(claimMore, CHECK_MS); // it was busy sending, and noticed nothing
  } finally {
    claiming = false;
  }
}

/* A request whose reply is lost is made again under the same id: the server then gives the same items. */
async function claim(count) {
  const clientId = sessionStorage.getItem(CLAIM) ?? uuid();
  sessionStorage.setItem(CLAIM, clientId);
  const reply = await post(settings.urls.claims, { user: settings.user, count, client_id: clientId });
  sessionStorage.removeItem(CLAIM);
  return reply;
}

/* What was held ahead went to others; what is before somebody who is paused they may still answer. */
async function stopAfterThis() {
  queue.length = 0;
  const asked = current;
  if (!asked) return;
  const still = await post(settings.urls.renew, { user: settings.user, items: [asked.item] });
  if (current !== asked || still.held.includes(asked.item)) return;
  current = null;
  find("answers").disabled = true;
}

function take(reply, isAllSaid) {
  const kept = outbox.items(); // answered here, not yet known there
  for (const item of reply.items) {
    if (kept.has(item.item)) returned.set(item.item, item);
    else hold(item);
  }
  guideline.noticed(reply.guideline);
  find("warned").hidden = !reply.notice;
  find("warned").textContent = say(words.textWarned, reply.notice);
  strip.returned(reply.returned);
  if (!current && queue.length) next();
  else if (!current && reply.waiting) nothingFree(reply.waiting, isAllSaid && !isAskedMeanwhile);
}

function hold(item) { if (!holds(item.item)) queue.push(showing.prepare({ ...item, until: lease() })); }

/* An answer that arrived late has used its item's claim up; what was parked and given back is still held. */
async function holdReturned() {
  if (!returned.size) return;
  const asked = [...returned.values()];
  returned.clear();
  try {
    const still = await post(settings.urls.renew, { user: settings.user, items: asked.map(({ item }) => item) });
    const kept = outbox.items();
    for (const item of asked) if (still.held.includes(item.item) && !kept.has(item.item)) hold(item);
  } catch (error) {
    for (const item of asked) returned.set(item.item, item);
    outbox.noticed(error);
  }
  if (!current && queue.length) next();
  else if (!current) claimMore();
}

function next() {
  guideline.betweenItems();
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
  shownAt = lastSign = performance.now();
  page.dataset.item = current.item;
  if (settings.kind === "verify" && current.asked) ask(current.asked);
  suggest(current.suggestion);
}

function ask(asked) {
  find("question").textContent = say(words.textVerify, asked.name);
  allowYes(settings.media !== "audio" || Boolean(current.heard));
  for (const button of find("classes").querySelectorAll("[data-class]")) button.disabled = Number(button.dataset.class) === asked.id;
}

function allowYes(isOpen) {
  find("yes").disabled = !isOpen;
  find("yes").classList.toggle("btn-waiting", !isOpen);
  find("yes-waits")?.classList.toggle("done", isOpen);
}

function suggest(suggestion) {
  const line = find("suggestion");
  if (line) line.textContent = suggestion?.shown === "before" ? say(words.textModelSays, suggestion.name) : "";
}

function nothingFree(waiting, isAllSaid) {
  const { state, next_free_seconds: left } = waiting;
  if (outbox.state === "ok" && (!isAllSaid || outbox.toSend().length)) { // the last answers were still on their way
    waitTimer = setTimeout(claimMore, SOON_MS);
    return;
  }
  const n = WITH_REASON.includes(state) ? waiting.reason : { busy: waiting.with_others, yours: waiting.with_you }[state] ?? strip.answered;
  blank(state, n, left === null ? "" : duration(words, left));
  for (const more of find("blank").querySelectorAll("[data-verdict]")) {
    more.hidden = state !== "failed" || (more.dataset.verdict === "again") !== waiting.may_try_again;
  }
  find("skipped-again").hidden = !waiting.skipped;
  if (state === "busy" || state === "yours") waitTimer = setTimeout(claimMore, Math.min(LOOK_AGAIN_MS, Math.max(1000, (left ?? 10) * 1000)));
}

function blank(state, n = 0, time = "") {
  const box = find("blank"), isVerdict = VERDICTS.includes(state);
  const name = (isVerdict ? "Verdict" : "") + state[0].toUpperCase() + state.slice(1);
  const sentence = isVerdict ? "{n}" : state === "busy" && n === 1 ? words.textBusyOne : words[`text${name}More`];
  box.querySelector("[data-title]").textContent = words[`text${name}`];
  box.querySelector("[data-sentence]").textContent = say(sentence, n, time);
  if (state === "loginNeeded") sending.ask();
  box.querySelector("[data-leave]").hidden = !LEAVE.includes(state);
  for (const more of box.querySelectorAll("[data-verdict]")) more.hidden = true;
  find("skipped-again").hidden = true;
  if (LEAVE.includes(state)) find("warned").hidden = true; // there is nothing left to take more time for
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

function answer(kind, { label = null, reason = "", said, isParked = false }) {
  if (!current) return;
  sign();
  const { suggestion, asked } = current;
  const given = {
    client_id: uuid(), item: current.item, answer: kind, label, reason, is_parked: isParked, asked: asked?.id ?? null,
    suggestion: suggestion?.id ?? null, suggestion_shown: suggestion?.shown ?? "",
    guideline: settings.guideline, seconds: Math.round(looked) / 1000,
  };
  if (current.replaces) outbox.add("withdraw", { client_id: current.replaces });
  outbox.add("answer", given);
  if (current.replaces) changed(current);
  else strip.count(given, 1);
  history.unshift({ entry: current, given, said, state: "waits" });
  if (history.length > UNDO_MOST) showing.forget(history.pop().entry);
  if (settings.kind === "qualify" && kind !== "skip") {
    current.until = Infinity; // answered: nobody can take its place
    feedback.await(given.client_id);
  } else next();
  strip.show();
  clearSearch();
}

function changed(entry) {
  const before = history.findIndex(({ given }) => given.client_id === entry.replaces);
  if (before >= 0) history.splice(before, 1);
  entry.replaces = null;
  find("changing").hidden = true;
}

function undo() {
  const last = history.shift();
  if (!last) return;
  if (!outbox.cancel(last.given.client_id)) {
    last.entry.returning = true;
    outbox.add("withdraw", { client_id: last.given.client_id });
  }
  strip.count(last.given, -1);
  if (last.entry.suggestion?.shown === "after") last.entry.suggestion.shown = "before"; // by now it was seen
  if (current) queue.unshift(current);
  current = { until: lease(), ...last.entry };
  find("answers").disabled = false;
  show();
  strip.show();
}

outbox.addEventListener("back", () => { showing.retry(); claimMore(); });
outbox.addEventListener("drained", holdReturned);
outbox.addEventListener("answered", ({ detail }) => {
  const row = history.find(({ given }) => given.client_id === detail.client_id);
  if (row) row.state = detail.outcome;
  feedback.came(detail);
  if (detail.outcome === "refused") toast(words.textRefused, "bad");
  if (detail.outcome === "repeated") toast(words.textRepeated, "warn");
  if (detail.outcome === "surplus") toast(words.textSurplus, "warn");
  strip.show();
});
outbox.addEventListener("stopped", () => stopAfterThis().then(claimMore).catch((error) => outbox.noticed(error)));
outbox.addEventListener("sent:withdraw", ({ detail }) => {
  for (const entry of held()) if (entry.returning && detail.held) entry.until = lease();
});
outbox.addEventListener("sent:question", ({ detail }) => toast(detail.refused ? words.textRefused : words.textAsked, detail.refused ? "bad" : "good"));

/* ---- keeping and giving back what is reserved ---- */

async function renew() {
  const entries = held();
  if (entries.length && performance.now() - lastSign < LEFT_ALONE_MS) {
    try {
      const still = await post(settings.urls.renew, { user: settings.user, items: entries.map((entry) => entry.item) });
      for (const entry of held()) if (still.held.includes(entry.item)) entry.until = lease();
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
  const ranOut = current && !current.replaces && current.until < now;
  find("ranout").hidden = !ranOut;
  if (ranOut) find("ranout").textContent = say(words.textRanout, new Date(current.until).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
}

addEventListener("pagehide", () => {
  const items = held().map((entry) => entry.item);
  if (!items.length) return;
  const form = new FormData();
  form.append("csrfmiddlewaretoken", csrfToken());
  form.append("items", JSON.stringify(items));
  navigator.sendBeacon(settings.urls.release, form);
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
addEventListener("beforeunload", (event) => { if (outbox.keptInMemory && !outbox.isOpen) event.preventDefault(); });

/* ---- buttons and keys ---- */

const ACTS = {
  unsure: () => answer("unsure", { said: words.textUnsure }),
  skip: () => answer("skip", { said: words.textSkip }),
  park: () => answer("skip", { said: words.textParked, isParked: true }),
  yes: () => answer("class", { label: current?.asked.id, said: current?.asked.name }),
  no: () => answer("no", { said: say(words.textNot, current?.asked.name) }),
  unusable: () => current && find("reasons").showModal(),
  ask: () => find("ask-lead").showModal(),
  undo,
  login: () => sending.ask(),
  zoom: () => showing.zoom.closer(),
  play: () => showing.toggle(),
  replay: () => showing.replay(),
  guideline: () => guideline.toggle(),
  "skipped-again": () => post(settings.urls.skipped, { user: settings.user }).then(claimMore, (error) => outbox.noticed(error)),
};

page.addEventListener("click", (event) => {
  const button = event.target.closest("button, summary");
  if (!button) return;
  if (event.detail > 1 && performance.now() - shownAt < DOUBLE_TAP_MS && button.closest("#answers")) return;
  if (event.detail) button.blur(); // pressed by pointer: Space must not press it again
  const { class: label, name, reasonNow } = button.dataset;
  if (label) answer("class", { label: Number(label), said: name });
  else if (reasonNow) answer("unusable", { reason: reasonNow, said: words.textUnusable });
  else ACTS[button.dataset.act ?? button.id]?.();
});
find("reasons").addEventListener("click", (event) => {
  const reason = event.target.closest("[data-reason]")?.dataset.reason;
  if (!reason) return;
  find("reasons").close();
  answer("unusable", { reason, said: words.textUnusable });
});
find("ask-lead").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = event.target.elements.text.value.trim();
  if (!text) return;
  outbox.add("question", { client_id: uuid(), item: current?.item ?? null, text });
  event.target.reset();
  find("ask-lead").close();
});
find("stage").addEventListener("winnow:heard", () => { if (settings.kind === "verify") allowYes(true); });

const KEYS = {
  KeyG: () => guideline.toggle(), // its button is away while the guideline is
  Minus: () => showing.zoom?.whole(), NumpadSubtract: () => showing.zoom?.whole(),
  BracketLeft: () => showing.sound?.slower(), BracketRight: () => showing.sound?.faster(), // the menu of these is closed
  ArrowDown: () => showing.sound?.softer(), ArrowUp: () => showing.sound?.louder(),
  KeyT: (event) => { if (showing.sound && event.shiftKey) find("sound-check").showModal(); },
};
const PANS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
addEventListener("keydown", (event) => {
  sign();
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches?.("input, textarea") || document.querySelector("dialog[open]")) return;
  KEYS[event.code]?.(event);
  if (PANS[event.code] && showing.zoom?.isZoomed) { event.preventDefault(); showing.zoom.pan(...PANS[event.code]); }
});
addEventListener("pointermove", () => { if (performance.now() - lastSign > 1000) sign(); }, { passive: true });

/* ---- start ---- */

for (const { entry, said, ...given } of settings.recent) {
  if (settings.media === "image") entry.thumb = showing.thumb(entry);
  history.push({ entry, said, given: { ...given, item: entry.item }, state: "sent" });
}
setInterval(renew, settings.renew * 1000);
setInterval(checkLeases, CHECK_MS);
strip.show();
await outbox.ready;
outbox.flush();
if (settings.change) {
  const { entry, client_id: replaces, said } = settings.change;
  queue.push(showing.prepare({ ...entry, until: lease(), replaces }));
  find("changing").hidden = false;
  find("changing").textContent = say(words.textChanging, said);
  next();
} else claimMore();

/* What is left in all: asked for again until it is told, which the answers do not wait for. */
async function count({ isFirst = true } = {}) {
  try {
    strip.counted(await post(settings.urls.standing, { user: settings.user }));
  } catch (error) {
    if (isFirst) outbox.noticed(error); // what comes later the answers find out
    setTimeout(count, CHECK_MS, { isFirst: false });
  }
}
count();
