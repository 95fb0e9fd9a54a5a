/* Answers stay in this browser until the server has acknowledged them, in the order they were given.
   One key of localStorage each: two tabs, a crash or a closed lid lose nothing; the same client id counts once. */
import { HttpError, LoginNeeded, getJson, post } from "./http.js";

const MOST_AT_ONCE = 50, RETRY_MS = [1000, 2000, 4000, 8000, 15_000], ANSWER_WITHIN_MS = 20_000;

export class Outbox extends EventTarget {
  #memory = new Map();
  #inFlight = new Set();
  #busy = false;
  #failures = 0;
  #timer = null;
  #number = 0;

  constructor({ user, round, urls }) {
    super();
    this.prefix = `winnow:outbox:${user}:${round}:`;
    this.user = user;
    this.urls = urls;
    this.state = "ok"; // ok, offline, login, another, gone
    addEventListener("online", () => this.flush());
    addEventListener("focus", () => { if (this.state !== "ok") this.flush(); });
    addEventListener("storage", (event) => { if (event.key?.startsWith(this.prefix)) this.#tell("change"); });
  }

  get keptInMemory() { return this.#memory.size > 0; }

  keys() {
    const found = new Set(this.#memory.keys());
    for (let index = 0; index < localStorage.length; index += 1) {
      const key = localStorage.key(index);
      if (key.startsWith(this.prefix)) found.add(key);
    }
    return [...found].sort();
  }

  entries() {
    return this.keys().map((key) => [key, this.#read(key)]).filter(([, entry]) => entry);
  }

  #read(key) { return JSON.parse(this.#memory.get(key) ?? localStorage.getItem(key)); }

  /* Answers that are kept here and not taken back: item ids. */
  items() {
    const kept = this.entries().filter(([, entry]) => entry.kind === "answer");
    return new Set(kept.map(([, entry]) => entry.body.item));
  }

  add(kind, body) {
    this.#number += 1;
    const key = `${this.prefix}${Date.now()}-${String(this.#number).padStart(6, "0")}-${body.client_id}`;
    const text = JSON.stringify({ kind, body });
    try { localStorage.setItem(key, text); } catch { this.#memory.set(key, text); }
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

  #drop(key) { this.#memory.delete(key); localStorage.removeItem(key); }

  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  async flush() {
    if (this.#busy) return;
    this.#busy = true;
    clearTimeout(this.#timer);
    try {
      for (let kept = this.entries(); kept.length; kept = this.entries()) await this.#sendSome(kept);
      this.#failures = 0;
      this.#enter("ok");
    } catch (error) {
      await this.#failed(error);
    } finally {
      this.#inFlight.clear();
      this.#busy = false;
    }
  }

  async #sendSome(kept) {
    const [, first] = kept[0];
    const end = first.kind === "answer" ? kept.findIndex(([, entry]) => entry.kind !== "answer") : 1;
    const some = kept.slice(0, Math.min(end < 0 ? kept.length : end, MOST_AT_ONCE));
    for (const [key] of some) this.#inFlight.add(key);
    const signal = AbortSignal.timeout?.(ANSWER_WITHIN_MS);
    if (first.kind === "answer") {
      const answers = some.map(([, entry]) => entry.body);
      const reply = await post(this.urls.answers, { user: this.user, answers }, { signal });
      for (const result of reply.answers) this.#tell("answered", result);
    } else {
      const reply = await post(this.urls.withdraw, { user: this.user, ...first.body }, { signal });
      this.#tell("withdrawn", { ...first.body, ...reply });
    }
    for (const [key] of some) { this.#drop(key); this.#inFlight.delete(key); }
    this.#failures = 0;
    this.#enter("ok");
    this.#tell("change");
  }

  async #failed(error) {
    if (error instanceof LoginNeeded) this.#enter("login");
    else if (error instanceof HttpError && error.status === 403) await this.#newToken();
    else if (error instanceof HttpError && error.status === 409) this.#enter("another");
    else if (error instanceof HttpError && error.status === 404) this.#enter("gone");
    else this.#enter("offline");
    const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)];
    this.#failures += 1;
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

  /* What other requests of the page found out about the connection. */
  noticed(error) {
    if (!this.#busy) this.#failed(error);
  }

  #enter(state) {
    if (state === this.state) return;
    this.state = state;
    this.#tell("change");
    if (state === "ok") this.#tell("back");
  }
}
