/* The item on the stage: picture, sound or text, loaded before its turn. */
import { attach, draw, play, stop, toggle } from "./wave.js";

const ZOOMS = [1, 2, 4], TINY_PX = 100;

export class Showing {
  #zoom = 0;
  #started = false; // browsers play sound only after somebody pressed something
  #sound = null;

  constructor(stage, media, words) {
    this.stage = stage;
    this.media = media;
    this.words = words;
    if (media === "image") this.#panByPointer();
    if (media === "audio") this.#followSound();
  }

  prepare(entry) {
    entry.element = { image: () => this.#image(entry), audio: () => this.#wave(entry), text: () => this.#text(entry) }[this.media]();
    return entry;
  }

  #image(entry) {
    const image = new Image();
    image.alt = this.words.textItem;
    image.draggable = false;
    image.src = entry.media;
    image.decode().catch(() => { /* shown with a way to retry when its turn comes */ });
    image.addEventListener("error", () => { if (image.isConnected) this.#failed(entry); });
    if (entry.width && entry.width < TINY_PX) image.className = "small-original";
    entry.thumb = new Image(); // for the list of last answers, which must not wait either
    Object.assign(entry.thumb, { className: "thumb-sm", alt: "", src: entry.peaks });
    return image;
  }

  #wave(entry) {
    const wave = document.createElement("div");
    wave.className = "wave";
    Object.assign(wave.dataset, { wave: "", peaks: entry.peaks, media: entry.media, duration: entry.seconds ?? 0 });
    fetch(entry.media, { credentials: "same-origin" }).catch(() => {}); // into the cache, before its turn
    fetch(entry.peaks, { credentials: "same-origin" }).catch(() => {});
    wave.addEventListener("wave:error", () => { if (wave.isConnected) this.#failed(entry); });
    return wave;
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
    this.whole();
    this.#sound = null;
    if (this.media === "audio") stop();
    const { element } = entry;
    this.stage.classList.toggle("pixelated", this.media === "image" && entry.width < TINY_PX);
    this.stage.replaceChildren(element);
    this.stage.hidden = false;
    if (this.media === "image" && element.complete && !element.naturalWidth) this.#failed(entry);
    const tool = document.getElementById(this.media === "audio" ? "sound" : "zoom");
    if (tool) tool.hidden = false;
    if (this.media === "audio") this.#showSound(entry);
  }

  #showSound(entry) {
    this.#sound = entry.element;
    attach(entry.element).then(() => draw(entry.element));
    document.getElementById("length").textContent = Number(entry.seconds ?? 0).toFixed(2);
    document.getElementById("played").textContent = "0.00";
    if (this.#started) play(entry.element);
    else this.#name("start");
  }

  clear() {
    if (this.media === "audio") stop();
    this.#sound = null;
    this.stage.replaceChildren();
    this.stage.hidden = true;
    for (const id of ["zoom", "sound"]) if (document.getElementById(id)) document.getElementById(id).hidden = true;
  }

  #failed(entry) {
    const box = document.createElement("p");
    box.className = "notice bad";
    const again = document.createElement("button");
    again.type = "button";
    again.className = "btn-w btn-sm";
    again.textContent = this.words.textRetry;
    again.addEventListener("click", () => { this.prepare(entry); this.show(entry); });
    const unusable = document.createElement("button");
    unusable.type = "button";
    unusable.className = "btn-w btn-sm";
    unusable.textContent = this.words.textUnusable;
    unusable.dataset.reasonNow = this.words.textFailedReason;
    box.append(`${this.words.textFailed} `, again, " ", unusable);
    this.stage.replaceChildren(box);
  }

  /* ---- sound ---- */

  toggle() { if (this.#sound) { this.#started = true; toggle(this.#sound); } }

  replay() { if (this.#sound) { this.#started = true; play(this.#sound); } }

  #name(state) {
    const words = document.querySelector("#play [data-words]");
    words.textContent = words.dataset[state];
  }

  #followSound() {
    this.stage.addEventListener("wave:play", () => { this.#started = true; this.#name("pause"); document.getElementById("sound-note").hidden = true; });
    for (const end of ["wave:pause", "wave:ended"]) this.stage.addEventListener(end, () => this.#name("play"));
    this.stage.addEventListener("wave:time", (event) => { document.getElementById("played").textContent = event.detail.toFixed(2); });
  }

  /* ---- zoom ---- */

  zoom() {
    this.#zoom = (this.#zoom + 1) % ZOOMS.length;
    const { stage } = this;
    const across = (stage.scrollLeft + stage.clientWidth / 2) / stage.scrollWidth;
    const down = (stage.scrollTop + stage.clientHeight / 2) / stage.scrollHeight;
    stage.classList.toggle("zoomed", this.#zoom > 0);
    stage.style.setProperty("--zoom", ZOOMS[this.#zoom]);
    stage.tabIndex = this.#zoom ? 0 : -1;
    stage.scrollTo(across * stage.scrollWidth - stage.clientWidth / 2, down * stage.scrollHeight - stage.clientHeight / 2);
  }

  whole() {
    this.#zoom = 0;
    this.stage.classList.remove("zoomed");
  }

  #panByPointer() {
    let from = null;
    this.stage.addEventListener("pointerdown", (event) => { if (this.#zoom && event.pointerType === "mouse") from = event; });
    addEventListener("pointerup", () => { from = null; });
    this.stage.addEventListener("pointermove", (event) => {
      if (!from) return;
      this.stage.scrollBy(from.clientX - event.clientX, from.clientY - event.clientY);
      from = event;
    });
  }
}
