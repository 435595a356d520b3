// One WebSocket for all subscriptions. It reconnects by itself and resumes each where it ended.

import { protocols } from "./access.js";

const FIRST_PAUSE = 250, LONGEST_PAUSE = 10_000, SILENCE = 30_000;

export class Stream {
  /** "live", "connecting" or "offline", as last given to `onState`. */
  state = "connecting";
  #socket = null;
  #wanted = new Map(); // id -> {request, onMessage, onCaughtUp, resume}
  #next = 1;
  #pause = FIRST_PAUSE;
  #watchdog = null;

  /** `onState` gets "live", "connecting" or "offline", and a reason; `onHello` what the service says of itself. */
  constructor(onState, onHello) {
    this.onState = onState;
    this.onHello = onHello;
  }

  connect() {
    const url = new URL("v1/stream", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = (this.#socket = new WebSocket(url, protocols()));
    socket.onopen = () => {
      for (const [id, each] of this.#wanted) this.#send(id, each);
    };
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = () => this.#again("the service does not answer");
    this.#listen();
  }

  /** Subscribe; returns a function that ends the subscription. */
  subscribe(request, onMessage, { onCaughtUp = () => {}, onRefused = () => {} } = {}) {
    const id = this.#next++;
    const each = { request, onMessage, onCaughtUp, onRefused, resume: request.since };
    this.#wanted.set(id, each);
    if (this.#socket?.readyState === WebSocket.OPEN) this.#send(id, each);
    return () => {
      this.#wanted.delete(id);
      if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ op: "unsubscribe", id }));
    };
  }

  #send(id, each) {
    this.#socket.send(JSON.stringify({ op: "subscribe", id, ...each.request, since: each.resume }));
  }

  #take(message) {
    this.#listen();
    const each = this.#wanted.get(message.id);
    if (message.op === "hello") {
      this.#pause = FIRST_PAUSE;
      this.#report("live");
      this.onHello(message);
    } else if (message.op === "caught_up") each?.onCaughtUp();
    else if (message.op === "error") each?.onRefused(message.problem);
    else if (message.op === "end") this.#report("connecting", message.reason);
    else if (message.channel && each) {
      each.resume = message.resume;
      each.onMessage(message);
    }
  }

  #report(state, reason) {
    this.state = state;
    this.onState(state, reason);
  }

  #listen() {
    clearTimeout(this.#watchdog); // heartbeats come more often than this
    this.#watchdog = setTimeout(() => this.#socket.close(), SILENCE);
  }

  #again(reason) {
    clearTimeout(this.#watchdog);
    this.#report("offline", reason);
    setTimeout(() => this.connect(), this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }
}
