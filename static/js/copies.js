/* What differs between copies: drawn on canvases from the pictures on the page, nothing is fetched twice. */
const WIDTH = 400, GAIN = 8, BLINK_MS = 500;
let blinking = 0;

function sample(image, width, height, quarters = 0) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [across, down] = quarters % 2 ? [height, width] : [width, height];
  context.translate(width / 2, height / 2);
  context.rotate((quarters * Math.PI) / 2);
  if ("mirrored" in image.dataset) context.scale(-1, 1);
  context.drawImage(image, -across / 2, -down / 2, across, down);
  return context.getImageData(0, 0, width, height);
}

function difference(one, two) {
  let sum = 0;
  for (let at = 0; at < one.data.length; at += 4) {
    for (let channel = at; channel < at + 3; channel += 1) {
      const apart = Math.abs(one.data[channel] - two.data[channel]);
      sum += apart;
      two.data[channel] = Math.min(255, apart * GAIN);
    }
    two.data[at + 3] = 255;
  }
  return { sum, shown: two };
}

function draw(figure, first, other) {
  const width = Math.min(WIDTH, first.naturalWidth, other.naturalWidth);
  const height = Math.max(1, Math.round((width * first.naturalHeight) / first.naturalWidth));
  const one = sample(first, width, height);
  const turns = "turned" in other.dataset ? [1, 2, 3] : [0]; // which way, the pixels tell
  const tried = turns.map((quarters) => difference(one, sample(other, width, height, quarters)));
  const { sum, shown } = tried.reduce((best, next) => (next.sum < best.sum ? next : best));
  const canvas = figure.querySelector("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(shown, 0, 0);
  figure.querySelector("[data-mean]").textContent = (sum / (width * height * 3)).toFixed(1);
}

function blink(root, images, on) {
  clearInterval(blinking);
  let turn = 0;
  const show = () => images.slice(1).forEach((image) => { image.src = turn % 2 ? images[0].dataset.own : image.dataset.own; });
  for (const image of images) image.dataset.own ??= image.getAttribute("src");
  if (on) blinking = setInterval(() => { turn += 1; show(); }, BLINK_MS);
  else show();
}

export async function compare(root) {
  clearInterval(blinking);
  const tools = root.querySelector("[data-compare-tools]");
  const images = [...root.querySelectorAll("[data-copy-image]")];
  if (!tools || images.length < 2) return;
  tools.hidden = false;
  await Promise.all(images.map((image) => image.decode().catch(() => null)));
  const figures = [...root.querySelectorAll("[data-difference-of]")].slice(1);
  figures.forEach((figure, place) => {
    if (images[place + 1].naturalWidth && images[0].naturalWidth) draw(figure, images[0], images[place + 1]);
  });
  const switchDifference = (on) => { for (const part of [...figures, root.querySelector("[data-difference-words]")]) if (part) part.hidden = !on; };
  switchDifference(true);
  for (const [name, act] of [["[data-difference]", switchDifference], ["[data-blink]", (on) => blink(root, images, on)]]) {
    const button = tools.querySelector(name);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      act(on);
    });
  }
}
