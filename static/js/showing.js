/* The item on the stage: picture, sound or text, loaded before its turn. */
import { Sound } from "./sound.js";
import { LoginNeeded } from "./http.js";
import { attach, draw, play, player, stop, toggle } from "./wave.js";
import { Zoom } from "./zoom.js";

const TINY_PX = 100;
const LOADS_WITHIN_MS = 10_000; // a picture at first; each further try has twice the time
const HEARD_SHARE = 0.95; // of the clip: decoders end some milliseconds early or late

export class Showing {
  #started = false; // browsers play sound only after somebody pressed something
  #entry = null;
  #hasFailed = false;

  constructor({ stage, media, words, look }) {
    Object.assign(this, { stage, media, words, look });
    if (media === "image") this.zoom = new Zoom(stage);
    if (media === "audio") { this.sound = new Sound(words); this.#followSound(); }
  }

  prepare(entry) {
    if (!entry.thumb && this.media === "image") entry.thumb = this.thumb(entry);
    entry.element ??= { image: () => this.#image(entry), audio: () => this.#wave(entry), text: () => this.#text(entry) }[this.media]();
    return entry;
  }

  /* For the list of last answers, which must not wait either. */
  thumb(entry) { return this.#load(Object.assign(new Image(), { className: "thumb-sm", alt: "" }), entry.peaks); }

  forget(entry) { if (entry.element?.dataset.media?.startsWith("blob:")) URL.revokeObjectURL(entry.element.dataset.media); }

  #image(entry) {
    const image = new Image();
    image.alt = this.words.textItem;
    image.draggable = false;
    this.#load(image, entry.media);
    image.decode().catch(() => { /* shown with a way to retry when its turn comes */ });
    image.addEventListener("error", () => { if (image.isConnected) this.#failed(entry); });
    if (entry.width && entry.width < TINY_PX) image.className = "small-original";
    return image;
  }

  /* A request that nobody answers is given up for another, which would join it if its address was the same. */
  #load(image, address, withinMs = LOADS_WITHIN_MS) {
    image.src = address;
    setTimeout(() => { if (!image.complete) this.#load(image, `${address}&again`, 2 * withinMs); }, withinMs);
    return image;
  }

  #wave(entry) {
    const wave = document.createElement("div");
    wave.className = "wave";
    Object.assign(wave.dataset, { wave: "", peaks: entry.peaks, media: entry.media, duration: entry.seconds ?? 0 });
    wave.addEventListener("wave:error", () => { if (wave.isConnected) this.#failed(entry); });
    attach(wave).catch(() => {});
    this.#keep(wave, entry.media);
    return wave;
  }

  /* The clip itself into memory, so that it plays at once and also without a connection. */
  async #keep(wave, url, withinMs = LOADS_WITHIN_MS) {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), withinMs);
    try {
      const response = await fetch(url, { credentials: "same-origin", signal: controller.signal });
      if (response.ok) this.#take(wave, URL.createObjectURL(await response.blob()));
    } catch {
      if (controller.signal.aborted) this.#keep(wave, `${url}&again`, 2 * withinMs);
    } finally {
      clearTimeout(timer);
    }
  }

  /* Play from memory, unless the clip is being heard already. */
  #take(wave, kept) {
    const isHeard = wave.isConnected && player().getAttribute("src") === wave.dataset.media;
    if (isHeard && player().readyState) { URL.revokeObjectURL(kept); return; }
    wave.dataset.media = kept;
    if (isHeard && !player().paused) this.#play();
  }

  #text(entry) {
    const text = document.createElement("blockquote");
    text.className = "stage-text";
    text.textContent = entry.text;
    text.dir = "auto";
    text.tabIndex = 0;
    return text;
  }

  show(entry) {
    this.#entry = entry;
    this.#hasFailed = false;
    this.zoom?.whole();
    if (this.media === "audio") stop();
    const { element } = this.prepare(entry);
    this.stage.classList.toggle("pixelated", this.media === "image" && entry.width < TINY_PX);
    this.stage.replaceChildren(element);
    this.stage.hidden = false;
    if (this.media === "image" && element.complete && !element.naturalWidth) this.#failed(entry);
    this.#tools(true);
    if (this.media === "audio") this.#showSound(entry);
  }

  #tools(shown) {
    for (const id of ["zoom", "sound"]) if (document.getElementById(id)) document.getElementById(id).hidden = !shown;
  }

  #showSound(entry) {
    draw(entry.element);
    this.sound.tellLevel(entry.peak);
    document.getElementById("length").textContent = Number(entry.seconds ?? 0).toFixed(2);
    document.getElementById("played").textContent = "0.00";
    if (this.#started) this.#play();
    else this.#name("start");
  }

  clear() {
    if (this.media === "audio") stop();
    this.#entry = null;
    this.stage.replaceChildren();
    this.stage.hidden = true;
    this.#tools(false);
  }

  #failed(entry) {
    const box = document.createElement("p");
    box.className = "notice bad";
    this.#hasFailed = true;
    const said = document.createElement("span");
    const button = (text) => Object.assign(document.createElement("button"), { type: "button", className: "btn-w btn-sm", textContent: text });
    const again = button(this.words.textRetry), unusable = button(this.words.textUnusable);
    again.addEventListener("click", () => this.retry());
    unusable.dataset.reasonNow = this.words.textFailedReason;
    unusable.hidden = true; // until it is known that the file is to blame
    said.textContent = `${this.words.textFailed} `;
    box.append(said, again, " ", unusable);
    this.stage.replaceChildren(box);
    this.look().then(() => { unusable.hidden = false; }, (error) => {
      if (!(error instanceof LoginNeeded)) return;
      said.textContent = `${this.words.textFailedLogin} `;
      const login = button(this.words.textLoginAgain);
      login.dataset.act = "login";
      again.replaceWith(login);
    });
  }

  /* Fetch once more what did not load. */
  retry() {
    const entry = this.#entry;
    if (!entry || !this.#hasFailed) return;
    entry.element = null;
    this.show(entry);
  }

  /* ---- sound ---- */

  toggle() {
    if (!this.#entry) return;
    this.#started = true;
    this.sound.apply();
    toggle(this.#entry.element);
    player().playbackRate = this.sound.speed;
  }

  replay() { if (this.#entry) { this.#started = true; this.#play(); } }

  #play() {
    this.sound.apply();
    play(this.#entry.element, { rate: this.sound.speed });
  }

  #name(state) {
    const words = document.querySelector("#play [data-words]");
    words.textContent = words.dataset[state];
  }

  /* Jumping to the end is not listening: what was played must cover the clip. */
  #isHeard() {
    const { played, duration } = player();
    let seconds = 0;
    for (let index = 0; index < played.length; index += 1) seconds += played.end(index) - played.start(index);
    return seconds >= HEARD_SHARE * duration;
  }

  #followSound() {
    this.stage.addEventListener("wave:play", () => { this.#started = true; this.#name("pause"); });
    for (const end of ["wave:pause", "wave:ended"]) this.stage.addEventListener(end, () => this.#name("play"));
    this.stage.addEventListener("wave:time", (event) => { document.getElementById("played").textContent = event.detail.toFixed(2); });
    this.stage.addEventListener("wave:ended", () => {
      if (!this.#entry || !this.#isHeard()) return;
      this.#entry.heard = true;
      this.stage.dispatchEvent(new CustomEvent("winnow:heard"));
    });
  }
}
