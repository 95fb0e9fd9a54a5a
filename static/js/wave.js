/* Waveforms from stored peaks, played through one shared <audio>.
   <div class="wave" data-wave data-peaks="URL" data-media="URL" data-duration="0.4"></div>
   Peaks are bytes, min and max of each slice in turn, 128 is zero. data-static: a click does not play. */
import { request } from "./http.js";

const ZERO = 128, BAR = 3, GAP = 2, TRIES = 3;
const peaksOf = new WeakMap();
let playing = null;

export function player() {
  let audio = document.getElementById("winnow-audio");
  if (!audio) {
    audio = document.createElement("audio");
    audio.id = "winnow-audio";
    audio.preload = "auto";
    audio.hidden = true;
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, () => announce(name));
    audio.addEventListener("error", () => { if (audio.getAttribute("src")) announce("error"); });
    document.body.append(audio);
  }
  return audio;
}

function announce(name) {
  if (!playing) return;
  const element = playing;
  element.dataset.state = name;
  element.dispatchEvent(new CustomEvent(`wave:${name}`, { bubbles: true }));
  const button = buttonOf(element);
  if (button?.matches(".tile-play")) button.textContent = name === "play" ? "❚❚" : "▶";
  if (name === "play") follow(); else draw(element);
}

const buttonOf = (element) => element.closest(".tile, [data-wave-group]")?.querySelector("[data-play]");
const waveOf = (button) => button.closest(".tile, [data-wave-group]")?.querySelector("[data-wave]");

function follow() {
  if (!playing) return;
  draw(playing);
  playing.dispatchEvent(new CustomEvent("wave:time", { bubbles: true, detail: player().currentTime }));
  if (!player().paused) requestAnimationFrame(follow);
}

function bars(peaks, count) {
  const slices = peaks.length / 2;
  const heights = new Float32Array(count * 2);
  for (let bar = 0; bar < count; bar += 1) {
    const from = Math.floor((bar * slices) / count);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * slices) / count));
    let low = 255, high = 0;
    for (let slice = from; slice < to; slice += 1) {
      low = Math.min(low, peaks[2 * slice]);
      high = Math.max(high, peaks[2 * slice + 1]);
    }
    heights[2 * bar] = (low - ZERO) / ZERO;
    heights[2 * bar + 1] = (high - ZERO) / (ZERO - 1);
  }
  return heights;
}

export function draw(element) {
  const peaks = peaksOf.get(element);
  const canvas = element.querySelector("canvas");
  const width = element.clientWidth, height = element.clientHeight;
  if (!peaks || !canvas || !width) return;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  paint(element, context, { peaks, width, height });
}

function paint(element, context, { peaks, width, height }) {
  const style = getComputedStyle(document.documentElement);
  const played = style.getPropertyValue("--accent"), waiting = style.getPropertyValue("--control");
  const gain = 10 ** (Number(element.dataset.gain || 0) / 20);
  const step = width < 240 ? 2 : BAR + GAP, thick = width < 240 ? 1.4 : BAR;
  const count = Math.max(1, Math.floor(width / step));
  const heights = bars(peaks, count);
  const share = progress(element);
  for (let bar = 0; bar < count; bar += 1) {
    const low = Math.max(-1, heights[2 * bar] * gain), high = Math.min(1, heights[2 * bar + 1] * gain);
    const top = height / 2 - (high * height) / 2, size = Math.max(1.5, ((high - low) * height) / 2);
    context.fillStyle = bar / count < share ? played : waiting;
    context.fillRect(bar * step, Math.min(top, height / 2 - 0.75), thick, size);
  }
  if (share > 0 && share < 1) {
    context.fillStyle = style.getPropertyValue("--ink");
    context.fillRect(share * width, 0, 2, height);
  }
}

function progress(element) {
  if (element !== playing) return 0;
  const audio = player();
  const length = Number(element.dataset.duration) || audio.duration;
  if (audio.ended) return 1;
  return length ? Math.min(1, audio.currentTime / length) : 0;
}

export async function attach(element) {
  if (element.querySelector("canvas")) return;
  const isFirst = !element.classList.contains("failed");
  element.classList.remove("failed");
  element.replaceChildren(document.createElement("canvas"));
  if (isFirst) watch(element);
  const peaks = await fetchPeaks(element.dataset.peaks);
  if (!peaks) { element.classList.add("failed"); element.textContent = "–"; return; }
  peaksOf.set(element, peaks);
  draw(element);
}

function watch(element) {
  if (!element.hasAttribute("data-static")) element.addEventListener("click", (event) => seekAndPlay(element, event));
  new ResizeObserver(() => draw(element)).observe(element);
}

/* A request that nobody answers is given up and made again, with more time. */
async function fetchPeaks(url, triesLeft = TRIES) {
  try {
    const { response, arrayBuffer } = await request(url, { as: "arrayBuffer" });
    return response.ok ? new Uint8Array(arrayBuffer) : null;
  } catch {
    return triesLeft > 1 ? fetchPeaks(url, triesLeft - 1) : null;
  }
}

function seekAndPlay(element, event) {
  const box = element.getBoundingClientRect();
  const length = Number(element.dataset.duration) || 0;
  const at = ((event.clientX - box.left) / box.width) * length;
  if (element === playing && !player().paused) { player().currentTime = at; return; }
  play(element, { from: element === playing ? at : 0 });
}

export function play(element, { from = 0, rate = 1 } = {}) {
  const audio = player();
  const before = playing;
  if (before && before !== element) stop();
  playing = element;
  if (audio.getAttribute("src") !== element.dataset.media) audio.src = element.dataset.media;
  audio.currentTime = from;
  audio.playbackRate = rate;
  return audio.play().catch((error) => {
    if (error.name !== "AbortError") announce("error"); // a newer clip may take over: that is no failure
  });
}

export function toggle(element) {
  if (element !== playing) return play(element);
  const audio = player();
  if (audio.paused) return play(element, { from: audio.ended ? 0 : audio.currentTime, rate: audio.playbackRate });
  return audio.pause();
}

/* Plays the clip after the one that was played last, of those that stand together. */
function playNext(button) {
  const all = [...button.closest(".stage-col").querySelectorAll("[data-wave]")];
  const next = all[(all.indexOf(playing) + 1) % all.length];
  if (!next) return;
  next.scrollIntoView({ block: "nearest" });
  attach(next).then(() => play(next));
}

export function stop() {
  const audio = player();
  audio.pause();
  const element = playing;
  playing = null;
  if (element) {
    const button = buttonOf(element);
    if (button?.matches(".tile-play")) button.textContent = "▶";
    draw(element);
  }
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); attach(entry.target); }
}, { rootMargin: "300px" });

function find(root) {
  if (root.matches?.("[data-wave]")) seen.observe(root); // swapped in on its own, as beside a clip's cut
  for (const element of root.querySelectorAll("[data-wave]")) seen.observe(element);
}

if (!document.documentElement.dataset.wavesStarted) {
  document.documentElement.dataset.wavesStarted = "true";
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-play]");
    const element = button && waveOf(button);
    if (element) { event.preventDefault(); attach(element).then(() => toggle(element)); }
    const inTurn = event.target.closest("[data-play-next]");
    if (inTurn) playNext(inTurn);
  });
  document.addEventListener("winnow:theme", () => { for (const element of document.querySelectorAll("[data-wave]")) draw(element); });
  document.addEventListener("htmx:load", (event) => find(event.target));
  find(document);
}
