/* The line below the item: what to undo, the last answers and whether they were sent; progress and pace above. */
const RECENT_SHOWN = 6, PACE_FROM = 5, PACE_LEAST_S = 20;

const find = (id) => document.getElementById(id);
const say = (text, n) => text.replace("{n}", n);
export const duration = (words, seconds) =>
  seconds < 90 ? say(words.textSecond, Math.round(seconds)) : say(words.textMinute, Math.round(seconds / 60));

export class Strip {
  #times = [];

  constructor({ words, history, standing }) {
    Object.assign(this, { words, history, answered: standing.answered, parked: standing.parked });
    this.total = Infinity; // not known yet
  }

  /* What is left was counted: answers given meanwhile went from one part of the sum to another. */
  counted({ answered, left, parked }) {
    this.total = Math.max(answered + left + parked, this.answered + this.parked);
    this.show();
  }

  /* An answer was given (1) or taken back (-1). */
  count({ answer, is_parked: isParked, seconds }, by) {
    if (isParked) this.parked += by;
    else if (answer === "skip") this.total -= by;
    else {
      this.answered += by;
      if (by > 0) this.#times.push(seconds); else this.#times.pop();
    }
    this.total = Math.max(this.total, this.answered + this.parked);
  }

  /* So many parked items were handed out again. */
  returned(count) {
    if (!count) return;
    this.parked = Math.max(0, this.parked - count);
    this.show();
  }

  show() {
    const { words, history } = this, undo = find("undo"), isKnown = Number.isFinite(this.total);
    undo.disabled = !history.length;
    undo.querySelector("[data-words]").textContent = history.length ? say(words.textUndo, history[0].said) : words.textUndoPlain;
    find("recent").replaceChildren(...history.slice(0, RECENT_SHOWN).map((row) => this.#row(row)));
    find("answered").textContent = this.answered;
    find("total").textContent = isKnown ? this.total : "";
    find("of-total").hidden = !isKnown;
    find("parked").textContent = this.parked ? say(words.textParkedCount, this.parked) : "";
    find("progress").max = isKnown ? Math.max(1, this.total) : 1;
    find("progress").value = isKnown ? this.answered : 0;
    this.#pace();
  }

  #pace() {
    const mean = this.#times.reduce((sum, one) => sum + one, 0) / this.#times.length;
    const left = (this.total - this.answered) * mean;
    find("pace").textContent = !Number.isFinite(left) || this.#times.length < PACE_FROM || left < PACE_LEAST_S ? "" : say(this.words.textPace, duration(this.words, left));
  }

  #row({ said, state, entry }) {
    const { words } = this, box = document.createElement("span");
    box.className = "strip-item";
    if (entry.thumb) box.append(entry.thumb);
    const text = document.createElement("span"), name = document.createElement("b"), caption = document.createElement("span");
    name.textContent = said;
    caption.className = "caption";
    const thinks = entry.suggestion?.shown === "after" ? say(words.textModelSays, entry.suggestion.name) : "";
    caption.textContent = thinks || ({ waits: words.textWaits, surplus: words.textSurplusShort, refused: words.textRefusedShort }[state] ?? words.textSent);
    text.append(name, document.createElement("br"), caption);
    box.append(text);
    return box;
  }
}
