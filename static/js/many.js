/* Many at once: Enter decides about all the others, so the key that judged the last card must not.
   The buttons get their keys once what the sample came to was on the screen for a moment in which
   none of them was pressed: whoever goes on as through cards has not looked yet. */
import { toast } from "./toast.js";

const LOOKED_MS = 1000; // nobody reads what a sample came to in less
const buttons = [...document.querySelectorAll("[data-key-looked]")];
const codes = buttons.flatMap((button) => button.dataset.keyLooked.split(" "));
let looked = 0;

function wait() {
  clearTimeout(looked);
  looked = setTimeout(giveKeys, LOOKED_MS);
}

function giveKeys() {
  document.removeEventListener("keydown", drop);
  for (const button of buttons) {
    button.dataset.key = button.dataset.keyLooked;
    button.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true }));
  }
}

function drop(event) {
  if (event.target !== document.body || !codes.includes(event.code)) return; // who went to a button looked
  toast(document.querySelector("[data-text-unseen]").dataset.textUnseen, "info"); // a key that is dropped is told of
  wait();
}

if (buttons.length) {
  document.addEventListener("keydown", drop);
  wait();
}
