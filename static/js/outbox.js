/* What an annotator said stays in this browser until the server has acknowledged it, in the order it was said.
   In IndexedDB, written through: localStorage loses what is younger than some seconds when the whole browser
   dies (docs/decisions/answers-wait-in-indexeddb.md). The same client id counts once, so sending twice is safe. */
import { HttpError, LoginNeeded, getJson, post } from "./http.js";

const MOST_AT_ONCE = 50, RETRY_MS = [1000, 2000, 4000], STORE_WITHIN_MS = 5000;
const TRIES = 3, ASIDE_MS = 60_000; // an answer on which the server fails so often waits, and the others go on
const FAILS = [400, 500]; // the server makes nothing of it; 502 to 504 say that there is no server
const BUNDLED = "answer"; // answers go many at once; withdrawals and notes one by one

const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
  setTimeout(reject, STORE_WITHIN_MS, new Error("the browser's storage does not answer")); // some never do
});

async function openStore() {
  const request = indexedDB.open("winnow", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("outbox");
  return settled(request);
}

export class Outbox extends EventTarget {
  #kept = new Map(); // key: { kind, body }, as in the database and what is on its way there
  #unsaved = new Set();
  #dropped = new Set(); // acknowledged or taken back here: another read must not bring them back
  #inFlight = new Set();
  #tries = new Map(); // key: how often the server failed on it
  #aside = new Set();
  #asideTimer = null;
  #database = null;
  #busy = false;
  #failures = 0;
  #timer = null;
  #number = 0;

  constructor({ user, round, urls }) {
    super();
    this.prefix = `${user}:${round}:`;
    this.user = user;
    this.urls = urls;
    this.state = "ok"; // ok, offline, login, another, gone
    this.since = null; // when it last stopped being ok
    this.ready = openStore().then((database) => { this.#database = database; return this.#read(); })
      .catch(() => {}); // a browser that keeps nothing: answers stay in this page, which says so
    addEventListener("online", () => this.flush());
    addEventListener("focus", () => { if (this.state !== "ok") this.flush(); });
  }

  get isOpen() { return this.#database !== null; }

  get keptInMemory() { return this.#unsaved.size > 0; }

  keys() { return [...this.#kept.keys()].sort(); }

  entries() { return this.keys().map((key) => [key, this.#kept.get(key)]); }

  /* What is to be sent; the rest was set aside. */
  toSend() { return this.entries().filter(([key]) => !this.#aside.has(key)); }

  /* How much of what was said waits: that a guideline was seen is not told to anybody. */
  get waiting() { return this.entries().filter(([, entry]) => entry.kind !== "seen").length; }

  get aside() { return this.#aside.size; }

  sendAside() {
    this.#aside.clear();
    this.#tell("change");
    this.flush();
  }

  /* Answers that are kept here and not taken back: item ids. */
  items() {
    return new Set(this.entries().filter(([, entry]) => entry.kind === "answer").map(([, entry]) => entry.body.item));
  }

  #store(mode) {
    return this.#database.transaction("outbox", mode, { durability: "strict" }).objectStore("outbox");
  }

  /* Also what other tabs of this round left behind. */
  async #read() {
    if (!this.#database) return;
    const range = IDBKeyRange.bound(this.prefix, `${this.prefix}\uffff`);
    const store = this.#store("readonly");
    const [keys, values] = await Promise.all([settled(store.getAllKeys(range)), settled(store.getAll(range))]);
    const there = new Set(keys);
    for (const key of [...this.#kept.keys()]) if (!there.has(key) && !this.#unsaved.has(key)) this.#kept.delete(key);
    keys.forEach((key, index) => { if (!this.#dropped.has(key)) this.#kept.set(key, values[index]); });
    this.#tell("change");
  }

  add(kind, body) {
    this.#number += 1;
    const key = `${this.prefix}${Date.now()}-${String(this.#number).padStart(6, "0")}-${body.client_id}`;
    this.#kept.set(key, { kind, body });
    this.#unsaved.add(key);
    this.ready.then(() => this.#database && settled(this.#store("readwrite").put({ kind, body }, key)))
      .then(() => { if (this.#database) this.#unsaved.delete(key); }, () => {}).then(() => this.#tell("change"));
    this.#tell("change");
    queueMicrotask(() => this.flush());
  }

  /* Take back an answer that has not left yet. */
  cancel(clientId) {
    const kept = this.entries().find(([key, entry]) =>
      entry.kind === "answer" && entry.body.client_id === clientId && !this.#inFlight.has(key));
    if (!kept) return false;
    this.#drop(kept[0]);
    this.#tell("change");
    return true;
  }

  #drop(key) {
    this.#kept.delete(key);
    this.#tries.delete(key);
    this.#aside.delete(key);
    this.#unsaved.delete(key);
    this.#dropped.add(key);
    this.ready.then(() => this.#database && settled(this.#store("readwrite").delete(key)))
      .catch(() => {}); // still there: sent once more, counted once
  }

  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  async flush() {
    if (this.#busy) return;
    this.#busy = true;
    clearTimeout(this.#timer);
    try {
      await this.ready;
      await this.#read().catch(() => {});
      if (this.state !== "ok" && !this.toSend().length) await this.#look();
      for (let kept = this.toSend(); kept.length; kept = this.toSend()) await this.#sendSome(kept);
      this.#failures = 0;
      this.#enter("ok");
      this.#tell("drained");
    } catch (error) {
      await this.#failed(error);
    } finally {
      this.#inFlight.clear();
      this.#busy = false;
    }
  }

  /* With nothing to send, ask whether the connection and the person are back. */
  async #look() {
    const { user } = await getJson(this.urls.status);
    if (user !== this.user) throw new HttpError(409, null);
  }

  async #sendSome(kept) {
    const [first, { kind }] = kept[0];
    const end = kind === BUNDLED && !this.#tries.has(first) ? kept.findIndex(([, entry]) => entry.kind !== BUNDLED) : 1;
    const some = kept.slice(0, Math.min(end < 0 ? kept.length : end, MOST_AT_ONCE));
    for (const [key] of some) this.#inFlight.add(key);
    try {
      await this.#deliver(kind, some);
    } catch (error) {
      if (!(error instanceof HttpError) || !FAILS.includes(error.status) || !this.#setAside(some)) throw error;
      return;
    }
    for (const [key] of some) { this.#drop(key); this.#inFlight.delete(key); }
    this.#failures = 0;
    this.#enter("ok");
    this.#tell("change");
  }

  /* Whether one alone was set aside; of several, each is tried alone from now on. */
  #setAside(some) {
    for (const [key] of some) this.#tries.set(key, (this.#tries.get(key) ?? 0) + 1);
    const [[key]] = some;
    if (some.length > 1 || this.#tries.get(key) < TRIES) return false;
    this.#inFlight.delete(key);
    this.#aside.add(key);
    clearTimeout(this.#asideTimer);
    this.#asideTimer = setTimeout(() => this.sendAside(), ASIDE_MS);
    this.#tell("change");
    return true;
  }

  async #deliver(kind, some) {
    const [[, { body }]] = some;
    if (kind === BUNDLED) {
      const answers = some.map(([, entry]) => entry.body);
      const reply = await post(this.urls.answers, { user: this.user, answers });
      if (reply.answers.length !== answers.length) throw new Error("not all were acknowledged");
      for (const result of reply.answers) this.#tell("answered", result);
      if (reply.stopped) this.#tell("stopped");
    } else {
      this.#tell(`sent:${kind}`, { ...body, ...await this.#sendOne(kind, body) });
    }
  }

  async #sendOne(kind, body) {
    try {
      return await post(this.urls[kind], { user: this.user, ...body });
    } catch (error) {
      if (error instanceof HttpError && error.status === 400 && error.body.errors) return { refused: true }; // again would be refused again
      throw error;
    }
  }

  async #failed(error) {
    if (error instanceof LoginNeeded) this.#enter("login");
    else if (error instanceof HttpError && error.status === 403) await this.#newToken();
    else if (error instanceof HttpError && error.status === 409) this.#enter("another");
    else if (error instanceof HttpError && error.status === 404 && error.body.error) this.#enter("gone");
    else this.#enter("offline");
    const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)];
    this.#failures += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), wait);
  }

  /* Logging in again in another tab makes a new token; this page learns it without a reload. */
  async #newToken() {
    try {
      const { csrf } = await getJson(this.urls.status);
      document.querySelector('meta[name="csrf-token"]').content = csrf;
    } catch (error) {
      this.#enter(error instanceof LoginNeeded ? "login" : "offline");
    }
  }

  /* What other requests of the page found out about the connection; once known, the next try has its time. */
  noticed(error) {
    if (!this.#busy && this.state === "ok") this.#failed(error);
  }

  #enter(state) {
    if (state === this.state) return;
    if (this.state === "ok") this.since = new Date();
    this.state = state;
    this.#tell("change");
    if (state === "ok") this.#tell("back");
  }
}
