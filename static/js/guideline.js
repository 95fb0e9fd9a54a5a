/* The guideline beside the item: open or closed as the person left it; a changed one shows itself once, between items. */
import { request } from "./http.js";
import { attach } from "./wave.js";

export class GuidelinePanel {
  #fresh = null; // a newer version that waits for the next item

  constructor({ page, settings, seen }) {
    Object.assign(this, { page, settings, seen });
    this.panel = document.getElementById("guideline-body");
    this.dialog = document.getElementById("guideline-changed");
    try { if (localStorage.getItem("winnow:guideline") === "closed") page.classList.add("guideline-closed"); } catch { /* only a convenience */ }
    if (settings.isGuidelineChanged) this.#tell();
    else if (settings.isGuidelineNew) seen(settings.guideline);
  }

  toggle() {
    const isNarrow = matchMedia("(max-width: 820px)").matches;
    const now = this.page.classList.toggle(isNarrow ? "guideline-open" : "guideline-closed");
    const isOpen = isNarrow ? now : !now;
    for (const button of document.querySelectorAll("[data-guideline]")) button.setAttribute("aria-expanded", String(isOpen));
    if (!isNarrow) try { localStorage.setItem("winnow:guideline", isOpen ? "open" : "closed"); } catch { /* only a convenience */ }
    if (isNarrow && isOpen) document.getElementById("guideline").scrollIntoView();
  }

  /* The server named the version that holds; a newer one is fetched and waits for the next item. */
  async noticed(id) {
    if (!id || id === this.settings.guideline || this.#fresh) return;
    const { text } = await request(this.settings.urls.guideline).catch(() => ({ text: "" }));
    const body = new DOMParser().parseFromString(text, "text/html").querySelector("[data-guideline-id]");
    if (body) this.#fresh = body;
  }

  betweenItems() {
    if (!this.#fresh) return;
    this.panel.replaceChildren(document.adoptNode(this.#fresh));
    this.settings.guideline = Number(this.#fresh.dataset.guidelineId);
    this.#fresh = null;
    for (const wave of this.panel.querySelectorAll("[data-wave]")) attach(wave);
    this.#tell();
  }

  #tell() {
    const shown = this.panel.firstElementChild.cloneNode(true);
    for (const canvas of shown.querySelectorAll("canvas")) canvas.remove();
    this.dialog.querySelector("[data-body]").replaceChildren(shown);
    this.dialog.showModal();
    for (const wave of shown.querySelectorAll("[data-wave]")) attach(wave);
    this.seen(this.settings.guideline);
  }
}
