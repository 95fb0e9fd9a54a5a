/* How clips are heard: speed, gain for soft speech behind a limiter, and a check that anything is heard at all. */
import { player } from "./wave.js";

const SPEEDS = [0.5, 0.75, 1, 1.5], GAIN_STEP_DB = 6, MOST_GAIN_DB = 36, SOFT_DBFS = -20;
const BEEP_HZ = [440, 660, 880], BEEP_SECONDS = 0.25;

const remembered = (name, usual) => {
  try { return Number(localStorage.getItem(`winnow:sound:${name}`) ?? usual); } catch { return usual; }
};
const remember = (name, value) => { try { localStorage.setItem(`winnow:sound:${name}`, value); } catch { /* only a convenience */ } };

export class Sound {
  #context = null;
  #gain = null;

  constructor(words) {
    this.words = words;
    this.speed = SPEEDS.includes(remembered("speed", 1)) ? remembered("speed", 1) : 1;
    this.decibels = Math.min(MOST_GAIN_DB, Math.max(0, remembered("gain", 0)));
    const check = document.getElementById("sound-check");
    document.getElementById("speeds").addEventListener("click", (event) => {
      const speed = event.target.closest("[data-speed]")?.dataset.speed;
      if (speed) this.#play(Number(speed));
    });
    document.getElementById("softer").addEventListener("click", () => this.softer());
    document.getElementById("louder").addEventListener("click", () => this.louder());
    check.addEventListener("click", (event) => { if (event.target.closest("[data-beep]")) this.beep(); });
    this.#show();
  }

  slower() { this.#play(SPEEDS[Math.max(0, SPEEDS.indexOf(this.speed) - 1)]); }

  faster() { this.#play(SPEEDS[Math.min(SPEEDS.length - 1, SPEEDS.indexOf(this.speed) + 1)]); }

  softer() { this.#amplify(-GAIN_STEP_DB); }

  louder() { this.#amplify(GAIN_STEP_DB); }

  #play(speed) {
    this.speed = speed;
    player().playbackRate = speed;
    remember("speed", speed);
    this.#show();
  }

  #amplify(step) {
    this.decibels = Math.min(MOST_GAIN_DB, Math.max(0, this.decibels + step));
    remember("gain", this.decibels);
    this.apply();
    this.#show();
  }

  /* Before each start: browsers allow sound only after somebody pressed something. */
  apply() {
    player().playbackRate = this.speed;
    if (!this.decibels && !this.#gain) return;
    this.#chain();
    this.#gain.gain.value = 10 ** (this.decibels / 20);
    this.#context.resume();
  }

  #chain() {
    if (this.#gain) return;
    this.#context = new AudioContext();
    this.#gain = this.#context.createGain();
    const limiter = this.#context.createDynamicsCompressor(); // a loud clip after a soft one must not hurt
    Object.entries({ threshold: -3, knee: 0, ratio: 20, attack: 0.002, release: 0.1 }).forEach(([name, value]) => { limiter[name].value = value; });
    this.#context.createMediaElementSource(player()).connect(this.#gain).connect(limiter).connect(this.#context.destination);
  }

  beep() {
    const context = this.#context ?? new AudioContext();
    context.resume();
    BEEP_HZ.forEach((hertz, index) => {
      const tone = context.createOscillator(), level = context.createGain();
      tone.frequency.value = hertz;
      level.gain.value = 0.2;
      tone.connect(level).connect(context.destination);
      tone.start(context.currentTime + 2 * index * BEEP_SECONDS);
      tone.stop(context.currentTime + (2 * index + 1) * BEEP_SECONDS);
    });
  }

  #show() {
    for (const button of document.querySelectorAll("[data-speed]")) button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === this.speed));
    document.getElementById("speed").textContent = `${this.speed}×`;
    document.getElementById("gain").textContent = `+${this.decibels} dB`;
    document.getElementById("softer").disabled = !this.decibels;
    document.getElementById("louder").disabled = this.decibels >= MOST_GAIN_DB;
  }

  /* `peak` is a share of full scale. */
  tellLevel(peak) {
    const level = 20 * Math.log10(peak || 0), pill = document.getElementById("soft");
    pill.classList.toggle("unseen", !(peak > 0 && level < SOFT_DBFS)); // its place stays: nothing jumps
    pill.textContent = this.words.textSoft.replace("{n}", `−${Math.round(-level)}`);
  }
}
