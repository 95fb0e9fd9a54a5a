/* A short sentence in the corner that goes by itself; errors stay until closed. */
const SHOWN_FOR_MS = 5000;

export function toast(text, tone = "info", link = null) {
  const corner = document.getElementById("toasts");
  if (!corner) return;
  for (const old of corner.children) if (old.firstChild.textContent === text) old.remove();
  const box = document.createElement("div");
  box.className = `notice ${tone}`;
  const words = document.createElement("span");
  words.textContent = text;
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link.url;
    anchor.textContent = link.text;
    words.append(" ", anchor);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "close-w";
  close.textContent = "✕";
  close.setAttribute("aria-label", document.body.dataset.textClose || "Close");
  close.addEventListener("click", () => box.remove());
  box.append(words, close);
  corner.append(box);
  if (tone !== "bad" && !link) setTimeout(() => box.remove(), SHOWN_FOR_MS);
}

export function loginNeeded() {
  const { textLogin, textLoginLink, loginUrl } = document.body.dataset;
  const here = encodeURIComponent(location.pathname + location.search);
  toast(textLogin, "bad", { url: `${loginUrl}?next=${here}`, text: textLoginLink });
}

export function isLoginPage(url) {
  const login = document.body.dataset.loginUrl;
  return Boolean(login && url) && new URL(url, location.href).pathname === login;
}
