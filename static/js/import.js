/* Send files with progress: opened first (a full disk is refused before any byte), then in parts. */
import { csrfToken } from "./http.js";

const PART_FILES = 200;
const PART_BYTES = 32 * 2 ** 20;
const ATTEMPTS = 8; // over about 40 s: a web process that was killed is back by then
const LONGEST_WAIT = 10_000; // ms
const form = document.querySelector("#import-form");
const drop = document.querySelector("#drop");
const files = document.querySelector("#files");
const folder = document.querySelector("#folder");
const send = document.querySelector("#send");
const $ = (id) => document.querySelector(id);
let chosen = []; // {file, path}
let begun = null; // {addresses, sent}: where to go on when sending stopped

function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  while (bytes >= 1000 && unit < 3) { bytes /= 1000; unit += 1; }
  return `${bytes.toFixed(bytes < 10 && unit ? 1 : 0)} ${units[unit]}`;
}

const total = () => chosen.reduce((sum, one) => sum + one.file.size, 0);

function choose(list) {
  chosen = list;
  begun = null;
  const words = list.length === 1 ? list[0].path : `${list.length} ${form.dataset.textFiles}`;
  $("#chosen").textContent = list.length ? `${words}, ${size(total())}` : "";
  $("#chosen").hidden = !list.length;
  $("#import-error").hidden = true;
  send.classList.toggle("btn-main", list.length > 0);
  drop.querySelector("label.btn-w").classList.toggle("btn-main", !list.length);
}

const ofInput = (input) => [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));

async function ofEntry(entry) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    return [{ file, path: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) { // a reader gives at most 100 entries at a time
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return found;
    for (const one of some) found.push(...(await ofEntry(one)));
  }
}

function parts(list) {
  const found = [];
  let part = [], bytes = 0;
  for (const one of list) {
    if (part.length && (part.length === PART_FILES || bytes + one.file.size > PART_BYTES)) { found.push(part); part = []; bytes = 0; }
    part.push(one);
    bytes += one.file.size;
  }
  return part.length ? [...found, part] : found;
}

class Refused extends Error {}

/* fetch has no progress of what is sent, therefore XMLHttpRequest. */
function request(url, data, onProgress = () => {}) {
  return new Promise((done, fail) => {
    const call = new XMLHttpRequest();
    call.open("POST", url);
    call.setRequestHeader("X-CSRFToken", csrfToken());
    call.setRequestHeader("X-Requested-With", "fetch");
    call.setRequestHeader("Accept", "application/json");
    call.responseType = "json";
    call.upload.addEventListener("progress", (event) => onProgress(event.loaded));
    call.addEventListener("load", () => {
      if (call.status < 300 && call.response) done(call.response);
      else if (call.status < 500) fail(new Refused(call.response?.reason || form.dataset.textFailed));
      else fail(new Error(`HTTP ${call.status}`));
    });
    call.addEventListener("error", () => fail(new Error("network")));
    call.send(data);
  });
}

/* Asking twice is harmless: an upload without files is none, a part has the same paths and bytes,
   and an import that has begun is not begun again. */
async function insist(url, data, onProgress) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request(url, data, onProgress);
    } catch (error) {
      if (error instanceof Refused || attempt === ATTEMPTS) throw error;
      $("#sending-words").textContent = form.dataset.textAgain;
      await new Promise((done) => setTimeout(done, Math.min(1500 * attempt, LONGEST_WAIT)));
    }
  }
}

function showProgress(sent, all, began) {
  $("#sending").hidden = false;
  $("#sending-bar").value = all ? Math.min(1, sent / all) : 1;
  $("#sending-words").textContent = `${form.dataset.textSending}: ${size(Math.min(sent, all))} / ${size(all)}`;
  const seconds = (performance.now() - began) / 1000;
  const left = sent ? Math.round((seconds / sent) * (all - sent)) : 0;
  $("#sending-left").textContent = seconds > 2 && left > 0 ? `${left} s ${form.dataset.textLeft}` : "";
}

function open(all) {
  const options = new FormData(form);
  options.delete("files");
  options.set("name", chosen.length === 1 ? chosen[0].path : chosen[0].path.includes("/") ? chosen[0].path.split("/")[0] : `${chosen.length} ${form.dataset.textFiles}`);
  options.set("size", all);
  return insist(form.action || location.href, options);
}

async function sendAll() {
  const all = total(), began = performance.now();
  begun ??= { addresses: await open(all), sent: 0 };
  let before = 0;
  for (const [number, part] of parts(chosen).entries()) {
    if (number >= begun.sent) {
      const data = new FormData();
      data.set("paths", JSON.stringify(part.map((one) => one.path)));
      for (const one of part) data.append("files", one.file, one.file.name);
      await insist(begun.addresses.files, data, (sent) => showProgress(before + sent, all, began));
      begun.sent = number + 1;
    }
    before += part.reduce((sum, one) => sum + one.file.size, 0);
    showProgress(before, all, began);
  }
  $("#sending-words").textContent = form.dataset.textKept;
  await insist(begun.addresses.start, new FormData());
  window.onbeforeunload = null;  // everything is on the server now: leaving loses nothing
  location.assign(begun.addresses.report);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!chosen.length) { files.click(); return; }
  send.disabled = true;
  $("#import-error").hidden = true;
  window.onbeforeunload = () => true;
  try {
    await sendAll();
  } catch (error) {
    if (error instanceof Refused) begun = null; // other options, or other files
    $("#import-error").textContent = error instanceof Refused ? error.message : form.dataset.textFailed;
    $("#import-error").hidden = false;
    $("#sending").hidden = true;
  } finally {
    window.onbeforeunload = null;
    send.disabled = false;
  }
});

files.addEventListener("change", () => choose(ofInput(files)));
folder.addEventListener("change", () => choose(ofInput(folder)));
if ("webkitdirectory" in folder) { folder.hidden = false; document.querySelector(".folder-choice").hidden = false; }
/* The whole page takes what is dropped: beside the zone a browser would leave the page for the file. */
for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("dropping"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("dropping"); });
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("dropping");
  if (send.disabled) return;  // what is being sent stays what was chosen
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  for (const entry of entries) found.push(...(await ofEntry(entry)));
  choose(found.length ? found : [...event.dataTransfer.files].map((file) => ({ file, path: file.name })));
});
