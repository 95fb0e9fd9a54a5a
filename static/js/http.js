/* Requests of our own modules: CSRF, JSON, and the two ways to fail told apart. */
import { isLoginPage } from "./toast.js";

export class HttpError extends Error {
  constructor(status, body) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
  }
}
export class LoginNeeded extends Error {}

export const csrfToken = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

async function answer(response) {
  if (response.status === 401 || (response.redirected && isLoginPage(response.url))) throw new LoginNeeded();
  const isJson = response.headers.get("content-type")?.includes("json");
  const body = response.status === 204 ? null : isJson ? await response.json() : await response.text();
  if (!response.ok) throw new HttpError(response.status, body);
  return body;
}

/* `data` is an object (sent as JSON), a FormData or URLSearchParams (sent as a form). */
export async function post(url, data = {}, { signal, keepalive = false } = {}) {
  const isForm = data instanceof FormData || data instanceof URLSearchParams;
  const headers = { "X-CSRFToken": csrfToken(), "X-Requested-With": "fetch", Accept: "application/json" };
  if (!isForm) headers["Content-Type"] = "application/json";
  const body = isForm ? data : JSON.stringify(data);
  return answer(await fetch(url, { method: "POST", headers, body, signal, keepalive, credentials: "same-origin" }));
}

export async function getJson(url, { signal } = {}) {
  const headers = { Accept: "application/json", "X-Requested-With": "fetch" };
  return answer(await fetch(url, { headers, signal, credentials: "same-origin" }));
}
