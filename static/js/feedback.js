/* In a qualification the next item waits until what the answer was worth has come and was read. */
const find = (id) => document.getElementById(id);

export class Feedback {
  #awaited = null; // client id of the answer whose feedback is to come

  constructor({ next }) {
    this.next = next;
    find("feedback-next")?.addEventListener("click", () => this.#go());
  }

  /* Hold the item until the server has answered to this client id. */
  await(clientId) {
    this.#awaited = clientId;
    find("answers").disabled = true;
    this.#wait();
  }

  /* The server has answered; without feedback (refused, repeated) there is nothing to read. */
  came({ client_id: clientId, feedback }) {
    if (clientId !== this.#awaited) return;
    if (!feedback) { this.#go(); return; }
    find("feedback-body").innerHTML = feedback;
    find("feedback-next").hidden = false;
    find("feedback-next").focus({ preventScroll: true });
    find("feedback").scrollIntoView({ block: "nearest" });
  }

  #wait() {
    find("feedback-body").textContent = find("feedback").dataset.waits;
    find("feedback-next").hidden = true;
    find("feedback").hidden = false;
    find("answers").hidden = true;
  }

  #go() {
    this.#awaited = null;
    find("feedback").hidden = true;
    find("answers").hidden = false;
    this.next();
  }
}
