/* Requests of our own modules: CSRF, JSON, and the ways to fail told apart. */
import { isLoginPage } from "./toast.js";

export class HttpError extends Error {
  constructor(status, body) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
  }
}
export class LoginNeeded extends Error {}

const WITHIN_MS = 5000, AGAIN_WITHIN_MS = 10_000;
const unanswered = new Set(); // addresses: the next request to one of them may take longer

export const csrfToken = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/* One request and its whole answer. It ends in time, as a screen that waits for it would stand still;
   `isPatient` is for work that may take the server longer; `as` names how the answer is read. */
export async function request(url, { isPatient = false, as = "text", ...options } = {}) {
  const signal = isPatient ? null : within(unanswered.has(url) ? AGAIN_WITHIN_MS : WITHIN_MS);
  try {
    const response = await fetch(url, { credentials: "same-origin", signal, ...options });
    const body = await response[as]();
    unanswered.delete(url);
    return { response, [as]: body };
  } catch (error) {
    unanswered.add(url);
    throw error;
  }
}

function within(ms) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), ms);
  return controller.signal;
}

async function ask(url, options) {
  const { response, text } = await request(url, options);
  const isJson = response.headers.get("content-type")?.includes("json");
  if ((response.status === 401 && isJson) || (response.redirected && isLoginPage(response.url))) throw new LoginNeeded();
  if (response.status === 401) throw new Error("a proxy wants a log-in of its own");
  if (!response.ok) throw new HttpError(response.status, isJson ? JSON.parse(text) : text);
  if (!isJson) throw new Error("a proxy answered"); // as the log-in page of a hotel does, with 200
  return JSON.parse(text);
}

/* `data` is an object (sent as JSON), a FormData or URLSearchParams (sent as a form). */
export async function post(url, data = {}, options = {}) {
  const isForm = data instanceof FormData || data instanceof URLSearchParams;
  const headers = { "X-CSRFToken": csrfToken(), "X-Requested-With": "fetch", Accept: "application/json" };
  if (!isForm) headers["Content-Type"] = "application/json";
  return ask(url, { method: "POST", headers, body: isForm ? data : JSON.stringify(data), ...options });
}

export const getJson = (url) => ask(url, { headers: { Accept: "application/json", "X-Requested-With": "fetch" } });
