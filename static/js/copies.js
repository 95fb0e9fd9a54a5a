/* What differs between copies: drawn on canvases from the pictures on the page, nothing is fetched twice. */
const WIDTH = 400, GAIN = 8, BLINK_MS = 500;
let blinking = 0;

function sample(image, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if ("mirrored" in image.dataset) { context.translate(width, 0); context.scale(-1, 1); }
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function draw(figure, first, other) {
  const width = Math.min(WIDTH, first.naturalWidth, other.naturalWidth);
  const height = Math.max(1, Math.round((width * first.naturalHeight) / first.naturalWidth));
  const one = sample(first, width, height), two = sample(other, width, height);
  let sum = 0;
  for (let at = 0; at < one.data.length; at += 4) {
    for (let channel = at; channel < at + 3; channel += 1) {
      const difference = Math.abs(one.data[channel] - two.data[channel]);
      sum += difference;
      one.data[channel] = Math.min(255, difference * GAIN);
    }
    one.data[at + 3] = 255;
  }
  const canvas = figure.querySelector("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(one, 0, 0);
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
