/* Review: the next flag stands on the screen before the decision has reached the server.
   Fragments are fetched ahead; decisions are sent one after the other, again and again until
   the server answers. Without this file the same forms work by themselves. */
import { HttpError, LoginNeeded, post } from "./http.js";
import { loginNeeded, toast } from "./toast.js";
import { attach, stop, toggle } from "./wave.js";
import { compare } from "./copies.js";

const UNSEEN_MS = 250; // what was painted this short ago nobody has seen: its decision would be the last one's second key
const LOADS_WITHIN_MS = 4000; // pictures that take longer are decided about by what else is shown
const AHEAD = 4, RETRY_MS = [1000, 2000, 5000, 10_000];
const root = document.getElementById("review");
const view = document.getElementById("flag"), rail = document.getElementById("rail"), counts = document.getElementById("counts");
const sending = document.getElementById("sending");
const fragments = new Map(); // pk -> promise of <template>
const decided = new Set();
const store = `winnow-later:${root.dataset.queue}`;
const asked = new URLSearchParams(location.search).get("later"); // an empty one brings back what was put off
const later = new Set((asked ?? sessionStorage.getItem(store) ?? "").split(",").filter(Boolean));
let current = root.dataset.flag, shownAt = performance.now(), waiting = 0, chain = Promise.resolve();

const entries = () => [...rail.querySelectorAll("[data-flag]")];
const isOver = (pk) => decided.has(pk) || later.has(pk);
const nextPks = () => entries().map((entry) => entry.dataset.flag).filter((pk) => pk !== current && !isOver(pk));

async function fetchFragment(pk) {
  const response = await fetch(`${root.dataset.url}${pk}/`, { credentials: "same-origin", headers: { "X-Requested-With": "fetch" } });
  if (!response.ok || response.redirected) throw new HttpError(response.status, "");
  const template = document.createElement("template");
  template.innerHTML = await response.text();
  for (const image of template.content.querySelectorAll("img[data-ahead]")) new Image().src = image.getAttribute("src");
  return template;
}

function prefetch() {
  for (const pk of nextPks().slice(0, AHEAD)) {
    if (!fragments.has(pk)) fragments.set(pk, ready(pk));
  }
}

function ready(pk) {
  const promise = fetchFragment(pk).then((template) => { promise.template = template; return template; });
  promise.catch(() => fragments.delete(pk));
  return promise;
}

function put(content, pk) {
  stop();
  view.replaceChildren(content);
  current = pk;
  shownAt = performance.now();
  paint();
  view.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true }));
  view.querySelector(".panel")?.scrollTo(0, 0);
  if (matchMedia("(max-width: 820px)").matches) root.scrollTo(0, 0);
  compare(view);
  markRail();
  history.replaceState(null, "", pk ? `?flag=${pk}` : location.pathname);
  prefetch();
}

/* Open the decisions once what is on the screen has been there for a moment. */
async function paint() {
  const panel = view.firstElementChild;
  delete view.dataset.seen;
  const loaded = [...view.querySelectorAll(".stage img, [data-copy-image]")].map((image) => image.decode().catch(() => {}));
  await Promise.race([Promise.all(loaded), pause(LOADS_WITHIN_MS)]);
  await new Promise(requestAnimationFrame);
  await pause(UNSEEN_MS);
  if (view.firstElementChild === panel) view.dataset.seen = "";
}

function markRail() {
  for (const entry of entries()) {
    entry.hidden = isOver(entry.dataset.flag);
    if (entry.dataset.flag === current) entry.setAttribute("aria-current", "true"); else entry.removeAttribute("aria-current");
  }
}

const tellPutOff = () => view.querySelector("[data-put-off]")?.toggleAttribute("hidden", !later.size);

async function show(pk) {
  if (!pk) { put(document.getElementById("done").content.cloneNode(true), ""); tellPutOff(); return; }
  const promise = fragments.get(pk) ?? ready(pk);
  fragments.set(pk, promise);
  if (promise.template) { put(promise.template.content.cloneNode(true), pk); return; }
  view.setAttribute("aria-busy", "true");
  try {
    const template = await promise;
    put(template.content.cloneNode(true), pk);
  } catch {
    location.href = `${root.dataset.url}?later=${[...later].join(",")}`; // the server knows what is next
  } finally {
    view.removeAttribute("aria-busy");
  }
}

const isLastOfSample = () => Boolean(view.querySelector("[data-in-sample]")) &&
  !entries().some((entry) => "sample" in entry.dataset && !isOver(entry.dataset.flag));

const goOn = async () => {
  if (decided.has(current) && isLastOfSample()) { // what the sample came to stands on the page of many
    view.setAttribute("aria-busy", "true");
    await chain;
    view.removeAttribute("aria-busy");
    if (current && !isOver(current)) return; // refused, and back again
    const over = counts.querySelector("[data-sample-over]"); // not while a card of it is put off
    if (over) { location.href = over.href; return; }
  }
  let [pk] = nextPks();
  if (!pk && waiting) { // the rail was used up: wait for a new one
    await chain;
    if (current && !isOver(current)) return; // refused, and back again
    [pk] = nextPks();
  }
  await show(pk);
};

function take(reply) {
  if (!reply?.rail) return;
  counts.innerHTML = reply.counts;
  rail.innerHTML = reply.rail;
  rail.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true }));
  markRail();
  prefetch();
}

