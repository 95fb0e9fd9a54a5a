/* Where one picture lies within another: boxes of 0 to 1, [left, top, right, bottom], found from pixels. */
const COARSE = 24, FINE = 72; // points of the part along a side; the whole has a third more, as parts of .75 do
const GRID = 16, LEAST_SIDE = 10; // edges where the search begins, of so many along a side; the least side, in them
const PROMISING = 8; // boxes that are looked at more closely
const COARSE_STEPS = [1 / 32, 1 / 64], FINE_STEPS = [1 / 128, 1 / 256, 1 / 512];
export const EVERYTHING = [0, 0, 1, 1];

function greyOf(image, side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, side, side);
  const { data } = context.getImageData(0, 0, side, side);
  return Float32Array.from({ length: side * side }, (_, at) => data[4 * at] + data[4 * at + 1] + data[4 * at + 2]);
}

/* Where the middles of a line's points lie between the pixels of `side`: as far behind the first. */
function between(low, high, points, side) {
  const at = Float32Array.from({ length: points }, (_, point) => (low + ((high - low) * (point + 0.5)) / points) * side - 0.5);
  return at.map((place) => Math.min(Math.max(place, 0), side - 1.001));
}

/* The correlation of a part with a box of the whole, between its pixels. */
function likeness(part, whole, [left, top, right, bottom]) {
  const points = Math.sqrt(part.length), side = Math.sqrt(whole.length);
  const columns = between(left, right, points, side), rows = between(top, bottom, points, side);
  let at = 0, one = 0, other = 0, ones = 0, others = 0, both = 0;
  for (let line = 0; line < points; line += 1) {
    const row = Math.floor(rows[line]), down = rows[line] - row;
    for (let point = 0; point < points; point += 1) {
      const column = Math.floor(columns[point]), across = columns[point] - column;
      const corner = row * side + column;
      const above = whole[corner] + across * (whole[corner + 1] - whole[corner]);
      const below = whole[corner + side] + across * (whole[corner + side + 1] - whole[corner + side]);
      const here = above + down * (below - above), there = part[at];
      at += 1;
      one += here; other += there;
      ones += here * here; others += there * there; both += here * there;
    }
  }
  const spread = (ones - (one * one) / at) * (others - (other * other) / at);
  return spread > 0 ? (both - (one * other) / at) / Math.sqrt(spread) : 0;
}

function* boxes() {
  const sides = [];
  for (let low = 0; low + LEAST_SIDE <= GRID; low += 1) for (let high = low + LEAST_SIDE; high <= GRID; high += 1) sides.push([low / GRID, high / GRID]);
  for (const [left, right] of sides) for (const [top, bottom] of sides) yield [left, top, right, bottom];
}

/* Each edge, and each side as a whole, a step to and fro. */
function* moved(box, step) {
  for (const edges of [[0], [1], [2], [3], [0, 2], [1, 3]]) {
    for (const by of [-step, step]) {
      const next = box.map((edge, place) => (edges.includes(place) ? edge + by : edge));
      if (Math.min(...next) >= 0 && Math.max(...next) <= 1) yield next;
    }
  }
}

function settled(part, whole, start, steps) {
  let found = { box: start, like: likeness(part, whole, start) };
  for (const step of steps) {
    for (let before; before !== found;) {
      before = found;
      for (const box of moved(before.box, step)) {
        const like = likeness(part, whole, box);
        if (like > found.like) found = { box, like };
      }
    }
  }
  return found;
}

const mostAlike = (one, other) => other.like - one.like;

function placeIn(whole, part) {
  const [small, around] = [greyOf(part, COARSE), greyOf(whole, (COARSE * 4) / 3)];
  const tried = [...boxes()].map((box) => ({ box, like: likeness(small, around, box) })).sort(mostAlike);
  const near = tried.slice(0, PROMISING).map(({ box }) => settled(small, around, box, COARSE_STEPS)).sort(mostAlike);
  return settled(greyOf(part, FINE), greyOf(whole, (FINE * 4) / 3), near[0].box, FINE_STEPS);
}

/* Say which of two pictures is the part and where: what the other one covers of the first, and the share. */
export function placeOf(first, other) {
  const [within, around] = [placeIn(first, other), placeIn(other, first)];
  const isPart = within.like >= around.like;
  const [left, top, right, bottom] = isPart ? within.box : around.box;
  const [width, height] = [right - left, bottom - top];
  const covers = isPart ? within.box : [-left / width, -top / height, (1 - left) / width, (1 - top) / height];
  return { isPart, covers, share: width * height };
}
