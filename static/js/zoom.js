/* Zoom and pan of the picture on the stage: wheel, keys, drag, pinch. The picture never leaves the stage. */
const MOST = 8, KEY_STEP = 2, WHEEL_STEP = 0.002, PAN_SHARE = 0.2;

const distance = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
const middle = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });

export class Zoom {
  #scale = 1;
  #x = 0;
  #y = 0;
  #pointers = new Map();

  constructor(stage) {
    this.stage = stage;
    stage.classList.add("zoomable");
    stage.addEventListener("wheel", (event) => {
      if (event.target.closest("button")) return;
      event.preventDefault();
      this.#by(Math.exp(-event.deltaY * WHEEL_STEP), event);
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
  }

  get isZoomed() { return this.#scale > 1; }

  closer() { this.#by(this.#scale >= MOST ? 1 / MOST : KEY_STEP); }

  whole() {
    this.#scale = 1;
    this.#apply();
  }

  /* Move by a share of the stage: -1, 0 or 1 in each direction. */
  pan(across, down) {
    this.#x -= across * PAN_SHARE * this.stage.clientWidth;
    this.#y -= down * PAN_SHARE * this.stage.clientHeight;
    this.#apply();
  }

  #down(event) {
    if (event.target.closest("button")) return;
    this.#pointers.set(event.pointerId, event);
    if (this.isZoomed || this.#pointers.size > 1) this.stage.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const pair = [...this.#pointers.values()];
    this.#pointers.set(event.pointerId, event);
    if (pair.length > 1) {
      const now = [...this.#pointers.values()];
      this.#by(distance(now) / Math.max(1, distance(pair)), middle(now));
      this.#shift(middle(pair), middle(now));
    } else if (this.isZoomed) this.#shift(before, event);
  }

  #shift(from, to) {
    this.#x += to.clientX - from.clientX;
    this.#y += to.clientY - from.clientY;
    this.#apply();
  }

  #by(factor, at = null) {
    const box = this.stage.getBoundingClientRect();
    const across = at ? at.clientX - box.left - box.width / 2 : 0, down = at ? at.clientY - box.top - box.height / 2 : 0;
    const scale = Math.min(MOST, Math.max(1, this.#scale * factor)), real = scale / this.#scale;
    this.#x = across - (across - this.#x) * real;
    this.#y = down - (down - this.#y) * real;
    this.#scale = scale;
    this.#apply();
  }

  #apply() {
    const { clientWidth, clientHeight } = this.stage, more = (this.#scale - 1) / 2;
    this.#x = Math.min(clientWidth * more, Math.max(-clientWidth * more, this.#x));
    this.#y = Math.min(clientHeight * more, Math.max(-clientHeight * more, this.#y));
    this.stage.classList.toggle("zoomed", this.isZoomed);
    const picture = this.stage.querySelector("img");
    if (picture) picture.style.transform = this.isZoomed ? `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})` : "";
  }
}
