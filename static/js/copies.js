/* What differs between copies: drawn on canvases from the pictures on the page, nothing is fetched twice. */
import { EVERYTHING, placeOf } from "./parts.js";

const WIDTH = 400, GAIN = 8, BLINK_MS = 500, BLINK_WIDTH = 1200;
const BESIDE = 128; // level of what only the whole shows
/* Quarters turned, mirrored before, what it covers of the first. */
const WAYS = [0, 1, 2, 3].flatMap((quarters) => [[quarters, false, EVERYTHING], [quarters, true, EVERYTHING]]);
const [AS_IT_LIES] = WAYS;
let blinking = 0;

function drawn(image, width, height, [quarters, mirrored, [left, top, right, bottom]]) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [across, down] = quarters % 2 ? [height, width] : [width, height];
  context.translate(width / 2, height / 2);
  context.rotate((quarters * Math.PI) / 2);
  if (mirrored) context.scale(-1, 1);
  context.drawImage(image, (left - 0.5) * across, (top - 0.5) * down, (right - left) * across, (bottom - top) * down);
  return canvas;
}

const sample = (image, width, height, way) => drawn(image, width, height, way).getContext("2d").getImageData(0, 0, width, height);

function difference(one, two, [left, top, right, bottom]) {
  const { width, height } = one;
  let [sum, compared] = [0, 0];
  for (let at = 0; at < one.data.length; at += 4) {
    const row = Math.floor(at / 4 / width), column = (at / 4) % width;
    const isBoth = column >= left * width && column + 1 <= right * width && row >= top * height && row + 1 <= bottom * height;
    for (let channel = at; channel < at + 3; channel += 1) {
      const apart = Math.abs(one.data[channel] - two.data[channel]);
      if (isBoth) sum += apart;
      two.data[channel] = isBoth ? Math.min(255, apart * GAIN) : BESIDE;
    }
    compared += 3 * isBoth;
    two.data[at + 3] = 255;
  }
  return { mean: sum / compared, shown: two };
}

const downOf = (image, width) => Math.max(1, Math.round((width * image.naturalHeight) / image.naturalWidth));

function waysOf(figure, first, other) {
  if ("changed" in other.dataset) return WAYS;
  if (!("part" in other.dataset)) return [AS_IT_LIES];
  const { isPart, covers, share } = placeOf(first, other);
  const words = figure.querySelector(isPart ? "[data-is-part]" : "[data-has-part]");
  words.hidden = false;
  words.querySelector("[data-share]").textContent = Math.round(100 * share);
  return [[0, false, covers]];
}

/* Draw the difference; return how the other one lies as the first does: the pixels tell. */
function draw(figure, first, other) {
  const width = Math.min(WIDTH, first.naturalWidth, other.naturalWidth);
  const height = downOf(first, width);
  const one = sample(first, width, height, AS_IT_LIES);
  const tried = waysOf(figure, first, other).map((way) => ({ way, ...difference(one, sample(other, width, height, way), way[2]) }));
  const { way, mean, shown } = tried.reduce((best, next) => (next.mean < best.mean ? next : best));
  const canvas = figure.querySelector("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(shown, 0, 0);
  figure.querySelector("[data-mean]").textContent = mean.toFixed(1);
  return way;
}

function putRight(first, other, way) {
  if (way === AS_IT_LIES) return other.dataset.own;
  const width = Math.min(BLINK_WIDTH, first.naturalWidth);
  return drawn(other, width, downOf(first, width), way).toDataURL();
}

function blink([first, ...others], ways, on) {
  clearInterval(blinking);
  for (const image of [first, ...others]) image.dataset.own ??= image.getAttribute("src");
  if (!on) {
    for (const other of others) other.src = other.dataset.own;
    return;
  }
  const right = others.map((other, place) => putRight(first, other, ways[place]));
  let turn = 0;
  blinking = setInterval(() => {
    turn += 1;
    others.forEach((other, place) => { other.src = turn % 2 ? first.dataset.own : right[place]; });
  }, BLINK_MS);
}

export async function compare(root) {
  clearInterval(blinking);
  const tools = root.querySelector("[data-compare-tools]");
  const images = [...root.querySelectorAll("[data-copy-image]")];
  if (!tools || images.length < 2) return;
  tools.hidden = false;
  await Promise.all(images.map((image) => image.decode().catch(() => null)));
  const figures = [...root.querySelectorAll("[data-difference-of]")].slice(1);
  const ways = figures.map((figure, place) => (images[place + 1].naturalWidth && images[0].naturalWidth ? draw(figure, images[0], images[place + 1]) : AS_IT_LIES));
  const switchDifference = (on) => { for (const part of [...figures, root.querySelector("[data-difference-words]")]) if (part) part.hidden = !on; };
  switchDifference(true);
  for (const [name, act] of [["[data-difference]", switchDifference], ["[data-blink]", (on) => blink(images, ways, on)]]) {
    const button = tools.querySelector(name);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      act(on);
    });
  }
}
