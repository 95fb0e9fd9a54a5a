/* Many at once: Enter decides about all the others, so the key that judged the last card must not.
   The buttons get their keys once what the sample came to has been on the screen for a moment. */
import { toast } from "./toast.js";

const LOOKED_MS = 1000; // nobody reads what a sample came to in less
const buttons = document.querySelectorAll("[data-key-looked]");
const tell = (event) => {
  if (event.code === "Enter" || event.code === "NumpadEnter") toast(document.querySelector("[data-text-unseen]").dataset.textUnseen, "info");
};
if (buttons.length) {
  document.addEventListener("keydown", tell); // a key that is dropped is told of
  setTimeout(() => {
    document.removeEventListener("keydown", tell);
    for (const button of buttons) {
      button.dataset.key = button.dataset.keyLooked;
      button.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true }));
    }
  }, LOOKED_MS);
}
