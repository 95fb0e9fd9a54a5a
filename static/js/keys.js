/* Keys stand in the page as data-key="KeyR"; one listener serves them all, also what htmx brings later. */
const TYPING = 'input:not([type=checkbox], [type=radio], [type=button], [type=submit], [type=range]), textarea, select, [contenteditable="true"]';
const NAMES = { Slash: "/", Enter: "↵", NumpadEnter: "↵", Escape: "Esc", Space: "Space", ArrowLeft: "←", ArrowRight: "→",
  ArrowUp: "↑", ArrowDown: "↓", Minus: "−", Equal: "+", BracketLeft: "[", BracketRight: "]", Comma: ",", Period: ".", Backspace: "⌫" };

export const keyName = (code) => code.split("+").map((part) =>
  NAMES[part] ?? (part === "Mod" ? "Ctrl" : part.replace(/^(Key|Digit|Numpad)/, ""))).join("+");

const mainCode = (code) => code.replace(/^Numpad(\d)$/, "Digit$1");

function pressed(event) {
  const modifiers = [];
  if (event.ctrlKey || event.metaKey) modifiers.push("Mod");
  if (event.altKey) modifiers.push("Alt");
  if (event.shiftKey) modifiers.push("Shift");
  return [...modifiers, mainCode(event.code)].join("+");
}

const codesOf = (element) => element.dataset.key.split(/\s+/).map((code) => code.split("+").map(mainCode).join("+"));
const isUsable = (element) => !element.disabled && element.getAttribute("aria-disabled") !== "true" &&
  (element.checkVisibility?.() ?? element.offsetParent !== null);

function scope() {
  const open = document.querySelectorAll("dialog[open]");
  return open.length ? open[open.length - 1] : document;
}

function act(element) {
  if (element.matches(TYPING)) element.focus();
  else element.click();
}

/* An own key of the browser: Enter and Space press the button that has the focus. */
function belongsToFocus(event) {
  const focused = event.target.closest?.("a[href], button, summary, input, label");
  return Boolean(focused) && (event.code === "Enter" || event.code === "Space" || event.code === "NumpadEnter");
}

function showHelp() {
  let dialog = document.getElementById("keys-help");
  if (dialog?.open) { dialog.close(); return; }
  dialog?.remove();
  dialog = document.createElement("dialog");
  dialog.id = "keys-help";
  dialog.className = "dialog-w";
  const title = document.createElement("h2");
  title.textContent = document.body.dataset.textKeys || "Keys";
  const list = document.createElement("dl");
  list.className = "keylist";
  for (const [code, label] of bindings()) {
    const key = document.createElement("dt");
    const cap = document.createElement("kbd");
    cap.className = "keycap";
    cap.textContent = keyName(code);
    key.append(cap);
    const words = document.createElement("dd");
    words.textContent = label;
    list.append(key, words);
  }
  const actions = document.createElement("div");
  actions.className = "dialog-actions";
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn-w";
  close.textContent = document.body.dataset.textClose || "Close";
  close.addEventListener("click", () => dialog.close());
  actions.append(close);
  dialog.setAttribute("aria-label", title.textContent);
  dialog.append(title, list, actions);
  document.body.append(dialog);
  dialog.showModal();
}

function wordsOf(element) {
  const copy = element.cloneNode(true);
  for (const cap of copy.querySelectorAll("kbd")) cap.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}

function bindings() {
  const seen = new Map([["?", document.body.dataset.textKeys || "Keys"]]);
  for (const element of document.querySelectorAll("[data-key]")) {
    if (element.closest("dialog:not([open])")) continue;
    const code = element.dataset.key.split(/\s+/)[0];
    const label = element.dataset.keyLabel || element.getAttribute("aria-label") || wordsOf(element);
    if (!seen.has(code)) seen.set(code, label);
  }
  const help = seen.get("?");
  seen.delete("?");
  return [...seen, ["?", help]];
}

function onKey(event) {
  if (event.defaultPrevented || event.isComposing) return;
  const isTyping = event.target.matches?.(TYPING);
  if (isTyping && event.keyCode === 229) return; // an input method takes it; elsewhere the code still counts
  if (isTyping && event.code === "Escape") { event.target.blur(); return; }
  if (isTyping && !event.ctrlKey && !event.metaKey) return;
  const isHelp = event.key === "?" && !event.ctrlKey && !event.metaKey;
  if (isHelp) { event.preventDefault(); showHelp(); return; }
  if (belongsToFocus(event)) return;
  const code = pressed(event);
  for (const element of scope().querySelectorAll("[data-key]")) {
    if (element.hasAttribute("data-key-own") || !codesOf(element).includes(code) || !isUsable(element)) continue;
    if (event.repeat && !element.hasAttribute("data-key-repeat")) { event.preventDefault(); return; }
    event.preventDefault();
    act(element);
    return;
  }
}

export function startKeys() {
  if (document.documentElement.dataset.keysStarted) return;
  document.documentElement.dataset.keysStarted = "true";
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => { if (event.target.closest("[data-keys-help]")) showHelp(); });
}
