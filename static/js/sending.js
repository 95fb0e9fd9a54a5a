/* What is visible about sending: the pill in the bar, the sentence beside the answers, logging in without leaving. */
import { csrfToken, request } from "./http.js";
import { isLoginPage } from "./toast.js";

const SHOWN_AFTER_MS = 1000; // most answers are sent by then: nothing comes and goes with each of them

const say = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

export class Sending {
  constructor({ outbox, words, settings, ahead }) {
    Object.assign(this, { outbox, words, settings, ahead });
    this.pill = document.getElementById("sending");
    this.sentence = document.getElementById("sentence");
    this.usual = this.sentence.textContent;
    this.dialog = document.getElementById("login");
    this.dialog.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); this.#logIn(); });
    document.getElementById("login-again").addEventListener("click", () => this.ask());
    document.getElementById("send-again").addEventListener("click", () => outbox.sendAside());
    outbox.addEventListener("answered", () => { this.since = null; });
    outbox.addEventListener("change", () => this.show());
    this.show();
  }

  show() {
    const { outbox, words } = this, aside = outbox.aside, n = outbox.state === "ok" && aside ? aside : outbox.waiting;
    const isFull = n && outbox.keptInMemory && !outbox.isOpen;
    const text = { offline: words.textOffline, login: words.textLogin, another: words.textAnother, gone: words.textGone }[outbox.state]
      ?? (aside ? (n === 1 ? words.textAsideOne : words.textAside) : isFull ? words.textFull : n === 1 ? words.textWaitingOne : n ? words.textWaiting : "");
    this.pill.className = `pill ${outbox.state === "ok" ? "warn" : "bad"}`;
    this.pill.textContent = say(text, { n });
    this.pill.hidden = !text || this.#isPassing(outbox.state === "ok" && !aside && !isFull ? n : 0);
    document.getElementById("login-again").hidden = !["login", "another"].includes(outbox.state);
    document.getElementById("send-again").hidden = outbox.state !== "ok" || !aside;
    this.#sentence();
  }

  /* Whether answers only just began to wait, or others just went; looked at again when that is over. */
  #isPassing(n) {
    clearTimeout(this.timer);
    this.since = n ? this.since ?? performance.now() : null;
    const left = n && this.since + SHOWN_AFTER_MS - performance.now();
    if (left > 0) this.timer = setTimeout(() => this.show(), left);
    return left > 0;
  }

  #sentence() {
    const { outbox, words } = this;
    const since = outbox.since?.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const text = { offline: words.textOfflineMore, login: words.textLoginMore, another: words.textLoginMore }[outbox.state];
    this.sentence.className = text ? "notice bad" : "caption optional";
    this.sentence.textContent = text ? say(text, { since, n: this.ahead() }) : this.usual;
  }

  ask() {
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.querySelector("[name=password]").focus();
  }

  async #logIn() {
    const form = this.dialog.querySelector("form"), error = this.dialog.querySelector("[data-error]");
    error.hidden = true;
    try {
      const refused = await logIn({ form, status: this.settings.urls.status, logout: this.settings.logout, user: this.settings.user });
      error.textContent = refused;
      error.hidden = !refused;
      if (refused) return;
    } catch {
      error.textContent = document.body.dataset.textOffline;
      error.hidden = false;
      return;
    }
    form.reset();
    this.dialog.close();
    this.outbox.flush();
  }
}

const page = (text) => new DOMParser().parseFromString(text, "text/html");

/* Log in through the usual page, which leads on to `status`; returns why not, or nothing. */
async function logIn({ form, status, logout, user }) {
  const url = `${document.body.dataset.loginUrl}?next=${encodeURIComponent(status)}`;
  let { response, text } = await request(url);
  if (!isLoginPage(response.url)) { // somebody is logged in: this person by another tab, or another person
    const found = JSON.parse(text);
    renewToken(found.csrf);
    if (found.user === user) return "";
    await request(logout, { method: "POST", headers: { "X-CSRFToken": csrfToken() } });
    ({ text } = await request(url));
  }
  const token = page(text).querySelector("[name=csrfmiddlewaretoken]").value;
  const sent = new URLSearchParams(new FormData(form));
  sent.set("csrfmiddlewaretoken", token);
  sent.set("next", status);
  ({ response, text } = await request(url, { method: "POST", body: sent }));
  if (isLoginPage(response.url) || !response.ok) {
    const shown = page(text);
    const why = ["[role=alert]", ".errors", "h1"].map((place) => shown.querySelector(place)).find(Boolean);
    return why?.textContent.trim() ?? `${response.status}`;
  }
  renewToken(JSON.parse(text).csrf);
  return "";
}

function renewToken(token) { document.querySelector('meta[name="csrf-token"]').content = token; }