function tell(offline = false) {
  sending.hidden = waiting === 0 || (!offline && waiting < 2);
  sending.classList.toggle("warn", offline);
  sending.textContent = (offline ? root.dataset.textOffline : root.dataset.textWaiting).replace("{n}", waiting);
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function deliver(url, body) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await post(url, body, { keepalive: true, isPatient: true });
    } catch (error) {
      if (error instanceof HttpError && error.status < 500) throw error;
      if (error instanceof LoginNeeded) { loginNeeded(); }
      tell(true);
      await pause(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
    }
  }
}

function send(form, fields) {
  const pk = form.dataset.decide, url = form.getAttribute("action"); // form.action would be its buttons
  const body = new URLSearchParams({ ...fields, seconds: ((performance.now() - shownAt) / 1000).toFixed(2), later: [...later].join(",") });
  waiting += 1;
  tell();
  chain = chain.then(async () => {
    try {
      const reply = await deliver(url, body);
      if (reply?.message) toast(reply.message, "info");
      take(reply);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      if (error.status === 409) { toast(error.body.message, "info"); take(error.body); return; }
      decided.delete(pk);
      fragments.delete(pk);
      toast(root.dataset.textRefused.replace("{words}", error.body?.message ?? error.status), "bad");
      if (current && current !== pk) markRail(); else await show(pk); // it is open still
    } finally {
      waiting -= 1;
      tell();
    }
  });
}

function decide(form, action, more = {}) {
  delete view.dataset.seen; // until the next one is there
  decided.add(form.dataset.decide);
  const written = [...form.querySelectorAll("[data-sent]")].map((field) => [field.name, field.value]);
  send(form, { action, ...Object.fromEntries(written), ...more });
  goOn();
}

let pending = null; // a decision that waits in a dialog for its reason or its confirmation

function press(form, button) {
  const needed = form.querySelector(`[data-needed-by="${button.value}"]`);
  if (needed && !needed.value.trim()) { needed.focus(); return; }
  if (button.hasAttribute("data-asks-reason")) {
    pending = { form, action: button.value, isTest: button.hasAttribute("data-touches-test") };
    document.getElementById("reasons").showModal();
    return;
  }
  confirmOrDecide(form, button.value, button.hasAttribute("data-touches-test") || form.elements.test_confirmed);
}

function confirmOrDecide(form, action, isTest) {
  if (!isTest) { decide(form, action); return; }
  pending = { form, action };
  document.getElementById("confirm-test").showModal();
}

function giveReason(words) {
  document.getElementById("reasons").close();
  confirmOrDecide(pending.form, `${pending.action}:${words}`, pending.isTest);
}

document.getElementById("reasons").addEventListener("click", (event) => {
  const button = event.target.closest("[data-reason]");
  if (button) giveReason(button.dataset.reason);
});
document.getElementById("other-reason").addEventListener("keydown", (event) => {
  const words = event.target.value.trim();
  if (event.code === "Enter" && !event.isComposing && words) { event.preventDefault(); event.target.value = ""; giveReason(words); }
});
document.getElementById("confirm-yes").addEventListener("click", () => {
  document.getElementById("confirm-test").close();
  decide(pending.form, pending.action, { test_confirmed: "on" });
});

view.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-decide]");
  if (!form || !event.submitter) return;
  event.preventDefault();
  if ("seen" in view.dataset) press(form, event.submitter);
  else toast(root.dataset.textUnseen, "info"); // a key that is dropped is told of
});
view.addEventListener("keydown", (event) => { // a held key presses the focused button again and again
  if (event.repeat && event.target.closest("[data-decide] button")) event.preventDefault();
});

view.addEventListener("click", (event) => {
  if (event.target.closest("[data-later-link]")) {
    event.preventDefault();
    later.add(current);
    sessionStorage.setItem(store, [...later].join(","));
    goOn();
  }
  if (event.target.closest("[data-no-proposal]")) toast(root.dataset.textNoProposal, "info");
  const play = event.target.closest("[data-play-stage]");
  const wave = play && view.querySelector(".stage [data-wave]");
  if (wave) attach(wave).then(() => toggle(wave));
});

rail.addEventListener("click", (event) => {
  const entry = event.target.closest("[data-flag]");
  if (!entry || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  later.delete(entry.dataset.flag);
  show(entry.dataset.flag);
});

document.addEventListener("click", (event) => {
  if (event.target.closest('[href$="/' + root.dataset.queue.split("/")[1] + '/"]')) sessionStorage.removeItem(store);
});

document.getElementById("undo").addEventListener("submit", async (event) => {
  event.preventDefault();
  await chain;
  try {
    const reply = await post(event.target.action, new URLSearchParams({ later: [...later].join(",") }), { isPatient: true });
    if (!reply.flag) { take(reply); toast(reply.message, "good"); return; } // a second reviewer is asked
    const pk = String(reply.flag);
    decided.delete(pk);
    later.delete(pk);
    fragments.delete(pk);
    take(reply);
    await show(pk);
    toast(root.dataset.textUndone, "good");
  } catch (error) {
    if (error instanceof LoginNeeded) loginNeeded();
    else toast(error.body?.message ?? document.body.dataset.textOffline, "warn");
  }
});

window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
window.addEventListener("beforeunload", (event) => { if (waiting) event.preventDefault(); });

compare(view);
paint();
markRail();
tellPutOff();
sessionStorage.setItem(store, [...later].join(","));
if (later.has(current)) goOn(); else prefetch();
